// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/clean_gate.h"

#include "surgery/pass/clean.h"
#include "tensor/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct collect {
    const ap_graph *g;
    ap_tensor *list; // of the current set
    ap_outputs *all;
} collect;

static ap_err keep(void *user, const char *name, const ap_tensor *t) {
    collect *c = user;
    for (size_t i = 0; i < c->g->output_count; i++) {
        if (strcmp(c->g->outputs[i]->name, name) != 0) continue;
        ap_tensor_free(&c->list[i]);
        return ap_dtype_bits(t->dtype) ? ap_tensor_clone(t, &c->list[i]) : NULL;
    }
    return NULL;
}

static ap_err keep_of(void *user, size_t set, const char *name, const ap_tensor *t) {
    collect *c = user;
    if (set >= c->all->sets)
        return ap_err_new(AP_ERR_WORKER_GARBAGE, "the oracle answers for a set it was not given");
    c->list = c->all->list + set * c->all->per_set;
    return keep(c, name, t);
}

ap_err ap_outputs_run(const ap_surgery_oracle *o, ap_model *m, ap_outputs *out) {
    ap_outputs all = {.sets = o->sets, .per_set = m->graph->output_count};
    ap_err err = NULL;
    all.list = ap_calloc(all.sets * all.per_set + 1, sizeof *all.list);
    collect c = {.g = m->graph, .all = &all};
    if (o->run_sets) AP_TRY(o->run_sets(o->user, m, keep_of, &c));
    for (size_t i = 0; !o->run_sets && i < all.sets; i++) {
        c.list = all.list + i * all.per_set;
        AP_TRY(o->run(o->user, m, i, NULL, 0, false, keep, &c));
    }
    ap_outputs_free(out);
    *out = all;
    return NULL;
done:
    ap_outputs_free(&all);
    return err;
}

void ap_outputs_free(ap_outputs *o) {
    for (size_t i = 0; o->list && i < o->sets * o->per_set; i++) ap_tensor_free(&o->list[i]);
    free(o->list);
    *o = (ap_outputs){0};
}

typedef struct worst {
    size_t unjudged;
    bool bit_equal, close;
    double sqnr_db, max_abs;
} worst;

static bool same_bits(const ap_tensor *a, const ap_tensor *b) {
    return a->dtype == b->dtype && ap_shape_equal(a->dims, a->rank, b->dims, b->rank) &&
           a->bytes == b->bytes && (!a->bytes || !memcmp(a->data, b->data, a->bytes));
}

static ap_err judge_one(const ap_tensor *want, const ap_tensor *have, double db, worst *w) {
    ap_metrics m;
    if (!want->dtype && !have->dtype) {
        w->unjudged++;
        return NULL;
    }
    if (same_bits(want, have)) return NULL;
    w->bit_equal = false;
    if (want->dtype != have->dtype || !ap_shape_equal(want->dims, want->rank, have->dims, have->rank)) {
        w->close = false;
        w->sqnr_db = -INFINITY;
        return NULL;
    }
    ap_err err = ap_metrics_compare(want, have, AP_CHANNEL_AXIS, &m);
    if (err) return err;
    if (m.sqnr_db < w->sqnr_db) w->sqnr_db = m.sqnr_db;
    if (m.max_abs > w->max_abs) w->max_abs = m.max_abs;
    bool near = m.sqnr_db >= db || m.max_abs <= AP_CLEAN_ROUNDING_ABS;
    if (!ap_dtype_is_float(want->dtype) || m.nonfinite_mismatch || !near) w->close = false;
    return NULL;
}

// `db` infinite: the same bits.
static ap_err judge(const ap_outputs *want, const ap_outputs *have, double db, json_t **gate, bool *passed) {
    worst w = {.bit_equal = true, .close = true, .sqnr_db = INFINITY};
    bool exact = isinf(db);
    if (want->sets != have->sets || want->per_set != have->per_set)
        return ap_err_new(AP_ERR_INTERNAL, "outputs of two models with different interfaces are compared");
    for (size_t i = 0; i < want->sets * want->per_set; i++) {
        ap_err err = judge_one(&want->list[i], &have->list[i], db, &w);
        if (err) return err;
    }
    *passed = exact ? w.bit_equal : w.close;
    *gate = json_pack("{sI,sI,sI,sb,so,so,so,so,sb}", "sets", (json_int_t)want->sets, "outputs",
                      (json_int_t)want->per_set, "unjudged", (json_int_t)w.unjudged, "bit_equal", w.bit_equal,
                      "sqnr_db", ap_json_real(w.sqnr_db), "max_abs", ap_json_real(w.max_abs), "threshold_db",
                      ap_json_real(db), "threshold_abs", ap_json_real(exact ? 0 : AP_CLEAN_ROUNDING_ABS),
                      "passed", *passed);
    return NULL;
}

ap_err ap_outputs_judge(const ap_outputs *want, const ap_outputs *have, ap_exactness e, json_t **gate,
                        bool *passed) {
    return judge(want, have, e == AP_EXACT ? (double)INFINITY : AP_CLEAN_ROUNDING_DB, gate, passed);
}

ap_err ap_outputs_judge_db(const ap_outputs *want, const ap_outputs *have, double db, json_t **gate,
                           bool *passed) {
    return judge(want, have, db, gate, passed);
}

static void add_list(ap_sha256 *h, Onnx__ValueInfoProto *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t bytes = onnx__value_info_proto__get_packed_size(list[i]);
        uint8_t *packed = ap_alloc(bytes);
        onnx__value_info_proto__pack(list[i], packed);
        ap_sha256_add(h, &bytes, sizeof bytes);
        ap_sha256_add(h, packed, bytes);
        free(packed);
    }
}

ap_digest ap_interface_digest(const ap_model *m) {
    const Onnx__GraphProto *g = m->proto->graph;
    ap_sha256 h;
    ap_sha256_init(&h);
    ap_sha256_add(&h, &g->n_input, sizeof g->n_input);
    add_list(&h, g->input, g->n_input);
    add_list(&h, g->output, g->n_output);
    return ap_sha256_finish(&h);
}
