/* SPDX-License-Identifier: Apache-2.0 */
/* Reading documents without trusting their shape. */
#include "cli/term.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *doc_parse(const char *text) {
    json_t *o = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (json_is_object(o)) return o;
    json_decref(o);
    return NULL;
}

const char *doc_text(const json_t *o, const char *key, const char *fallback) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : fallback;
}

bool doc_number(const json_t *o, const char *key, double *out) {
    const json_t *v = json_object_get(o, key);
    const char *s = json_string_value(v);
    if (json_is_number(v))
        *out = json_number_value(v);
    else if (s && strcmp(s, "nan") == 0)
        *out = (double)NAN;
    else if (s && strcmp(s, "inf") == 0)
        *out = (double)INFINITY;
    else if (s && strcmp(s, "-inf") == 0)
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

bool doc_true(const json_t *o, const char *key) {
    return json_is_true(json_object_get(o, key));
}

static char *join_values(const json_t *array, const char *separator) {
    char *all = NULL;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *v = json_array_get(array, i);
        char *one = json_is_string(v)    ? cli_text("%s", json_string_value(v))
                    : json_is_integer(v) ? cli_text("%lld", (long long)json_integer_value(v))
                                         : cli_text("?");
        char *longer = all ? cli_text("%s%s%s", all, separator, one) : cli_text("%s", one);
        free(one);
        free(all);
        all = longer;
    }
    return all;
}

char *doc_dims(const json_t *o, const char *key) {
    const json_t *dims = json_object_get(o, key);
    char *all = join_values(dims, ",");
    return all ? all : cli_text("%s", json_is_array(dims) ? "scalar" : "?");
}

char *doc_join(const json_t *o, const char *key, const char *separator) {
    char *all = join_values(json_object_get(o, key), separator);
    return all ? all : cli_text("-");
}

char *doc_format(const json_t *o, const char *key, char *(*format)(double)) {
    double x;
    return doc_number(o, key, &x) ? format(x) : cli_text("-");
}

cli_style style_of_verdict(const char *verdict) {
    if (strcmp(verdict, "pass") == 0) return CLI_GREEN;
    if (strcmp(verdict, "fail") == 0) return CLI_RED;
    return CLI_YELLOW;
}
