// SPDX-License-Identifier: Apache-2.0
// aipc probe: the table, some of its ops, or the nodes of a model, asked of one target.
#include "api/shapes.h"
#include "base/cpu.h"
#include "device/runtime.h"
#include "golden/contract.h"
#include "plan/workers.h"
#include "surgery/probe.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_S 60u

typedef struct asker {
    aipc_context *context;
    ap_target_id target;
    const char *dir; // scratch
    unsigned timeout_s;
} asker;

static ap_err start_worker(void *user, bool oracle, size_t slot, ap_worker **out) {
    asker *q = user;
    ap_arena a = {0};
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {
        .log_path = ap_arena_printf(&a, "%s/%s-%zu.log", q->dir, oracle ? "oracle" : "target", slot),
        .cpu = slot,
        .timeout_s = q->timeout_s};
    ap_err err = ap_open_worker(q->context, oracle ? &cpu : &q->target, &setup, out);
    ap_arena_release(&a);
    return err;
}

static void on_progress(void *user, size_t done, size_t total) {
    asker *q = user;
    ap_context_progress(q->context, done, total, "probing %s", q->target.text);
}

static void on_warning(void *user, const char *text) {
    ap_context_log(user, AIPC_WARN, "%s", text);
}

// What answers depend on besides the probe: the libraries that give them.
static ap_err backend_name(const asker *q, ap_arena *a, char **out) {
    ap_runtime ort = {0}, qnn = {0};
    ap_err err = NULL;
    AP_TRY(ap_runtime_find(q->context->data_dir, "onnxruntime", &ort));
    if (q->target.soc) AP_TRY(ap_runtime_find(q->context->data_dir, "onnxruntime-qnn", &qnn));
    *out = q->target.soc ? ap_arena_printf(a, "%s, onnxruntime %s, onnxruntime-qnn %s", q->target.text,
                                           ort.version, qnn.version)
                         : ap_arena_printf(a, "%s, onnxruntime %s", q->target.text, ort.version);
done:
    ap_runtime_release(&ort);
    ap_runtime_release(&qnn);
    return err;
}

// ---- what to ask

static bool measured_type(void *user, const char *value, ap_value_type *out) {
    const ap_shape_source *s = user;
    return s->get(s->user, value, out);
}

static ap_err add_model(asker *q, const aipc_probe_options *o, ap_probe_set *set, ap_model **model) {
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

static ap_err add_ops(const aipc_probe_options *o, ap_probe_set *set) {
    size_t added = 0;
    if (o->all) return ap_probe_add_table(set, NULL, &added);
    for (size_t i = 0; i < o->op_count; i++) {
        ap_err err = ap_probe_add_table(set, o->ops[i], &added);
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

static ap_err ask_all(asker *q, const aipc_probe_options *o, ap_probe_set *set, json_t **document) {
    ap_arena a = {0};
    ap_probe_cache *cache = NULL;
    ap_probe_stats stats = {0};
    char *backend = NULL;
    json_t *doc = NULL;
    ap_probe_host host = {.start = start_worker,
                          .progress = on_progress,
                          .user = q,
                          .scratch = q->dir,
                          .threads = o->threads ? o->threads : ap_cpu_count(),
                          .batch = o->batch};
    ap_err err = NULL;
    AP_TRY(backend_name(q, &a, &backend));
    if (!o->fresh)
        AP_TRY(ap_probe_cache_open(ap_path_join(&a, q->context->cache_dir, "probes.db"), backend, on_warning,
                                   q->context, &cache));
    AP_TRY(ap_probe_run(set, cache, &host, &stats));
    doc = json_pack("{ss,ss,so}", "target", q->target.text, "backend", backend, "model",
                    ap_json_string(o->model));
    json_t *rest = ap_probe_document(set, &stats);
    json_object_update(doc, rest);
    json_decref(rest);
    AP_TRY(write_page(o->csv, doc, ap_probe_csv));
    AP_TRY(write_page(o->html, doc, ap_probe_html));
    *document = json_incref(doc);
done:
    json_decref(doc);
    ap_probe_cache_close(cache);
    ap_arena_release(&a);
    return err;
}

aipc_error *aipc_probe(aipc_context *c, const aipc_probe_options *options, char **document) {
    aipc_probe_options o = {0};
    memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    ap_arena a = {0};
    ap_probe_set set = {0};
    ap_model *model = NULL;
    json_t *doc = NULL;
    char *dir = NULL;
    asker q = {.context = c, .timeout_s = o.timeout_s ? o.timeout_s : DEFAULT_TIMEOUT_S};
    ap_err err = NULL;
    AP_TRY(ap_target_parse(o.target ? o.target : "", &q.target));
    if (!o.model && !o.all && o.op_count == 0)
        AP_FAIL(AP_ERR_USAGE, "nothing to ask: name operators, a model, or take them all");
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a), "aipc", &a, &dir));
    q.dir = dir;
    AP_TRY(o.model ? add_model(&q, &o, &set, &model) : add_ops(&o, &set));
    AP_TRY(ask_all(&q, &o, &set, &doc));
    *document = ap_json_text(doc, true);
done:
    json_decref(doc);
    ap_probe_set_release(&set);
    ap_model_free(model);
    if (dir) ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}
