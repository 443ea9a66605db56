// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/record.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define WHAT "plan"
enum { MAX_BYTES = 256 << 20, MAX_STEPS = 1 << 20 };

// One entry a line.
static void put_list(ap_buf *b, const json_t *list) {
    size_t n = json_array_size(list);
    ap_buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        char *line = ap_json_canonical(json_array_get(list, i));
        ap_buf_printf(b, "%s\n  %s", i ? "," : "", line);
        free(line);
    }
    ap_buf_puts(b, n ? "\n ]" : "]");
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *ap_plan_text(const json_t *plan) {
    size_t n = json_object_size(plan), i = 0;
    const char **keys = ap_calloc(n + 1, sizeof *keys), *key;
    json_t *v;
    ap_buf b = {0};
    json_object_foreach((json_t *)(uintptr_t)plan, key, v) keys[i++] = key;
    qsort(keys, n, sizeof *keys, by_name);
    ap_buf_putc(&b, '{');
    for (i = 0; i < n; i++) {
        v = json_object_get(plan, keys[i]);
        ap_buf_printf(&b, "%s\n \"%s\": ", i ? "," : "", keys[i]);
        if (json_is_array(v)) {
            put_list(&b, v);
            continue;
        }
        char *text = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
        ap_buf_puts(&b, text ? text : "null");
        free(text);
    }
    ap_buf_puts(&b, "\n}\n");
    free(keys);
    return ap_buf_detach(&b);
}

ap_err ap_plan_save(const char *path, const json_t *plan) {
    char *text = ap_plan_text(plan);
    ap_err err = ap_file_write(path, text, strlen(text));
    free(text);
    return err;
}

static bool is_hash(const char *s) {
    return s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static ap_err check_step(const json_t *s, size_t n) {
    bool rule = strcmp(ap_json_str(s, "kind", ""), "rule") == 0;
    if (rule && (!ap_json_str(s, "name", NULL) || !ap_json_str(s, "root", NULL) ||
                 !is_hash(ap_json_str(s, "hash", NULL)) || !json_is_object(json_object_get(s, "binds"))))
        return ap_err_new(AP_ERR_CORRUPT, WHAT ": step %zu is malformed", n);
    if (!rule &&
        (!json_is_object(s) || !ap_json_str(s, "kind", NULL) || !ap_json_str(s, "name", NULL) ||
         !json_is_integer(json_object_get(s, "version")) || !json_is_integer(json_object_get(s, "changed"))))
        return ap_err_new(AP_ERR_CORRUPT, WHAT ": step %zu is malformed", n);
    if (!is_hash(ap_json_str(s, "before", NULL)) || !is_hash(ap_json_str(s, "after", NULL)))
        return ap_err_new(AP_ERR_CORRUPT, WHAT ": step %zu has no hash of the model before or after it", n);
    return NULL;
}

static ap_err check_shapes(const json_t *shapes) {
    const char *name;
    json_t *dims, *d;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)shapes, name, dims) {
        if (!json_is_array(dims))
            return ap_err_new(AP_ERR_CORRUPT, WHAT ": the shape of '%s' is no list", name);
        json_array_foreach(
            dims, i, d) if (!json_is_integer(d) ||
                            json_integer_value(d) <
                                0) return ap_err_new(AP_ERR_CORRUPT,
                                                     WHAT ": the shape of '%s' is no list of sizes", name);
    }
    return NULL;
}

ap_err ap_plan_parse(const char *text, size_t len, json_t **out) {
    json_t *j = NULL, *source = NULL, *shapes = NULL, *params = NULL, *steps = NULL;
    int64_t format = 0;
    ap_err err = NULL;
    AP_TRY(ap_json_parse(text, len, WHAT, AP_ERR_CORRUPT, &j));
    AP_TRY(ap_json_get_int(j, "format", WHAT, AP_ERR_CORRUPT, &format));
    if (format != AP_PLAN_FORMAT)
        AP_FAIL(AP_ERR_CORRUPT, WHAT ": format %lld, this aipc reads %d", (long long)format, AP_PLAN_FORMAT);
    AP_TRY(ap_json_get_obj(j, "source", WHAT, AP_ERR_CORRUPT, &source));
    AP_TRY(ap_json_get_obj(j, "shapes", WHAT, AP_ERR_CORRUPT, &shapes));
    AP_TRY(ap_json_get_obj(j, "params", WHAT, AP_ERR_CORRUPT, &params));
    AP_TRY(ap_json_get_arr(j, "steps", WHAT, AP_ERR_CORRUPT, &steps));
    if (!is_hash(ap_json_str(source, "sha256", NULL)))
        AP_FAIL(AP_ERR_CORRUPT, WHAT ": no hash of the source model");
    AP_TRY(check_shapes(shapes));
    if (json_array_size(steps) > MAX_STEPS) AP_FAIL(AP_ERR_CORRUPT, WHAT ": too many steps");
    for (size_t i = 0; i < json_array_size(steps); i++) AP_TRY(check_step(json_array_get(steps, i), i + 1));
    *out = j;
    j = NULL;
done:
    json_decref(j);
    return err;
}

ap_err ap_plan_load(const char *path, json_t **out) {
    ap_buf text = {0};
    ap_err err = ap_file_read(path, MAX_BYTES, &text);
    if (!err) err = ap_plan_parse(ap_buf_str(&text), text.len, out);
    ap_buf_free(&text);
    return ap_err_subject(err, path);
}
