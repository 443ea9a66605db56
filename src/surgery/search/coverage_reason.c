// SPDX-License-Identifier: Apache-2.0
// Reasons, as tables: what is left has one of these, or the chain that came nearest.
#include "surgery/search/coverage_priv.h"

#include <string.h>

#define SHAPE_BY_DATA "data-dependent output shape"

// ---- operators

static const struct {
    const char *op, *kind;
} hopeless[] = {
    {"NonZero", SHAPE_BY_DATA},           {"Unique", SHAPE_BY_DATA},       {"Compress", SHAPE_BY_DATA},
    {"NonMaxSuppression", SHAPE_BY_DATA}, {"StringNormalizer", "strings"}, {"StringConcat", "strings"},
    {"StringSplit", "strings"},           {"RegexFullMatch", "strings"},   {"TfIdfVectorizer", "strings"},
};

coverage_reason coverage_hopeless(const ap_probe *p, ap_arena *arena) {
    const char *kind = p->random ? "random" : NULL;
    for (size_t i = 0; i < p->input_count && !kind; i++)
        if (p->inputs[i].type.dtype == AP_STRING) kind = "strings";
    for (size_t n = 0; n < p->graph->n_node && !kind; n++)
        for (size_t i = 0; i < sizeof hopeless / sizeof *hopeless; i++)
            if (strcmp(hopeless[i].op, p->graph->node[n]->op_type) == 0) kind = hopeless[i].kind;
    return (coverage_reason){kind, kind ? ap_arena_strdup(arena, kind) : NULL};
}

// ---- an operand that decides shapes and is no constant

static bool is_input(const ap_probe *p, const char *name) {
    for (size_t i = 0; i < p->input_count; i++)
        if (!strcmp(p->inputs[i].name, name)) return true;
    return false;
}

static const char *by_operand(const ap_probe *p, const ap_model *m, ap_arena *arena) {
    (void)m;
    for (size_t n = 0; n < p->graph->n_node; n++) {
        const Onnx__NodeProto *node = p->graph->node[n];
        for (size_t i = 0; i < node->n_input; i++)
            if (ap_probe_decides_shape(node->op_type, i) && is_input(p, node->input[i]))
                return ap_arena_printf(arena,
                                       "operand %zu of %s decides the shape and is data; 'aipc surgery "
                                       "--fix' makes it a constant",
                                       i, node->op_type);
    }
    return NULL;
}

// ---- types and ranks of inputs and outputs, which no rule may change

enum { MOST_RANK = 5 };

static const char *interface_value(const ap_model *m, bool (*bad)(const ap_value_type *t), ap_value_type *t) {
    for (size_t pass = 0; m && pass < 2; pass++) {
        size_t n = pass ? m->graph->output_count : m->graph->input_count;
        for (size_t i = 0; i < n; i++) {
            const ap_value *v = pass ? m->graph->outputs[i] : m->graph->inputs[i];
            if (ap_value_shape(v, &t->dtype, t->dims, &t->rank, NULL) && bad(t))
                return pass ? "output" : "input";
        }
    }
    return NULL;
}

static bool no_such_type(const ap_value_type *t) {
    return t->dtype == AP_F64 || t->dtype == AP_BF16;
}

static bool rank_too_high(const ap_value_type *t) {
    return t->rank > MOST_RANK;
}

static const char *by_type(const ap_probe *p, const ap_model *m, ap_arena *arena) {
    ap_value_type t;
    const char *which = interface_value(m, no_such_type, &t);
    (void)p;
    return which ? ap_arena_printf(arena, "an %s of type %s: the target has no such tensors", which,
                                   ap_dtype_name(t.dtype))
                 : NULL;
}

static const char *by_rank(const ap_probe *p, const ap_model *m, ap_arena *arena) {
    ap_value_type t;
    const char *which = interface_value(m, rank_too_high, &t);
    (void)p;
    return which ? ap_arena_printf(arena, "an %s of rank %zu: the target takes none above %d", which, t.rank,
                                   MOST_RANK)
                 : NULL;
}

// ---- what the target said

// Text of its answer → what it comes to.
static const struct {
    const char *says, *kind, *text;
} answers[] = {
    {"is below what float16 holds", "range of float16",
     "the results are below the smallest number of float16"},
    {"NaN or Inf on one side only", "range of float16",
     "the target has no infinity in float16: it comes out as about 65504. In front of Softmax, Exp or Max "
     "that is all the same; "
     "asked with what follows it is taken"},
    {"QNN_COMMON_ERROR_MEM_ALLOC", "no float16",
     "the SoC has no float16; the library builds some operators of float32 for it and not this one "
     "(MEM_ALLOC 1002). Float "
     "models are not deployed there: quantize"},
};

static coverage_reason by_answer(const char *last, ap_arena *arena) {
    for (size_t i = 0; last && i < sizeof answers / sizeof *answers; i++)
        if (strstr(last, answers[i].says))
            return (coverage_reason){answers[i].kind, ap_arena_strdup(arena, answers[i].text)};
    return (coverage_reason){0};
}

// ---- the table, in order

static const struct {
    const char *kind;
    const char *(*find)(const ap_probe *p, const ap_model *m, ap_arena *arena);
} table[] = {
    {SHAPE_BY_DATA, by_operand},
    {"type of the interface", by_type},
    {"rank of the interface", by_rank},
};

coverage_reason coverage_why(const ap_probe *p, const ap_model *m, const char *last, ap_arena *arena) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *text = table[i].find(p, m, arena);
        if (text)
            return (coverage_reason){table[i].kind, ap_arena_printf(arena, "%s: %s", table[i].kind, text)};
    }
    return by_answer(last, arena);
}
