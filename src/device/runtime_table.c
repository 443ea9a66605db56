// SPDX-License-Identifier: Apache-2.0
// Reading the table.
#include "device/runtime_table.h"

#include "base/data.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static const char WHAT[] = "runtimes.json";

static ap_err get_str(ap_arena *a, const json_t *o, const char *key, const char **out) {
    const char *s = NULL;
    ap_err err = ap_json_get_str(o, key, WHAT, AP_ERR_INTERNAL, &s);
    if (!err) *out = ap_arena_strdup(a, s);
    return err;
}

// A name that stays in its folder and is none of ours.
static ap_err check_name(const char *name) {
    if (name[0] && name[0] != '.' && !strchr(name, '/') && strcmp(name, "record.json") != 0) return NULL;
    return ap_err_new(AP_ERR_INTERNAL, "%s: '%s' cannot be a file name", WHAT, name);
}

static ap_err get_name(ap_arena *a, const json_t *o, const char *key, const char **out) {
    ap_err err = get_str(a, o, key, out);
    return err ? err : check_name(*out);
}

static ap_err get_bytes(const json_t *o, const char *key, uint64_t *out) {
    int64_t n = 0;
    ap_err err = ap_json_get_int(o, key, WHAT, AP_ERR_INTERNAL, &n);
    if (!err && n < 0) err = ap_err_new(AP_ERR_INTERNAL, "%s: %s is negative", WHAT, key);
    if (!err) *out = (uint64_t)n;
    return err;
}

static ap_err get_sha256(ap_arena *a, const json_t *o, const char *key, const char **out) {
    ap_err err = get_str(a, o, key, out);
    if (!err && strspn(*out, "0123456789abcdef") == 64 && !(*out)[64]) return NULL;
    return err ? err : ap_err_new(AP_ERR_INTERNAL, "%s: %s is no sha256", WHAT, key);
}

static ap_err read_members(ap_arena *a, const json_t *o, ap_runtime_spec *s) {
    ap_err err = NULL;
    json_t *list = NULL;
    AP_TRY(ap_json_get_arr(o, "members", WHAT, AP_ERR_INTERNAL, &list));
    size_t n = json_array_size(list);
    ap_runtime_member *m = ap_arena_calloc(a, n + 1, sizeof *m);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        AP_TRY(get_str(a, item, "path", &m[i].path));
        AP_TRY(get_name(a, item, "name", &m[i].name));
        AP_TRY(get_sha256(a, item, "sha256", &m[i].sha256));
        AP_TRY(get_bytes(item, "bytes", &m[i].bytes));
    }
    s->members = m;
    s->member_count = n;
done:
    return err;
}

static ap_err read_links(ap_arena *a, const json_t *o, ap_runtime_spec *s) {
    ap_err err = NULL;
    json_t *list = NULL;
    AP_TRY(ap_json_get_arr(o, "links", WHAT, AP_ERR_INTERNAL, &list));
    size_t n = json_array_size(list);
    ap_runtime_link *l = ap_arena_calloc(a, n + 1, sizeof *l);
    for (size_t i = 0; i < n; i++) {
        AP_TRY(get_name(a, json_array_get(list, i), "name", &l[i].name));
        AP_TRY(get_name(a, json_array_get(list, i), "target", &l[i].target));
    }
    s->links = l;
    s->link_count = n;
done:
    return err;
}

static ap_err read_spec(ap_arena *a, const json_t *o, ap_runtime_spec *s) {
    ap_err err = NULL;
    json_t *pip = NULL;
    AP_TRY(get_name(a, o, "name", &s->name));
    AP_TRY(get_str(a, o, "kind", &s->kind));
    AP_TRY(get_str(a, o, "what", &s->what));
    AP_TRY(get_name(a, o, "version", &s->version));
    AP_TRY(get_str(a, o, "licence", &s->licence));
    AP_TRY(get_name(a, o, "package", &s->package));
    AP_TRY(ap_json_get_obj(o, "pip", WHAT, AP_ERR_INTERNAL, &pip));
    AP_TRY(get_str(a, pip, "platform", &s->platform));
    AP_TRY(get_str(a, pip, "python", &s->python));
    AP_TRY(get_str(a, pip, "implementation", &s->implementation));
    AP_TRY(get_str(a, pip, "abi", &s->abi));
    AP_TRY(get_name(a, o, "wheel", &s->wheel));
    AP_TRY(get_sha256(a, o, "wheel_sha256", &s->wheel_sha256));
    AP_TRY(get_bytes(o, "wheel_bytes", &s->wheel_bytes));
    AP_TRY(read_members(a, o, s));
    AP_TRY(read_links(a, o, s));
done:
    return err;
}

ap_err ap_runtime_table_parse(const char *text, size_t len, ap_runtime_table *out) {
    ap_err err = NULL;
    ap_runtime_table t = {0};
    json_t *doc = NULL, *list = NULL;
    AP_TRY(ap_json_parse(text, len, WHAT, AP_ERR_INTERNAL, &doc));
    AP_TRY(ap_json_get_arr(doc, "runtimes", WHAT, AP_ERR_INTERNAL, &list));
    size_t n = json_array_size(list);
    ap_runtime_spec *items = ap_arena_calloc(&t.arena, n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++) AP_TRY(read_spec(&t.arena, json_array_get(list, i), &items[i]));
    t.items = items;
    t.count = n;
    *out = t;
    t = (ap_runtime_table){0};
done:
    ap_runtime_table_release(&t);
    json_decref(doc);
    return err;
}

ap_err ap_runtime_table_builtin(ap_runtime_table *out) {
    size_t len = 0;
    const char *text = ap_data_get(WHAT, &len);
    if (!text) return ap_err_new(AP_ERR_INTERNAL, "%s is not in this build", WHAT);
    return ap_runtime_table_parse(text, len, out);
}

void ap_runtime_table_release(ap_runtime_table *t) {
    ap_arena_release(&t->arena);
    *t = (ap_runtime_table){0};
}

ap_err ap_runtime_table_find(const ap_runtime_table *t, const char *name, const ap_runtime_spec **out) {
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->items[i].name, name) != 0) continue;
        *out = &t->items[i];
        return NULL;
    }
    const char **names = ap_calloc(t->count + 1, sizeof *names);
    for (size_t i = 0; i < t->count; i++) names[i] = t->items[i].name;
    const char *near = ap_nearest(name, names, t->count);
    ap_err err = ap_err_new(AP_ERR_USAGE, "there is no runtime '%.64s'", name);
    err = near ? ap_err_hint(err, "did you mean %s? `aipc runtime list` shows all", near)
               : ap_err_hint(err, "`aipc runtime list` shows all");
    free(names);
    return err;
}

uint64_t ap_runtime_spec_bytes(const ap_runtime_spec *s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->member_count; i++) sum += s->members[i].bytes;
    return sum;
}
