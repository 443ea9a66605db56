// SPDX-License-Identifier: Apache-2.0
// The pass `cast`: of two Casts the first goes when its type holds every value of what it reads, so that the
// second converts the same numbers.
#include "graph/nodes.h"
#include "surgery/pass/fold.h"

// Sign, whole-number bits and exponent bits a type can hold exactly.
static const struct range {
    ap_dtype t;
    bool negative, real;
    int digits, exponent;
} ranges[] = {
    {AP_BOOL, false, false, 1, 0}, {AP_U8, false, false, 8, 0},   {AP_I8, true, false, 7, 0},
    {AP_U16, false, false, 16, 0}, {AP_I16, true, false, 15, 0},  {AP_U32, false, false, 32, 0},
    {AP_I32, true, false, 31, 0},  {AP_U64, false, false, 64, 0}, {AP_I64, true, false, 63, 0},
    {AP_BF16, true, true, 8, 8},   {AP_F16, true, true, 11, 5},   {AP_F32, true, true, 24, 8},
    {AP_F64, true, true, 53, 11},
};

static const struct range *range_of(ap_dtype t) {
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].t == t) return &ranges[i];
    return NULL;
}

// Float16 holds whole numbers of up to 11 bits and its exponent reaches them; wider floats likewise.
static bool holds(ap_dtype outer, ap_dtype inner) {
    const struct range *o = range_of(outer), *i = range_of(inner);
    if (!o || !i || outer == AP_BOOL) return outer == inner;
    return (o->negative || !i->negative) && (o->real || !i->real) && o->digits >= i->digits &&
           o->exponent >= i->exponent;
}

static ap_node *cast_before(const ap_node *n) {
    ap_node *p = ap_node_is(n, "Cast") && n->inputs[0] ? n->inputs[0]->producer : NULL;
    return p && ap_node_is(p, "Cast") && p->inputs[0] ? p : NULL;
}

ap_err ap_pass_cast(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    ap_types *types = NULL;
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *first = cast_before(g->nodes[i]);
        if (!first) continue;
        ap_err err = types ? NULL : ap_types_measure(m, c, &types);
        if (err) return err;
        const ap_value_type *from = ap_types_get(types, first->inputs[0]);
        if (!from || !holds((ap_dtype)ap_node_attr_int(first, "to", 0), from->dtype)) continue;
        err = ap_node_set_input(g, g->nodes[i], 0, first->inputs[0]);
        if (err) return err;
        ap_pass_touch(r, "Cast");
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}
