// SPDX-License-Identifier: Apache-2.0
// Where the numbers of a model first go wrong whose inner tensors cannot be shown without changing what the
// target computes: quantised ones above all, in which it makes one operation of an operator and the
// DequantizeLinear and QuantizeLinear around it. The graph is cut behind one tensor after the other, by
// bisection: what is wrong is taken to stay wrong downstream.
#include "golden/trace.h"
#include "plan/surgery/whole_priv.h"
#include "surgery/search/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CUTS = 400 };

typedef struct cutter {
    ap_whole_host *h;
    const ap_model *m;
    const char *file, *base;
    const json_t *want; // TENSOR list of the oracle
    double floor_db;
    ap_arena arena;
    size_t cuts;
} cutter;

// What an operation of whole numbers gives, as real numbers: offsets of the whole ones would hide errors.
static bool ends_operation(const ap_value *v) {
    const ap_node *dq = v ? v->producer : NULL;
    return ap_node_dequantizes(dq) && dq->inputs[0] && ap_node_quantizes(dq->inputs[0]->producer);
}

bool whole_is_quantised(const ap_model *m) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (ap_node_quantizes(m->graph->nodes[i])) return true;
    return false;
}

json_t *whole_cut_names(const ap_model *m) {
    const char **names = NULL;
    size_t count = 0, n = 0;
    bool quantised = whole_is_quantised(m);
    json_t *list = json_array();
    ap_trace_candidates(m, &names, &count);
    for (size_t i = 0; i < count; i++)
        if (!quantised || ends_operation(ap_graph_value(m->graph, names[i]))) names[n++] = names[i];
    for (size_t i = 0, step = n / MOST_CUTS + 1; i < n; i += step)
        json_array_append_new(list, ap_json_string(names[i]));
    free(names);
    return list;
}

// The model that ends in this tensor, on the target.
static ap_err run_cut(cutter *c, const char *name, const char *dir, json_t **values) {
    json_t *built = NULL, *result = NULL;
    json_t *spec = json_pack("{ss,s{sO,s[o]}}", "file", c->file, "extract", "inputs", c->h->inputs, "outputs",
                             ap_json_string(name));
    ap_err err = NULL;
    AP_TRY(whole_call(c->h, false, "build",
                      json_pack("{so,ss,ss,sb}", "model", spec, "dir", dir, "precision", c->h->precision,
                                "allow_cpu", c->h->allow_cpu),
                      &built));
    if (json_object_get(built, "refusal")) AP_FAIL(AP_ERR_REFUSED, "cut behind '%s' it is refused", name);
    AP_TRY(whole_call(c->h, false, "run", json_pack("{sO,ss}", "inputs", c->h->inputs, "dir", dir), &result));
    *values = json_incref(json_object_get(result, "outputs"));
done:
    json_decref(built);
    json_decref(result);
    return err;
}

// *entry: how it compares (golden/trace.h), NULL where there is no answer. *bad: it is wrong.
static ap_err cut_behind(cutter *c, const char *name, json_t **entry, bool *bad) {
    char *dir = ap_path_join(&c->arena, c->base, ap_arena_printf(&c->arena, "cut-%zu", c->cuts++));
    json_t *values = NULL, *trace = NULL;
    ap_err err = NULL;
    *entry = NULL;
    *bad = false;
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(run_cut(c, name, dir, &values));
    AP_TRY(ap_trace_compare(c->m, c->want, values, &trace));
    *entry = json_incref(json_array_get(trace, 0));
    double db = ap_json_to_real(json_object_get(*entry, "sqnr_db"));
    if (*entry) ap_context_log(c->h->ctx, AIPC_DEBUG, "cut behind '%s': %.1f dB", name, db);
    *bad =
        *entry &&
        !(db >= (ap_json_bool(*entry, "whole", false) ? fmax(c->floor_db, AP_TRACE_WHOLE_DB) : c->floor_db));
done:
    json_decref(values);
    json_decref(trace);
    ap_code code = ap_err_code(err);
    if (code == AP_ERR_REFUSED || code == AP_ERR_VENDOR || whole_is_worker_death(code)) { // no answer
        ap_context_log(c->h->ctx, AIPC_DEBUG, "cut behind '%s': %s", name, ap_err_message(err));
        ap_err_free(err);
        err = NULL;
    }
    return err;
}

ap_err whole_cut(ap_whole_host *h, const ap_model *m, const char *file, const char *base, const json_t *names,
                 const json_t *want, double floor_db, json_t **first) {
    cutter c = {.h = h, .m = m, .file = file, .base = base, .want = want, .floor_db = floor_db};
    size_t lo = 0,
           hi = json_array_size(names) + 1; // behind the last: the end of the graph, known to be wrong
    ap_err err = NULL;
    *first = NULL;
    while (hi - lo > 1 && !err) {
        size_t mid = lo + (hi - lo) / 2;
        json_t *entry = NULL;
        bool bad = false;
        err = cut_behind(&c, json_string_value(json_array_get(names, mid - 1)), &entry, &bad);
        if (bad) {
            json_decref(*first);
            *first = json_incref(entry);
        }
        json_decref(entry);
        *(bad ? &hi : &lo) = mid;
    }
    ap_arena_release(&c.arena);
    return err;
}
