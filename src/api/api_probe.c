// SPDX-License-Identifier: Apache-2.0
// aipc probe: the table, some of its ops, or the nodes of a model, asked of one target.
#include "api/api_priv.h"
#include "api/shapes.h"
#include "golden/contract.h"
#include "plan/surgery/asker.h"
#include "surgery/search/coverage.h"

#include <stdlib.h>
#include <string.h>

// ---- what to ask

static bool measured_type(void *user, const char *value, ap_value_type *out) {
    const ap_shape_source *s = user;
    return s->get(s->user, value, out);
}

static ap_err add_model(ap_asker *q, const aipc_probe_options *o, ap_probe_set *set, ap_model **model) {
    ap_measured_shapes measured = {0};
    json_t *shapes = NULL;
    ap_input_request r = {.shapes = o->shapes, .shape_count = o->shape_count};
    ap_shape_source source = ap_measured_shape_source(&measured);
    ap_err err = NULL;
    AP_TRY(ap_model_load(o->model, model));
    AP_TRY(ap_contract_shapes(*model, &r, &shapes));
    AP_TRY(ap_measure_shapes(q->context, *model, o->model, shapes, &measured));
    const ap_graph *g = (*model)->graph;
    for (size_t i = 0; i < g->node_count; i++)
        if (strcmp(g->nodes[i]->op, "Constant") != 0)
            AP_TRY(ap_probe_add_node(set, *model, g->nodes[i], measured_type, &source));
done:
    json_decref(shapes);
    ap_measured_shapes_release(&measured);
    return err;
}

static ap_probe_variation variation(const aipc_probe_options *o) {
    return (ap_probe_variation){.seed = o->seed, .shapes = o->vary_shapes};
}

static ap_err add_op(const aipc_probe_options *o, const char *op, ap_probe_set *set, size_t *added) {
    ap_probe_variation v = variation(o);
    return v.seed || v.shapes ? ap_probe_add_varied(set, op, &v, added) : ap_probe_add_table(set, op, added);
}

static ap_err add_ops(const aipc_probe_options *o, ap_probe_set *set) {
    size_t added = 0;
    if (o->all) return add_op(o, NULL, set, &added);
    for (size_t i = 0; i < o->op_count; i++) {
        ap_err err = add_op(o, o->ops[i], set, &added);
        if (err) return err;
        if (added) continue;
        const char *near = ap_probe_nearest_op(o->ops[i], &set->arena);
        err = ap_err_new(AP_ERR_USAGE, "the table has no operator '%s'", o->ops[i]);
        return near ? ap_err_hint(err, "did you mean %s? A model is asked about by its file name", near)
                    : ap_err_hint(err, "aipc probe TARGET --all asks about every operator of the table");
    }
    return NULL;
}

// ---- writing

static ap_err write_page(const char *path, const json_t *document, void (*print)(const json_t *, ap_buf *)) {
    ap_buf b = {0};
    if (!path) return NULL;
    print(document, &b);
    ap_err err = ap_file_write(path, b.data, b.len);
    ap_buf_free(&b);
    return err;
}

static void on_repair(void *user, size_t done, size_t total) {
    ap_asker *q = user;
    ap_context_progress(q->context, done, total, "preparing repairs");
}

// What was refused or is wrong: which chain of rules makes it right.
static ap_err repair_all(ap_asker *q, const ap_probe_set *set, json_t *doc) {
    ap_search_options so;
    json_t *repairs = NULL;
    ap_err err = ap_asker_rules(q, NULL, &so);
    if (!err) err = ap_coverage_repair(set, &so, on_repair, q, &repairs);
    if (!err) ap_coverage_into(doc, repairs);
    json_decref(repairs);
    return err;
}

static void add_up(ap_probe_stats *sum, const ap_probe_stats *more) {
    sum->asked += more->asked;
    sum->cached += more->cached;
    sum->batches += more->batches;
    sum->restarts += more->restarts;
    sum->seconds += more->seconds;
}

// Changed shapes that the oracle does not take are changed less.
static ap_err ask_set(ap_asker *q, const aipc_probe_options *o, ap_probe_set *set, ap_probe_stats *stats) {
    ap_probe_variation v = variation(o);
    ap_err err = ap_probe_run(set, q->cache, &q->host, stats);
    for (size_t again = 1; !err && v.shapes && again;) {
        ap_probe_stats more = {0};
        err = ap_probe_vary_again(set, &v, &again);
        if (!err && again) err = ap_probe_run(set, q->cache, &q->host, &more);
        add_up(stats, &more);
    }
    return err;
}

static ap_err ask_all(ap_asker *q, const aipc_probe_options *o, ap_probe_set *set, json_t **document) {
    ap_probe_stats stats = {0};
    json_t *doc = NULL;
    ap_err err = NULL;
    AP_TRY(ask_set(q, o, set, &stats));
    doc = json_pack("{ss,ss,so}", "target", q->target.text, "backend", q->backend, "model",
                    ap_json_string(o->model));
    json_t *rest = ap_probe_document(set, &stats);
    json_object_update(doc, rest);
    json_decref(rest);
    if (o->repair) AP_TRY(repair_all(q, set, doc));
    AP_TRY(write_page(o->csv, doc, ap_probe_csv));
    AP_TRY(write_page(o->html, doc, ap_probe_html));
    *document = json_incref(doc);
done:
    json_decref(doc);
    return err;
}

aipc_error *aipc_probe(aipc_context *c, const aipc_probe_options *options, char **document) {
    aipc_probe_options o;
    api_take(&o, sizeof o, options);
    ap_asker_options how = {.target = o.target,
                            .timeout_s = o.timeout_s,
                            .threads = o.threads,
                            .batch = o.batch,
                            .fresh = o.fresh};
    ap_asker q = {0};
    ap_probe_set set = {0};
    ap_model *model = NULL;
    json_t *doc = NULL;
    ap_target_id target;
    ap_err err = NULL;
    AP_TRY(ap_target_parse(o.target ? o.target : "", &target));
    if (!o.model && !o.all && o.op_count == 0)
        AP_FAIL(AP_ERR_USAGE, "nothing to ask: name operators, a model, or take them all");
    if (o.model && (o.seed || o.vary_shapes))
        AP_FAIL(
            AP_ERR_USAGE,
            "a seed and other shapes are for the table: the nodes of a model are asked about as they are");
    AP_TRY(ap_asker_open(c, &how, &q));
    AP_TRY(o.model ? add_model(&q, &o, &set, &model) : add_ops(&o, &set));
    AP_TRY(ask_all(&q, &o, &set, &doc));
    *document = ap_json_text(doc, true);
done:
    json_decref(doc);
    ap_probe_set_release(&set);
    ap_model_free(model);
    ap_asker_close(&q);
    return err;
}
