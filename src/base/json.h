// SPDX-License-Identifier: Apache-2.0
// json: thin glue over jansson: bounded reading, atomic writing, getters that say what is wrong and where.
#ifndef AP_BASE_JSON_H
#define AP_BASE_JSON_H

#include "base/mem.h"

#include <jansson.h>

// Parses text. `what` names it in errors ("manifest.json"); `code` is the error code used on failure.
// Nesting is limited by jansson (2048), size by the caller.
AP_MUST ap_err ap_json_parse(const char *text, size_t len, const char *what, ap_code code, json_t **out);
AP_MUST ap_err ap_json_load(const char *path, size_t max_bytes, ap_code code, json_t **out);
AP_MUST ap_err ap_json_save(const char *path, const json_t *j); // atomic, indented, key order kept
char *ap_json_text(const json_t *j, bool pretty);               // malloc'ed; the caller frees
// Canonical text: sorted keys, no spaces. Same content gives the same bytes; used for hashing.
char *ap_json_canonical(const json_t *j);

// Getters. `what` names the document in errors; a missing key or wrong type is `code`.
AP_MUST ap_err ap_json_get_str(const json_t *o, const char *key, const char *what, ap_code code,
                               const char **out);
AP_MUST ap_err ap_json_get_int(const json_t *o, const char *key, const char *what, ap_code code,
                               int64_t *out);
AP_MUST ap_err ap_json_get_num(const json_t *o, const char *key, const char *what, ap_code code, double *out);
AP_MUST ap_err ap_json_get_bool(const json_t *o, const char *key, const char *what, ap_code code, bool *out);
AP_MUST ap_err ap_json_get_arr(const json_t *o, const char *key, const char *what, ap_code code,
                               json_t **out); // borrowed
AP_MUST ap_err ap_json_get_obj(const json_t *o, const char *key, const char *what, ap_code code,
                               json_t **out); // borrowed
// Lenient: the default when absent or of another type.
const char *ap_json_str(const json_t *o, const char *key, const char *fallback);
int64_t ap_json_int(const json_t *o, const char *key, int64_t fallback);
double ap_json_num(const json_t *o, const char *key, double fallback);
bool ap_json_bool(const json_t *o, const char *key, bool fallback);
// The first object of a list whose `key` is this text; borrowed, NULL when there is none.
json_t *ap_json_find(const json_t *list, const char *key, const char *text);
// The values of `key` in a list of objects, in order; what has none is left out. A new list of the same
// values.
json_t *ap_json_pluck(const json_t *list, const char *key);

// Texts as a list, and back: what is no text is left out, the texts belong to the list.
json_t *ap_json_texts(const char *const *texts, size_t count);
const char **ap_json_texts_of(const json_t *list, ap_arena *a, size_t *count);

// Numbers that JSON cannot hold: NaN and infinities become the strings "nan", "inf", "-inf".
json_t *ap_json_real(double v);
double ap_json_to_real(const json_t *v); // reads both forms; NaN when neither
// An invalid UTF-8 byte becomes '?', so hostile names can be written.
json_t *ap_json_string(const char *s); // NULL gives JSON null
json_t *ap_json_dims(const int64_t *dims, size_t rank);
json_t *ap_json_from_err(const ap_error *e); // {code, exit, message, stage, subject, hint, notes, offset}

#endif
