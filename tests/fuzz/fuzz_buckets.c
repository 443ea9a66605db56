// SPDX-License-Identifier: Apache-2.0
// --shape with several sizes, from hostile text: lines are arguments for a model with the input "x" and the
// symbol "n". An error of usage or shape; or at most 32 buckets, each of which names one size everywhere, has
// a name that stays in its folder, and shares it with no other.
#include "golden/buckets.h"
#include "graph/nodes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ARGS = 4 };

static void must(ap_err err) {
    if (err) abort();
}

static ap_model *model(void) {
    ap_model *m = NULL;
    ap_value *x = NULL;
    ap_value_type type = {.dtype = AP_F32, .rank = 2, .dims = {1, 8}};
    must(ap_model_make(17, &m));
    must(ap_graph_add_input(m->graph, "x", &type, &x));
    return m;
}

static void check(const ap_model *m, const ap_bucket *list, size_t n, size_t args) {
    if (n < 1 || n > AP_BUCKETS_MAX) abort();
    for (size_t i = 0; i < n; i++) {
        if (strchr(list[i].name, '/') || list[i].name[0] == '.') abort();
        for (size_t k = 0; k < i; k++)
            if (!strcmp(list[i].name, list[k].name)) abort();
        ap_arena a = {0};
        ap_bucket *again = NULL;
        size_t count = 0;
        must(ap_buckets_of(m, list[i].shapes, args, &a, &again, &count));
        if (count != 1) abort();
        ap_arena_release(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = ap_strndup((const char *)data, size), *rest = text;
    const char *args[MOST_ARGS];
    size_t count = 0, n = 0;
    while (count < MOST_ARGS && rest) args[count++] = strsep(&rest, "\n");
    ap_model *m = model();
    ap_arena a = {0};
    ap_bucket *list = NULL;
    ap_err err = ap_buckets_of(m, args, count, &a, &list, &n);
    ap_code code = ap_err_code(err);
    if (err && code != AP_ERR_USAGE && code != AP_ERR_INPUT_SHAPE) abort();
    if (!err) check(m, list, n, count);
    ap_err_free(err);
    ap_arena_release(&a);
    ap_model_free(m);
    free(text);
    return 0;
}
