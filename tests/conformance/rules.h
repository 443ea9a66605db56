// SPDX-License-Identifier: Apache-2.0
// Every rule at every node it fits: what ONNX Runtime computes must stay what the rule's class allows.
#ifndef AP_TEST_CONFORMANCE_RULES_H
#define AP_TEST_CONFORMANCE_RULES_H

#include "engine/oracle.h"
#include "surgery/apply/apply.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct rule_bench {
    ap_engine *engine;
    const ap_rules *rules;
    const ap_named_tensor *in;
    size_t in_count;
    ap_map types; // value → ap_value_type *
    ap_arena arena;
    size_t fired, refused, bad;
    char why[200];
} rule_bench;

typedef struct rule_outs {
    ap_tensor list[64];
    size_t count;
} rule_outs;

static inline void rule_outs_free(rule_outs *o) {
    for (size_t i = 0; i < o->count; i++) ap_tensor_free(&o->list[i]);
    o->count = 0;
}

static inline ap_err rule_keep(void *user, const char *name, const ap_tensor *t) {
    rule_outs *o = user;
    (void)name;
    if (o->count == 64 || !ap_dtype_bits(t->dtype))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "no tensor of numbers");
    return ap_tensor_clone(t, &o->list[o->count++]);
}

static inline ap_err rule_piece(void *user, ap_model *piece, const ap_named_tensor *in, size_t n,
                                ap_tensor *out, size_t count) {
    rule_bench *b = user;
    rule_outs o = {.count = 0};
    ap_oracle_options q = {.threads = 1, .sink = rule_keep, .user = &o};
    ap_err err = ap_oracle_run(b->engine, piece, in, n, &q, NULL);
    if (!err && o.count != count) err = ap_err_new(AP_ERR_INTERNAL, "%zu outputs", o.count);
    if (err) {
        rule_outs_free(&o);
        return err;
    }
    memcpy(out, o.list, count * sizeof *out);
    return NULL;
}

static inline ap_err rule_note(void *user, const char *name, const ap_tensor *t) {
    rule_bench *b = user;
    if (!ap_dtype_bits(t->dtype)) return NULL;
    ap_value_type *type = ap_arena_calloc(&b->arena, 1, sizeof *type);
    *type = (ap_value_type){.dtype = t->dtype, .rank = t->rank};
    memcpy(type->dims, t->dims, t->rank * sizeof *t->dims);
    ap_map_set(&b->types, ap_arena_strdup(&b->arena, name), type);
    return NULL;
}

static inline bool rule_type(void *user, const ap_value *v, ap_value_type *out) {
    const ap_value_type *t = ap_map_get(&((rule_bench *)user)->types, v->name);
    if (t) *out = *t;
    return t != NULL;
}

static inline ap_err rule_run(rule_bench *b, ap_model *m, rule_outs *out) {
    ap_oracle_options q = {.threads = 1, .sink = rule_keep, .user = out};
    return ap_oracle_run(b->engine, m, b->in, b->in_count, &q, NULL);
}

// ---- what a class allows

static inline bool finite_tensor(const ap_tensor *t) {
    for (size_t i = 0; i < ap_tensor_count(t); i++)
        if (!isfinite(ap_tensor_at(t, i))) return false;
    return true;
}

static inline double grain(ap_dtype t) {
    return t == AP_F16 ? 0x1p-10 : t == AP_BF16 ? 0x1p-7 : t == AP_F64 ? 0x1p-52 : 0x1p-23;
}

static inline bool rule_allows(const ap_rule_class *c, const ap_tensor *a, const ap_tensor *b) {
    double scale = 0, signal = 0, noise = 0, worst = 0;
    size_t n = ap_tensor_count(a);
    if (a->dtype != b->dtype || !ap_shape_equal(a->dims, a->rank, b->dims, b->rank)) return false;
    if (c->finite && !(finite_tensor(a) && finite_tensor(b))) return true;
    for (size_t i = 0; i < n; i++) {
        double x = ap_tensor_at(a, i), y = ap_tensor_at(b, i);
        if (x == y || (isnan(x) && (isnan(y) || c->refines))) continue;
        if (!isfinite(x) || !isfinite(y)) return false;
        worst = fmax(worst, fabs(x - y));
        noise += (x - y) * (x - y);
    }
    for (size_t i = 0; i < n; i++) {
        double x = ap_tensor_at(a, i);
        if (!isfinite(x)) continue;
        scale = fmax(scale, fabs(x));
        signal += x * x;
    }
    switch (c->kind) {
    case AP_CLASS_ULP: return worst <= 4 * (double)c->amount * grain(a->dtype) * scale;
    case AP_CLASS_DB: // half precision cannot show more than its grain
        return noise == 0 ||
               10 * log10(signal / noise) >= fmin((double)c->amount, -20 * log10(grain(a->dtype)) - 12);
    default: return worst == 0;
    }
}

// ---- one rule at one node

static inline void rule_blame(rule_bench *b, const ap_rule *r, const char *node, const char *what) {
    if (!b->bad++) snprintf(b->why, sizeof b->why, "%.60s at %.40s: %.80s", r->name, node, what);
}

static inline ap_err rule_once(rule_bench *b, const ap_rule *r, const ap_buf *bytes, size_t index,
                               const rule_outs *golden) {
    ap_model *m = NULL;
    ap_facts *facts = NULL;
    ap_match *match = NULL;
    ap_applied applied = {0};
    rule_outs now = {.count = 0};
    ap_piece_oracle oracle = {rule_piece, b};
    ap_err err = NULL;
    AP_TRY(ap_model_parse(bytes->data, bytes->len, NULL, &m));
    ap_match_env env = {.model = m, .rules = b->rules, .types = {rule_type, b}, .oracle = &oracle};
    AP_TRY(ap_facts_new(m, &env.types, AP_F32, &facts));
    env.facts = facts;
    ap_node *n = m->graph->nodes[index];
    AP_TRY(ap_rule_match(r, &env, n, &match, NULL));
    if (!match) goto done;
    ap_rule_class cls = match->cls;
    char node[64];
    snprintf(node, sizeof node, "%s", n->op);
    err = ap_match_apply(match, &applied);
    if (ap_err_code(err) == AP_ERR_REFUSED) {
        b->refused++;
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    b->fired++;
    for (size_t i = 0; i < b->in_count && cls.finite; i++)
        if (!finite_tensor(&b->in[i].t)) goto done; // nothing is said of these
    err = rule_run(b, m, &now);
    if (err) {
        rule_blame(b, r, node, ap_err_message(err));
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    bool good = now.count == golden->count;
    for (size_t i = 0; good && i < now.count; i++) good = rule_allows(&cls, &golden->list[i], &now.list[i]);
    if (!good) rule_blame(b, r, node, "another result");
done:
    ap_applied_release(&applied);
    ap_match_free(match);
    ap_facts_free(facts);
    ap_model_free(m);
    rule_outs_free(&now);
    return err;
}

// All rules at all nodes. Errors: the oracle's, of the model as it is.
static inline ap_err rules_everywhere(rule_bench *b, ap_model *m) {
    ap_buf bytes = {0};
    ap_model *copy = NULL;
    rule_outs golden = {.count = 0};
    ap_err err = NULL;
    size_t most = 4 * m->graph->node_count + m->graph->input_count + 1, count = 0;
    const char **names = ap_arena_calloc(&b->arena, most, sizeof *names);
    AP_TRY(ap_model_bytes(m, &bytes));
    AP_TRY(ap_model_parse(bytes.data, bytes.len, NULL, &copy));
    AP_TRY(rule_run(b, copy, &golden));
    for (size_t i = 0; i < b->in_count; i++) AP_TRY(rule_note(b, b->in[i].name, &b->in[i].t));
    for (size_t i = 0; i < copy->graph->node_count; i++)
        for (size_t k = 0; k < copy->graph->nodes[i]->output_count && count < most; k++)
            if (copy->graph->nodes[i]->outputs[k]) names[count++] = copy->graph->nodes[i]->outputs[k]->name;
    ap_oracle_options q = {
        .tensors = names, .tensor_count = count, .threads = 1, .sink = rule_note, .user = b};
    if (count) AP_TRY(ap_oracle_run(b->engine, copy, b->in, b->in_count, &q, NULL));
    for (size_t i = 0; i < copy->graph->node_count; i++) {
        const ap_node *n = copy->graph->nodes[i];
        size_t rules;
        const ap_rule *const *list = ap_rules_for(b->rules, n->domain, n->op, &rules);
        for (size_t r = 0; r < rules; r++) AP_TRY(rule_once(b, list[r], &bytes, i, &golden));
    }
done:
    rule_outs_free(&golden);
    ap_model_free(copy);
    ap_buf_free(&bytes);
    return err;
}

#endif
