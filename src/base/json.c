// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"
#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// jansson's makers fail without memory, and on values this file never gives them.
static json_t *made(json_t *j) {
    if (!j) ap_oom(sizeof(void *));
    return j;
}

ap_err ap_json_parse(const char *text, size_t len, const char *what, ap_code code, json_t **out) {
    json_error_t e;
    json_t *j = json_loadb(text ? text : "", len, JSON_DECODE_ANY, &e);
    if (j) {
        *out = j;
        return NULL;
    }
    ap_err err =
        ap_err_new(code, "%s: not valid JSON: %s (line %d, column %d)", what, e.text, e.line, e.column);
    if (e.position >= 0) err = ap_err_at(err, (uint64_t)e.position);
    return ap_err_subject(err, what);
}

ap_err ap_json_load(const char *path, size_t max_bytes, ap_code code, json_t **out) {
    ap_buf b = {0};
    ap_err err = ap_file_read(path, max_bytes, &b);
    if (!err) err = ap_json_parse(b.data, b.len, path, code, out);
    ap_buf_free(&b);
    return err;
}

static char *dump(const json_t *j, size_t flags) {
    if (!j) return ap_strdup("null");
    char *text = json_dumps(j, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (!text) ap_oom(0);
    return text;
}

char *ap_json_text(const json_t *j, bool pretty) {
    return dump(j, JSON_PRESERVE_ORDER | (pretty ? JSON_INDENT(2) : JSON_COMPACT));
}

char *ap_json_canonical(const json_t *j) {
    return dump(j, JSON_COMPACT | JSON_SORT_KEYS);
}

ap_err ap_json_save(const char *path, const json_t *j) {
    char *text = ap_json_text(j, true);
    size_t len = strlen(text);
    text[len] = '\n'; // written in place of the NUL: files end with a newline
    ap_err err = ap_file_write(path, text, len + 1);
    free(text);
    return err;
}

// ---- getters ----

static const char *type_name(const json_t *j) {
    if (!j) return "missing";
    switch (json_typeof(j)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static ap_err wrong(const json_t *o, const char *key, const char *what, ap_code code, const char *wanted) {
    const json_t *v = json_object_get(o, key);
    ap_err err;
    if (!json_is_object(o)) {
        err = ap_err_new(code, "%s: looking for '%s', but this is %s, not an object", what, key,
                         o ? type_name(o) : "nothing");
    } else if (!v) {
        err = ap_err_new(code, "%s: '%s' is missing (%s is needed)", what, key, wanted);
    } else {
        err = ap_err_new(code, "%s: '%s' is %s, but %s is needed", what, key, type_name(v), wanted);
    }
    return ap_err_subject(err, what);
}

ap_err ap_json_get_str(const json_t *o, const char *key, const char *what, ap_code code, const char **out) {
    const char *s = json_string_value(json_object_get(o, key));
    if (!s) return wrong(o, key, what, code, "a string");
    *out = s;
    return NULL;
}

ap_err ap_json_get_int(const json_t *o, const char *key, const char *what, ap_code code, int64_t *out) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v)) return wrong(o, key, what, code, "an integer");
    *out = json_integer_value(v);
    return NULL;
}

// The three names ap_json_real writes.
static bool named_real(const json_t *v, double *out) {
    const char *s = json_string_value(v);
    if (!s) return false;
    if (!strcmp(s, "nan"))
        *out = NAN;
    else if (!strcmp(s, "inf"))
        *out = INFINITY;
    else if (!strcmp(s, "-inf"))
        *out = -INFINITY;
    else
        return false;
    return true;
}

static bool number(const json_t *v, double *out) {
    if (!json_is_number(v)) return named_real(v, out);
    *out = json_number_value(v);
    return true;
}

ap_err ap_json_get_num(const json_t *o, const char *key, const char *what, ap_code code, double *out) {
    if (!number(json_object_get(o, key), out)) return wrong(o, key, what, code, "a number");
    return NULL;
}

ap_err ap_json_get_bool(const json_t *o, const char *key, const char *what, ap_code code, bool *out) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_boolean(v)) return wrong(o, key, what, code, "true or false");
    *out = json_is_true(v);
    return NULL;
}

ap_err ap_json_get_arr(const json_t *o, const char *key, const char *what, ap_code code, json_t **out) {
    json_t *v = json_object_get(o, key);
    if (!json_is_array(v)) return wrong(o, key, what, code, "an array");
    *out = v;
    return NULL;
}

ap_err ap_json_get_obj(const json_t *o, const char *key, const char *what, ap_code code, json_t **out) {
    json_t *v = json_object_get(o, key);
    if (!json_is_object(v)) return wrong(o, key, what, code, "an object");
    *out = v;
    return NULL;
}

const char *ap_json_str(const json_t *o, const char *key, const char *fallback) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : fallback;
}

int64_t ap_json_int(const json_t *o, const char *key, int64_t fallback) {
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

double ap_json_num(const json_t *o, const char *key, double fallback) {
    double v;
    return number(json_object_get(o, key), &v) ? v : fallback;
}

bool ap_json_bool(const json_t *o, const char *key, bool fallback) {
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

json_t *ap_json_find(const json_t *list, const char *key, const char *text) {
    json_t *o;
    for (size_t i = 0; (o = json_array_get(list, i)) != NULL; i++)
        if (strcmp(ap_json_str(o, key, ""), text) == 0) return o;
    return NULL;
}

json_t *ap_json_pluck(const json_t *list, const char *key) {
    json_t *values = made(json_array());
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_append(values, json_object_get(json_array_get(list, i), key));
    return values;
}

json_t *ap_json_texts(const char *const *texts, size_t count) {
    json_t *list = made(json_array());
    for (size_t i = 0; i < count; i++) json_array_append_new(list, ap_json_string(texts[i]));
    return list;
}

const char **ap_json_texts_of(const json_t *list, ap_arena *a, size_t *count) {
    const char **texts = ap_arena_calloc(a, json_array_size(list) + 1, sizeof *texts);
    *count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text) texts[(*count)++] = text;
    }
    return texts;
}

// ---- makers ----

json_t *ap_json_real(double v) {
    if (isnan(v)) return made(json_string("nan"));
    if (isinf(v)) return made(json_string(v > 0 ? "inf" : "-inf"));
    return made(json_real(v));
}

double ap_json_to_real(const json_t *v) {
    double d;
    return number(v, &d) ? d : (double)NAN;
}

json_t *ap_json_string(const char *s) {
    if (!s) return json_null();
    size_t len = strlen(s);
    json_t *j = json_stringn(s, len);
    if (j) return j;
    char *copy = ap_strndup(s, len);
    ap_text_utf8(copy, len);
    j = made(json_stringn(copy, len));
    free(copy);
    return j;
}

// Puts a value just made (owned) where jansson can only fail for lack of memory.
static void put(json_t *o, const char *key, json_t *v) {
    if (json_object_set_new(o, key, made(v))) ap_oom(0);
}

static void push(json_t *a, json_t *v) {
    if (json_array_append_new(a, made(v))) ap_oom(0);
}

json_t *ap_json_dims(const int64_t *dims, size_t rank) {
    json_t *a = made(json_array());
    for (size_t i = 0; i < rank; i++) push(a, json_integer(dims[i]));
    return a;
}

json_t *ap_json_from_err(const ap_error *e) {
    if (!e) return json_null();
    json_t *o = made(json_object()), *notes = made(json_array());
    uint64_t offset = 0;
    bool has_offset = ap_err_offset(e, &offset) && offset <= INT64_MAX;
    put(o, "code", json_string(ap_code_key(ap_err_code(e))));
    put(o, "exit", json_integer(ap_code_exit(ap_err_code(e))));
    put(o, "message", ap_json_string(ap_err_message(e)));
    put(o, "stage", ap_json_string(ap_err_get_stage(e)));
    put(o, "subject", ap_json_string(ap_err_get_subject(e)));
    put(o, "hint", ap_json_string(ap_err_next(e)));
    for (size_t i = 0; i < ap_err_notes(e); i++) push(notes, ap_json_string(ap_err_get_note(e, i)));
    put(o, "notes", notes);
    put(o, "offset", has_offset ? json_integer((json_int_t)offset) : json_null());
    return o;
}
