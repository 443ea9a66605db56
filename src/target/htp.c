// SPDX-License-Identifier: Apache-2.0
// Target htp: Qualcomm's Hexagon Tensor Processor through the QNN plugin of ONNX Runtime.
//
// On x86-64 the vendor library compiles for a SoC and executes in a functional emulator. The emulator proves
// numbers, not speed, and does not check the SoC. soc_model decides the numerics, so it is always passed.
#include "base/proc.h"
#include "target/cost.h"
#include "target/probe.h"
#include "target/qnn_system.h"
#include "target/refusals.h"
#include "target/soc.h"
#include "target/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EP "QNNExecutionProvider"
#define WRAPPER "model.onnx"   // EPContext node around the binary
#define BINARY "model_qnn.bin" // the provider derives this name from the wrapper's

typedef struct htp_state {
    ap_engine *engine;
    ap_session *session; // current model
    ap_session *warm;    // keeps the backend set up between probes; NULL until the first one
    const ap_soc *soc;
    ap_arena arena;
    const char *backend, *system, *ir;
    char soc_model[16], arch[16];
} htp_state;

static void htp_close(void *state) {
    htp_state *s = state;
    if (!s) return;
    ap_session_close(s->session);
    ap_session_close(s->warm);
    ap_engine_close(s->engine);
    ap_arena_release(&s->arena);
    free(s);
}

static ap_err htp_open(const json_t *config, void **state) {
    const char *ort = NULL, *dir = NULL;
    int64_t soc = 0;
    htp_state *s = ap_calloc(1, sizeof *s);
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(config, "ort", "worker config", AP_ERR_INTERNAL, &ort));
    AP_TRY(ap_json_get_str(config, "qnn_dir", "worker config", AP_ERR_INTERNAL, &dir));
    AP_TRY(ap_json_get_int(config, "soc_model", "worker config", AP_ERR_INTERNAL, &soc));
    s->soc = ap_soc_by_model(soc);
    if (!s->soc) AP_FAIL(AP_ERR_SOC_UNKNOWN, "no SoC with soc_model %lld", (long long)soc);
    char *real = NULL; // ONNX Runtime takes a relative path for one beside itself
    AP_TRY(ap_path_real(dir, &s->arena, &real));
    dir = real;
    s->backend = ap_path_join(&s->arena, dir, "libQnnHtp.so");
    s->system = ap_path_join(&s->arena, dir, "libQnnSystem.so");
    s->ir = ap_path_join(&s->arena, dir, "libQnnIr.so");
    snprintf(s->soc_model, sizeof s->soc_model, "%d", s->soc->soc_model);
    snprintf(s->arch, sizeof s->arch, "%d", s->soc->htp_version);
    AP_TRY(ap_engine_open(ort, &s->engine));
    AP_TRY(
        ap_engine_add_plugin(s->engine, EP, ap_path_join(&s->arena, dir, "libonnxruntime_providers_qnn.so")));
    *state = s;
    s = NULL;
done:
    htp_close(s);
    return err;
}

static ap_err htp_describe(void *state, json_t **result) {
    htp_state *s = state;
    *result = json_pack("{ss,ss,ss}", "ort", ap_engine_version(s->engine), "ep", EP, "backend",
                        "QNN HTP, x86-64 emulator");
    return NULL;
}

// ---- sessions

typedef struct htp_options {
    ap_option list[12];
    size_t count;
} htp_options;

static void put(htp_options *o, const char *key, const char *value) {
    o->list[o->count++] = (ap_option){key, value};
}

// Options every session gets. The SoC is part of all of them: without it float models silently run in
// float32.
static htp_options base_options(const htp_state *s) {
    htp_options o = {.count = 0};
    put(&o, "backend_path", s->backend);
    put(&o, "soc_model", s->soc_model);
    put(&o, "htp_arch", s->arch); // ignored by the emulator, but written into the compatibility string
    if (s->soc->fp16 != AP_NO) put(&o, "enable_htp_fp16_precision", "1");
    return o;
}

static ap_err open_model(htp_state *s, const char *what, const void *bytes, size_t len, const htp_options *eo,
                         ap_session_options *so, ap_session **out) {
    so->ep = EP;
    so->ep_options = eo->list;
    so->ep_option_count = eo->count;
    ap_engine_log_reset(s->engine);
    return ap_session_open(s->engine, what, bytes, len, so, out);
}

// After a refusal: the same model once more with the CPU allowed and every log line on, to learn which nodes
// and why. Adds them to the error.
static ap_err explain_refusal(htp_state *s, const ap_model *m, const ap_buf *bytes, ap_err refused,
                              json_t **details) {
    htp_options eo = base_options(s);
    ap_session_options so = {
        .optimization = ORT_ENABLE_ALL, .record_placement = true, .verbose = true, .external_dir = m->dir};
    ap_session *session = NULL;
    json_t *placement = json_array(), *list = NULL;
    ap_err err = open_model(s, m->path ? m->path : "model", bytes->data, bytes->len, &eo, &so, &session);
    if (!err) {
        json_decref(placement);
        placement = NULL;
        err = ap_session_placement(session, &placement);
    }
    ap_err_free(err); // the log tells the reasons also when this session failed
    pthread_mutex_lock(&s->engine->log.lock);
    list = ap_refusals_parse(s->engine->log.lines, s->engine->log.count);
    pthread_mutex_unlock(&s->engine->log.lock);
    ap_session_close(session);
    size_t i, taken = 0, total = json_array_size(placement);
    json_t *o;
    json_array_foreach(placement, i, o) taken += strcmp(ap_json_str(o, "ep", ""), EP) == 0;
    ap_err e = ap_err_new(AP_ERR_REFUSED, "%s refuses %zu node%s; %zu of %zu nodes (%.1f %%) would run on it",
                          s->soc->name, json_array_size(list), json_array_size(list) == 1 ? "" : "s", taken,
                          total, total ? 100.0 * (double)taken / (double)total : 0.0);
    json_array_foreach(list, i, o) e = ap_err_note(e, "node '%s' (%s): %s", ap_json_str(o, "node", "?"),
                                                   ap_json_str(o, "op", "?"), ap_json_str(o, "reason", "?"));
    if (json_array_size(list) == 0) e = ap_err_note(e, "%s", ap_err_message(refused));
    ap_err_free(refused);
    *details = json_pack("{so,so}", "placement", placement ? placement : json_array(), "refused", list);
    return e;
}

// ---- build

// The dump folder holds one <graph>.json and one <graph>_tensor_log.json a partition. They become
// graph-N.json.
static ap_err take_graph_dumps(const char *from, const char *to, json_t *files) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0, n = 0;
    ap_err err = NULL;
    AP_TRY(ap_list_dir(from, &a, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ap_path_ext(names[i]), ".json") != 0 || strstr(names[i], "_tensor_log.json")) continue;
        char *name = ap_arena_printf(&a, "graph-%zu.json", n++);
        AP_TRY(ap_file_rename(ap_path_join(&a, from, names[i]), ap_path_join(&a, to, name)));
        json_array_append_new(files, json_pack("{ssss}", "file", name, "role", "qnn graph"));
    }
    AP_TRY(ap_rmtree(from));
done:
    ap_arena_release(&a);
    return err;
}

static ap_err write_dlc(htp_state *s, const ap_model *m, const ap_buf *bytes, const char *dir,
                        json_t *files) {
    ap_arena a = {0};
    ap_session *session = NULL;
    const char **names = NULL;
    size_t count = 0, n = 0;
    char *tmp = ap_path_join(&a, dir, "dlc");
    htp_options eo = base_options(s);
    put(&eo, "dump_qnn_ir_dlc", "1");
    put(&eo, "qnn_ir_backend_path", s->ir); // else looked for by name, which depends on who opens libraries
    put(&eo, "dump_qnn_ir_dlc_dir", tmp);
    ap_session_options so = {.optimization = ORT_ENABLE_ALL, .no_fallback = true, .external_dir = m->dir};
    ap_err err = NULL;
    AP_TRY(open_model(s, "model", bytes->data, bytes->len, &eo, &so, &session));
    AP_TRY(ap_list_dir(tmp, &a, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ap_path_ext(names[i]), ".dlc") != 0) continue;
        char *name = n ? ap_arena_printf(&a, "model-%zu.dlc", n) : ap_arena_strdup(&a, "model.dlc");
        AP_TRY(ap_file_rename(ap_path_join(&a, tmp, names[i]), ap_path_join(&a, dir, name)));
        json_array_append_new(files, json_pack("{ssss}", "file", name, "role", "dlc"));
        n++;
    }
    if (n == 0) AP_FAIL(AP_ERR_VENDOR, "the QNN provider wrote no DLC file");
    AP_TRY(ap_rmtree(tmp));
done:
    ap_session_close(session);
    ap_arena_release(&a);
    return ap_err_context(err, "writing the DLC");
}

static ap_err check_precision(const htp_state *s, const char *precision) {
    bool fp16 = strcmp(precision, "fp16") == 0;
    if (fp16 && s->soc->fp16 == AP_NO)
        return ap_err_hint(ap_err_new(AP_ERR_REFUSED, "%s (HTP v%d) cannot run float models: it has no fp16",
                                      s->soc->name, s->soc->htp_version),
                           "choose a newer SoC (aipc targets), or --precision fp32 to look at it in the "
                           "emulator, which is not what the "
                           "device would compute");
    if (!fp16 && s->soc->fp16 != AP_NO)
        return ap_err_hint(
            ap_err_new(AP_ERR_USAGE, "%s runs float models in fp16, not in %s", s->soc->name, precision),
            "leave --precision out");
    return NULL;
}

static ap_err describe_build(htp_state *s, const char *dir, json_t *files, json_t *result) {
    ap_arena a = {0};
    json_t *placement = NULL, *readback = NULL, *cost = NULL;
    char *compatibility = NULL;
    ap_err err = NULL;
    AP_TRY(ap_session_placement(s->session, &placement));
    AP_TRY(ap_qnn_readback(s->system, ap_path_join(&a, dir, BINARY), &readback));
    AP_TRY(ap_engine_compatibility(s->engine, ap_path_join(&a, dir, WRAPPER), EP, &compatibility));
    AP_TRY(ap_cost_from_dumps(dir, files, s->soc, &cost));
    json_object_set(result, "placement", placement);
    json_object_set(result, "readback", readback);
    json_object_set(result, "cost", cost);
    json_object_set_new(result, "compatibility", ap_json_string(compatibility));
    json_object_set_new(result, "io", ap_session_io_json(s->session));
done:
    free(compatibility);
    json_decref(placement);
    json_decref(readback);
    json_decref(cost);
    ap_arena_release(&a);
    return err;
}

static ap_err htp_build(void *state, const json_t *args, json_t **result) {
    htp_state *s = state;
    ap_arena a = {0};
    ap_buf bytes = {0};
    ap_model *m = NULL;
    ap_session *session = NULL;
    json_t *files = json_pack("[{ssss},{ssss}]", "file", WRAPPER, "role", "wrapper", "file", BINARY, "role",
                              "context binary");
    json_t *r = json_object();
    const char *dir = NULL;
    uint64_t start = 0, vendor_us = 0;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "build", AP_ERR_INTERNAL, &dir));
    AP_TRY(check_precision(s, ap_json_str(args, "precision", "fp16")));
    AP_TRY(ap_spec_model(json_object_get(args, "model"), &m));
    AP_TRY(ap_model_bytes(m, &bytes));
    start = ap_now_us();
    char *dumps = ap_path_join(&a, dir, "dumps");
    htp_options eo = base_options(s);
    put(&eo, "dump_json_qnn_graph", "1");
    put(&eo, "json_qnn_graph_dir", dumps);
    ap_session_options so = {.optimization = ORT_ENABLE_ALL,
                             .no_fallback = !ap_json_bool(args, "allow_cpu", false),
                             .record_placement = true,
                             .external_dir = m->dir,
                             .context_path = ap_path_join(&a, dir, WRAPPER)};
    // The DLC comes first: its session cannot run, and the one that can must stay the current one.
    if (ap_json_bool(args, "dlc", false)) AP_TRY(write_dlc(s, m, &bytes, dir, files));
    err = open_model(s, m->path ? m->path : "model", bytes.data, bytes.len, &eo, &so, &session);
    if (ap_err_code(err) == AP_ERR_REFUSED) {
        json_t *details = NULL;
        err = explain_refusal(s, m, &bytes, err, &details);
        // A refusal is an answer, not a breakdown: it travels as a result, with the error inside.
        *result = json_pack("{so,so,sI}", "refusal", ap_json_from_err(err), "details", details, "vendor_us",
                            (json_int_t)(ap_now_us() - start));
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    vendor_us = ap_now_us() - start;
    ap_session_close(s->session);
    s->session = session;
    AP_TRY(take_graph_dumps(dumps, dir, files));
    AP_TRY(describe_build(s, dir, files, r));
    json_object_set(r, "files", files);
    json_object_set_new(r, "vendor_us", json_integer((json_int_t)vendor_us));
    *result = json_incref(r);
done:
    json_decref(r);
    json_decref(files);
    ap_buf_free(&bytes);
    ap_model_free(m);
    ap_arena_release(&a);
    return err;
}

// Whether the wrapper holds binaries only. What was built with nodes left to the CPU says so by itself.
static ap_err is_alone(const char *wrapper, bool *alone) {
    ap_model *m = NULL;
    ap_err err = ap_model_load(wrapper, &m);
    for (size_t i = 0; !err && i < m->graph->node_count; i++)
        *alone = *alone && strcmp(m->graph->nodes[i]->op, "EPContext") == 0;
    ap_model_free(m);
    return err;
}

static ap_err htp_load(void *state, const json_t *args, json_t **result) {
    htp_state *s = state;
    ap_arena a = {0};
    const char *dir = NULL;
    ap_session *session = NULL;
    json_t *readback = NULL;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "load", AP_ERR_INTERNAL, &dir));
    AP_TRY(ap_qnn_readback(s->system, ap_path_join(&a, dir, BINARY), &readback));
    int64_t made_for = ap_json_int(readback, "soc_model", -1);
    if (made_for != s->soc->soc_model)
        AP_FAIL(AP_ERR_SOC_MISMATCH, "%s/%s was made for soc_model %lld, the target is %s (soc_model %d)",
                dir, BINARY, (long long)made_for, s->soc->name, s->soc->soc_model);
    htp_options eo = base_options(s);
    bool alone = true;
    AP_TRY(is_alone(ap_path_join(&a, dir, WRAPPER), &alone));
    ap_session_options so = {.optimization = ORT_ENABLE_ALL, .no_fallback = alone};
    uint64_t start = ap_now_us();
    // What a compiler leaves behind is most of a worker's memory: it goes before the new session comes.
    ap_session_close(s->session);
    s->session = NULL;
    ap_mem_trim();
    AP_TRY(open_model(s, ap_path_join(&a, dir, WRAPPER), NULL, 0, &eo, &so, &session));
    s->session = session;
    *result = json_pack("{so,sO,sI}", "io", ap_session_io_json(session), "readback", readback, "vendor_us",
                        (json_int_t)(ap_now_us() - start));
done:
    json_decref(readback);
    ap_arena_release(&a);
    return err;
}

static ap_err htp_run(void *state, const json_t *args, json_t **result) {
    return ap_session_serve_run(((htp_state *)state)->session, args, result);
}

static ap_err htp_share(void *state, const ap_bound_tensors *tensors) {
    return ap_session_bind(((htp_state *)state)->session, tensors);
}

static ap_err htp_call(void *state, size_t room, const void *const *inputs, size_t input_count,
                       uint64_t *vendor_us) {
    return ap_session_call(((htp_state *)state)->session, room, inputs, input_count, vendor_us);
}

static ap_err htp_probe(void *state, const json_t *args, json_t **result) {
    htp_state *s = state;
    htp_options eo = base_options(s);
    // As in a deployment, where it is off because the CPU is: else Q and DQ at the graph's edge are left to
    // it.
    put(&eo, "offload_graph_io_quantization", "0");
    ap_probe_backend b = {.ep = EP, .options = eo.list, .option_count = eo.count};
    ap_err err = s->warm ? NULL : ap_probe_keep_warm(s->engine, &b, &s->warm);
    return err ? err : ap_engine_serve_probe(s->engine, &b, args, result);
}

// No profile: the emulator's cycle counts are host time, and host time is not what the device takes.
const ap_target_ops ap_target_htp = {
    .kind = "htp",
    .open = htp_open,
    .close = htp_close,
    .describe = htp_describe,
    .build = htp_build,
    .load = htp_load,
    .run = htp_run,
    .share = htp_share,
    .call = htp_call,
    .profile = NULL,
    .oracle = NULL,
    .probe = htp_probe,
};
