// SPDX-License-Identifier: Apache-2.0
#include "surgery/search/coverage.h"

#include "surgery/search/coverage_priv.h"
#include "surgery/search/search_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One probe that needs repair.
typedef struct job {
    const ap_probe *probe;
    size_t index; // in the set
    ap_arena arena;
    uint8_t *bytes;  // of `model`, borrowed by it
    ap_model *model; // borrowed from `clean` when that has one
    ap_cleaned clean;
    json_t *passes; // that made `clean`; NULL
    ap_piece piece;
    bool cut, given, frozen;
    coverage_reason why_not; // it is not searched at all
    ap_search_result result;
    bool searched;
} job;

// ---- the probe as a model

static bool is_open(const Onnx__ValueInfoProto *v) {
    const Onnx__TensorShapeProto *shape =
        v->type && v->type->tensor_type ? v->type->tensor_type->shape : NULL;
    for (size_t i = 0; shape && i < shape->n_dim; i++)
        if (shape->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) return true;
    return false;
}

static ap_err make_model(job *j) {
    const ap_probe *p = j->probe;
    Onnx__GraphProto g = *p->graph;
    Onnx__ModelProto m;
    onnx__model_proto__init(&m);
    g.input = ap_arena_calloc(&j->arena, g.n_input + 1, sizeof *g.input);
    for (size_t i = 0; i < g.n_input; i++) {
        j->frozen |= is_open(p->graph->input[i]);
        g.input[i] = ap_probe_make_value_info(&j->arena, p->inputs[i].name, &p->inputs[i].type);
    }
    m.graph = &g;
    m.has_ir_version = 1;
    m.ir_version = AP_PROBE_IR_VERSION;
    m.opset_import = p->opsets;
    m.n_opset_import = p->opset_count;
    size_t bytes = onnx__model_proto__get_packed_size(&m);
    j->bytes = ap_alloc(bytes + 1);
    onnx__model_proto__pack(&m, j->bytes);
    return ap_model_parse(j->bytes, bytes, NULL, &j->model);
}

// ---- facts and values

static json_t *draws_of(const ap_probe *p) {
    json_t *facts = json_object();
    for (size_t i = 0; i < p->input_count; i++)
        json_object_set_new(facts, p->inputs[i].name,
                            json_pack("{so}", "values", ap_probe_values_json(&p->inputs[i].values)));
    return facts;
}

static void fact_of_list(const ap_probe_values *v, ap_fact *f) {
    f->lo = INFINITY;
    f->hi = -INFINITY;
    f->integral = f->nonzero = true;
    for (size_t i = 0; i < v->count; i++) {
        f->lo = fmin(f->lo, v->list[i]);
        f->hi = fmax(f->hi, v->list[i]);
        f->integral &= v->list[i] == trunc(v->list[i]);
        f->nonzero &= v->list[i] != 0;
        f->finite &= isfinite(v->list[i]) != 0;
        f->notnan &= !isnan(v->list[i]);
    }
}

// The range a variant is drawn from, taken as the contract of its input.
static ap_fact fact_of_draw(const ap_probe_input *in) {
    const ap_probe_values *v = &in->values;
    ap_fact f = ap_fact_top(in->type.dtype);
    f.finite = f.notnan = true;
    if (v->kind == AP_PROBE_VALUES_INTS) {
        f.lo = fmax(f.lo, ceil(v->a));
        f.hi = fmin(f.hi, ceil(v->b) - 1);
        f.integral = true;
    } else if (v->kind == AP_PROBE_VALUES_UNIFORM) {
        f.lo = fmax(f.lo, v->a);
        f.hi = fmin(f.hi, v->b);
    } else if (v->kind == AP_PROBE_VALUES_LIST && v->count) {
        fact_of_list(v, &f);
    } else if (v->kind == AP_PROBE_VALUES_FILL) {
        f.lo = f.hi = v->a;
        f.integral = v->a == trunc(v->a);
        f.finite = isfinite(v->a) != 0;
    }
    f.nonzero |= f.lo > 0 || f.hi < 0;
    return f;
}

static ap_err seed_draws(const ap_probe *p, ap_facts *f) {
    for (size_t i = 0; i < p->input_count; i++) {
        ap_fact fact = fact_of_draw(&p->inputs[i]);
        ap_err err = ap_facts_seed(f, p->inputs[i].name, &fact);
        if (err) return err;
    }
    return NULL;
}

// ---- cutting

// The whole probe as a piece. `given`: what the table draws is certain.
static ap_err cut(job *j, const ap_search_options *o, bool given) {
    ap_match_env env = {.model = j->model, .rules = o->rules, .compute = o->compute, .oracle = o->oracle};
    json_t *draws = draws_of(j->probe), *draw;
    const char *name;
    ap_err err = NULL;
    if (j->cut) ap_piece_release(&j->piece);
    j->cut = false;
    j->given = given;
    AP_TRY(ap_facts_new(j->model, NULL, o->compute, &env.facts));
    if (given) AP_TRY(seed_draws(j->probe, env.facts));
    AP_TRY(ap_piece_cut(&env, j->model->graph->nodes[0], 64, &j->piece));
    j->cut = true;
    j->piece.must_change = !j->frozen && !j->passes;
    json_object_foreach(draws, name, draw) {
        json_t *fact = json_object_get(j->piece.facts, name);
        if (fact)
            json_object_update(fact, draw);
        else
            json_object_set(j->piece.facts, name, draw);
    }
done:
    json_decref(draws);
    ap_facts_free(env.facts);
    return err;
}

static bool has_bodies(const ap_model *m) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (m->graph->nodes[i]->subgraph_count) return true;
    return false;
}

// Loops of known length become nodes, which rules can be searched for.
static ap_err unroll(job *j, const ap_search_options *o) {
    if (!o->oracle || !has_bodies(j->model)) return NULL;
    ap_err err = coverage_clean(j->probe, j->model, o->oracle, &j->clean, &j->passes);
    if (err) return err;
    ap_model_free(j->model);
    j->model = j->clean.model;
    if (has_bodies(j->model))
        j->why_not = (coverage_reason){"control flow by data",
                                       "control flow by data: what runs is decided by an input"};
    return NULL;
}

static ap_err prepare(job *j, const ap_search_options *o) {
    j->why_not = coverage_hopeless(j->probe, &j->arena);
    if (j->why_not.kind) return NULL;
    json_t *draws = draws_of(j->probe);
    ap_err err = make_model(j);
    if (!err) err = unroll(j, o);
    if (!err && !j->why_not.kind) err = search_types(j->model, draws, o->oracle);
    if (!err && !j->why_not.kind) err = cut(j, o, false);
    json_decref(draws);
    if (err && !search_is_fatal(err)) {
        j->why_not = (coverage_reason){"not asked", ap_arena_strdup(&j->arena, ap_err_message(err))};
        ap_err_free(err);
        err = NULL;
    }
    return err;
}

static void job_release(job *j) {
    if (j->searched) ap_search_result_release(&j->result);
    if (j->cut) ap_piece_release(&j->piece);
    if (j->model != j->clean.model) ap_model_free(j->model);
    ap_cleaned_release(&j->clean);
    json_decref(j->passes);
    free(j->bytes);
    ap_arena_release(&j->arena);
}

// ---- searching

// Chains that came as far as the target.
static size_t chains_of(const ap_search_result *r) {
    size_t count = 0, i;
    json_t *t;
    json_array_foreach(r->tried, i, t) count += strcmp(ap_json_str(t, "verdict", ""), "misfit") != 0;
    return count;
}

// The better of what was found before and now; true when it is the new one.
static bool keep_result(job *j, ap_search_result *r) {
    bool better = !j->searched || r->found || (!chains_of(&j->result) && chains_of(r));
    if (j->searched) ap_search_result_release(better ? &j->result : r);
    if (better) j->result = *r;
    j->searched = true;
    return better;
}

static ap_err search_those(job *jobs, size_t count, bool again, const ap_search_options *o) {
    const ap_piece **pieces = ap_calloc(count + 1, sizeof *pieces);
    ap_search_result *results = ap_calloc(count + 1, sizeof *results);
    job **owner = ap_calloc(count + 1, sizeof *owner);
    size_t n = 0;
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].why_not.kind || (again && jobs[i].result.found)) continue;
        if (again) AP_TRY(cut(&jobs[i], o, true));
        owner[n] = &jobs[i];
        pieces[n++] = &jobs[i].piece;
    }
    AP_TRY(ap_search_many(pieces, n, o, results));
    for (size_t i = 0; i < n; i++)
        if (!keep_result(owner[i], &results[i])) owner[i]->given = false;
done:
    free(pieces);
    free(results);
    free(owner);
    return err;
}

// ---- telling

static const char *worst_class(const json_t *chain, const ap_search_options *o) {
    const char *worst = "exact";
    double loss = -1;
    size_t i;
    json_t *step;
    json_array_foreach((json_t *)(uintptr_t)chain, i, step) {
        const char *text = ap_json_str(step, "class", "exact");
        ap_rule_class c = {.kind = AP_CLASS_EXACT};
        if (!strncmp(text, "ulp", 3)) c = (ap_rule_class){.kind = AP_CLASS_ULP, .amount = atoll(text + 3)};
        if (!strncmp(text, "db", 2)) c = (ap_rule_class){.kind = AP_CLASS_DB, .amount = atoll(text + 2)};
        double l = search_loss(&c, o->compute);
        if (l <= loss) continue;
        loss = l;
        worst = text;
    }
    return worst;
}

static json_t *inputs_of(const ap_probe *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->input_count; i++)
        json_array_append_new(list, ap_json_string(p->inputs[i].name));
    return list;
}

// The chain that came nearest, in words; *said: what the target said to it.
static const char *nearest_chain(job *j, const char **said) {
    size_t chains = chains_of(&j->result);
    const json_t *first = json_array_get(j->result.tried, 0);
    *said = j->result.reason;
    if (!first && (j->result.before == AP_PROBE_INVALID || j->result.before == AP_PROBE_UNASKED))
        return ap_arena_printf(&j->arena, "it cannot be searched for: %s",
                               j->result.reason ? j->result.reason : "?");
    if (!first) return "no rule for it";
    const char *why = ap_json_str(first, "reason", "?");
    json_t *rules = json_object_get(first, "chain");
    const char *last = json_string_value(json_array_get(rules, json_array_size(rules) - 1));
    if (!chains) return ap_arena_printf(&j->arena, "no rule fits; %s: %s", last ? last : "?", why);
    *said = why;
    return ap_arena_printf(&j->arena, "no chain works (%zu tried); the nearest ends in %s: %s, %s", chains,
                           last ? last : "?", ap_json_str(first, "verdict", "?"), why);
}

static json_t *tell_left(job *j) {
    coverage_reason r = j->why_not;
    const char *said = NULL, *nearest = NULL;
    if (!r.kind) {
        nearest = nearest_chain(j, &said);
        r = coverage_why(j->probe, j->model, said, &j->arena);
        if (!r.kind) r = (coverage_reason){"no chain", nearest};
    }
    return json_pack("{sb,ss,so,so,sO}", "found", 0, "kind", r.kind, "reason", ap_json_string(r.text),
                     "nearest", ap_json_string(nearest), "tried",
                     j->result.tried ? j->result.tried : json_null());
}

static json_t *tell(job *j, const ap_search_options *o) {
    const ap_recipe *r = &j->result.recipe;
    if (j->why_not.kind || !j->result.found) return tell_left(j);
    char *rules = ap_recipe_text(r);
    ap_buf by = {0};
    if (j->passes) ap_buf_puts(&by, "unrolled");
    if (*rules) ap_buf_printf(&by, "%s%s", by.len ? ", then " : "", rules);
    json_t *text = ap_json_string(by.len ? ap_buf_str(&by) : "fixed dimensions");
    free(rules);
    ap_buf_free(&by);
    return json_pack("{sb,so,so,so,ss,so,sI,sI,sb,so,so}", "found", 1, "passes",
                     j->passes ? json_incref(j->passes) : json_array(), "chain",
                     ap_json_pluck(r->chain, "rule"), "by", text, "class", worst_class(r->chain, o), "error",
                     ap_json_real(r->error), "nodes_before", (json_int_t)r->nodes_before, "nodes_after",
                     (json_int_t)r->nodes_after, "frozen", j->frozen, "given",
                     j->given ? inputs_of(j->probe) : json_array(), "reason", json_null());
}

// ---- the whole

static bool needs_repair(const ap_probe *p) {
    return p->verdict != AP_PROBE_ACCEPTED && p->verdict != AP_PROBE_INVALID && p->signature;
}

// The clock of a busy machine must not decide what is found: each search has its own time, all have an hour.
#define SECONDS_IN_ALL 3600

ap_err ap_coverage_repair(const ap_probe_set *s, const ap_search_options *given,
                          void (*progress)(void *user, size_t done, size_t total), void *user, json_t **out) {
    ap_search_options patient = *given;
    const ap_search_options *o = &patient;
    job *jobs = ap_calloc(s->count + 1, sizeof *jobs);
    size_t count = 0;
    json_t *list = json_array();
    ap_err err = NULL;
    if (patient.seconds_in_all <= 0) patient.seconds_in_all = SECONDS_IN_ALL;
    for (size_t i = 0; i < s->count; i++) {
        json_array_append_new(list, json_null());
        if (needs_repair(&s->list[i])) jobs[count++] = (job){.probe = &s->list[i], .index = i};
    }
    for (size_t i = 0; i < count; i++) {
        AP_TRY(prepare(&jobs[i], o));
        if (progress) progress(user, i + 1, count);
    }
    AP_TRY(search_those(jobs, count, false, o));
    AP_TRY(search_those(jobs, count, true, o));
    for (size_t i = 0; i < count; i++) json_array_set_new(list, jobs[i].index, tell(&jobs[i], o));
    *out = json_incref(list);
done:
    for (size_t i = 0; i < count; i++) job_release(&jobs[i]);
    free(jobs);
    json_decref(list);
    return err;
}

void ap_coverage_into(json_t *document, const json_t *repairs) {
    json_t *probes = json_object_get(document, "probes"), *summary = json_object_get(document, "summary"), *p;
    size_t i, as_is = 0, after = 0, left = 0;
    json_array_foreach(probes, i, p) {
        json_t *r = json_array_get(repairs, i),
               *op = json_object_get(json_object_get(document, "ops"), ap_json_str(p, "op", ""));
        bool accepted = strcmp(ap_json_str(p, "verdict", ""), "accepted") == 0;
        bool found = ap_json_bool(r, "found", false);
        json_object_set(p, "repair", r ? r : json_null());
        as_is += accepted;
        after += !accepted && found;
        left += !accepted && !found;
        if (accepted || !op) continue;
        const char *key = found ? "repaired" : "left";
        json_object_set_new(op, key, json_integer(ap_json_int(op, key, 0) + 1));
    }
    json_object_set_new(summary, "right_as_is", json_integer((json_int_t)as_is));
    json_object_set_new(summary, "right_after_surgery", json_integer((json_int_t)after));
    json_object_set_new(summary, "left", json_integer((json_int_t)left));
}
