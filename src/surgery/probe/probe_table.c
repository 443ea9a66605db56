// SPDX-License-Identifier: Apache-2.0
// Probes from the table of variants (data/probe_variants.json).
#include "base/data.h"
#include "base/log.h"
#include "base/rand.h"
#include "surgery/probe/probe_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const words[] = {
#define WORD(name, word, text) word,
    AP_PROBE_VERDICTS(WORD)
#undef WORD
};

const char *ap_probe_verdict_word(ap_probe_verdict v) {
    return (size_t)v < AP_PROBE_VERDICT_COUNT ? words[v] : "?";
}

ap_probe_verdict ap_probe_verdict_from(const char *word) {
    for (size_t i = 0; i < AP_PROBE_VERDICT_COUNT; i++)
        if (strcmp(words[i], word) == 0) return (ap_probe_verdict)i;
    return AP_PROBE_UNASKED;
}

void ap_probe_set_release(ap_probe_set *s) {
    free(s->list);
    ap_arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

ap_probe *ap_probe_push(ap_probe_set *s) {
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->list = ap_realloc(s->list, s->cap * sizeof *s->list);
    }
    ap_probe *p = &s->list[s->count++];
    memset(p, 0, sizeof *p);
    return p;
}

// ---- one variant

static uint64_t seed_of(const char *op, const char *name) {
    uint64_t h = 1;
    for (const char *p = op; *p; p++) h = ap_mix64(h ^ (unsigned char)*p);
    for (const char *p = name; *p; p++) h = ap_mix64(h ^ (unsigned char)*p);
    return h;
}

static ap_err add_input(ap_probe_set *s, ap_probe *p, const json_t *j, const char *name) {
    ap_probe_input *in = &p->inputs[p->input_count];
    ap_err err = ap_probe_make_type(j, &in->type);
    if (!err) err = ap_probe_values_from_json(json_object_get(j, "values"), &s->arena, &in->values);
    if (err) return err;
    in->name = name;
    p->input_count++;
    return NULL;
}

// A body and its data as the table writes it: {op, attrs, inputs, outputs: count}.
static ap_err single_node(ap_probe_set *s, ap_probe *p, const json_t *j, uint64_t seed) {
    ap_arena *a = &s->arena;
    const json_t *ins = json_object_get(j, "inputs");
    json_t *attrs = json_object_get(j, "attrs"), *value;
    const char *key;
    size_t n = json_array_size(ins);
    int64_t outs = ap_json_int(j, "outputs", 1);
    if (outs < 1 || outs > 64)
        return ap_err_new(AP_ERR_CORRUPT, "the table of probe variants: %lld outputs", (long long)outs);
    Onnx__NodeProto *node = ap_probe_make_node(a, p->op, p->domain, n, (size_t)outs, json_object_size(attrs));
    Onnx__GraphProto *g = p->graph;
    g->initializer = ap_arena_calloc(a, n + 1, sizeof *g->initializer);
    g->input = ap_arena_calloc(a, n + 1, sizeof *g->input);
    g->output = ap_arena_calloc(a, (size_t)outs, sizeof *g->output);
    ap_err err = NULL;
    json_object_foreach(attrs, key, value)
        AP_TRY(ap_probe_make_attribute(a, key, value, &node->attribute[node->n_attribute++]));
    for (size_t i = 0; i < n; i++) {
        const json_t *in = json_array_get(ins, i), *symbols = json_object_get(in, "symbols");
        node->input[i] = json_is_null(in) ? ap_arena_strdup(a, "") : ap_arena_printf(a, "x%zu", i);
        if (json_is_null(in)) continue;
        if (ap_json_bool(in, "const", false)) {
            AP_TRY(
                ap_probe_make_constant(a, node->input[i], in, seed + i, &g->initializer[g->n_initializer]));
            g->n_initializer++;
            continue;
        }
        AP_TRY(add_input(s, p, in, node->input[i]));
        ap_value_type open = p->inputs[p->input_count - 1].type;
        json_object_foreach((json_t *)(uintptr_t)symbols, key, value) {
            size_t axis = (size_t)strtoul(key, NULL, 10);
            if (axis < open.rank) open.dims[axis] = -1;
        }
        g->input[g->n_input++] = ap_probe_make_value_info(a, node->input[i], &open);
    }
    for (size_t i = 0; i < (size_t)outs; i++) {
        node->output[i] = ap_arena_printf(a, "y%zu", i);
        g->output[g->n_output++] = ap_probe_make_value_info(a, node->output[i], NULL);
    }
    g->node = ap_arena_calloc(a, 1, sizeof *g->node);
    g->node[g->n_node++] = node;
done:
    return err;
}

static ap_err pattern(ap_probe_set *s, ap_probe *p, const json_t *j, uint64_t seed) {
    const json_t *ins = json_object_get(j, "inputs");
    ap_err err = ap_probe_make_graph(&s->arena, j, seed, &p->graph);
    for (size_t i = 0; !err && i < json_array_size(ins); i++)
        err = add_input(s, p, json_array_get(ins, i), p->graph->input[i]->name);
    return err;
}

ap_err ap_probe_add_variant(ap_probe_set *s, const json_t *j, int64_t default_opset) {
    const char *op = ap_json_str(j, "op", NULL), *name = ap_json_str(j, "name", NULL);
    if (!op || !name)
        return ap_err_new(AP_ERR_CORRUPT, "the table of probe variants: an entry without op or name");
    ap_arena *a = &s->arena;
    ap_probe *p = ap_probe_push(s);
    p->op = ap_arena_strdup(a, op);
    p->variant = ap_arena_strdup(a, name);
    p->domain = ap_arena_strdup(a, ap_json_str(j, "domain", ""));
    p->alone = ap_json_bool(j, "alone", false);
    p->random = ap_json_bool(j, "random", false);
    p->inputs = ap_arena_calloc(a, json_array_size(json_object_get(j, "inputs")) + 1, sizeof *p->inputs);
    p->graph = ap_arena_alloc(a, sizeof *p->graph);
    onnx__graph_proto__init(p->graph);
    p->opsets = ap_arena_calloc(a, 2, sizeof *p->opsets);
    p->opsets[p->opset_count++] = ap_probe_make_opset(a, "", ap_json_int(j, "opset", default_opset));
    if (*p->domain) p->opsets[p->opset_count++] = ap_probe_make_opset(a, p->domain, 1);
    p->seed = (uint64_t)ap_json_int(j, "seed", 0);
    uint64_t seed = seed_of(op, name) ^ p->seed;
    ap_err err = json_object_get(j, "nodes") ? pattern(s, p, j, seed) : single_node(s, p, j, seed);
    if (err) {
        s->count--;
        return ap_err_context(err, "variant '%s %s'", op, name);
    }
    ap_probe_sign(s, p);
    return NULL;
}

// ---- the whole table

ap_err ap_probe_table(json_t **out) {
    size_t len = 0;
    const char *text = ap_data_get("probe_variants.json", &len);
    if (!text) return ap_err_new(AP_ERR_INTERNAL, "this build has no data/probe_variants.json");
    return ap_json_parse(text, len, "probe_variants.json", AP_ERR_CORRUPT, out);
}

bool ap_probe_is_about(const json_t *variant, const char *op) {
    return !op || strcasecmp(op, ap_json_str(variant, "op", "")) == 0;
}

ap_err ap_probe_add_table(ap_probe_set *s, const char *op, size_t *added) {
    json_t *table = NULL, *list, *v;
    size_t i, n = 0;
    ap_err err = ap_probe_table(&table);
    if (err) return err;
    list = json_object_get(table, "variants");
    json_array_foreach(list, i, v) {
        if (!ap_probe_is_about(v, op)) continue;
        AP_TRY(ap_probe_add_variant(s, v, ap_json_int(table, "opset", 17)));
        n++;
    }
    *added = n;
done:
    json_decref(table);
    return err;
}

const char *ap_probe_nearest_op(const char *word, ap_arena *arena) {
    json_t *table = NULL, *v;
    size_t i, n = 0;
    ap_err err = ap_probe_table(&table);
    if (err) {
        ap_err_free(err);
        return NULL;
    }
    const json_t *list = json_object_get(table, "variants");
    const char **names = ap_calloc(json_array_size(list) + 1, sizeof *names);
    json_array_foreach(list, i, v) names[n++] = ap_json_str(v, "op", "");
    const char *best = ap_nearest(word, names, n);
    best = ap_arena_strdup(arena, best);
    free(names);
    json_decref(table);
    return best;
}
