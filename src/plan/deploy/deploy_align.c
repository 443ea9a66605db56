// SPDX-License-Identifier: Apache-2.0
// Stage 4, our half: are the runs equal, is the reload equal, is it the right SoC and interface, how far from
// golden?
#include "plan/deploy/deploy.h"

#include "base/hash.h"
#include "tensor/npy.h"

#include <math.h>
#include <string.h>

static ap_err bits_equal(const json_t *a, const json_t *b, bool *equal) {
    *equal = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; *equal && i < json_array_size(a); i++) {
        ap_tensor x = {0}, y = {0};
        ap_err err = ap_npy_open(json_array_get(a, i), &x);
        if (!err) err = ap_npy_open(json_array_get(b, i), &y);
        *equal = !err && x.bytes == y.bytes && (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
        ap_tensor_free(&x);
        ap_tensor_free(&y);
        if (err) return err;
    }
    return NULL;
}

ap_err ap_deploy_hashes(const json_t *tensors, size_t count, json_t **out) {
    json_t *all = json_object();
    ap_err err = NULL;
    for (size_t i = 0; i < count && i < json_array_size(tensors); i++) {
        const json_t *t = json_array_get(tensors, i);
        const char *file = ap_json_str(t, "file", NULL);
        ap_tensor x = {0};
        if (!file) continue;
        AP_TRY(ap_npy_map(file, &x));
        ap_digest h = ap_sha256_of(x.data, x.bytes);
        ap_tensor_free(&x);
        json_object_set_new(all, ap_json_str(t, "name", ""), json_string(h.hex));
    }
    *out = json_incref(all);
done:
    json_decref(all);
    return err;
}

ap_err ap_deploy_measure(const json_t *golden, const json_t *have, json_t **out) {
    json_t *all = json_object();
    for (size_t i = 0; i < json_array_size(golden); i++) {
        const json_t *g = json_array_get(golden, i);
        ap_metrics m;
        ap_err err = ap_metrics_entries(g, json_array_get(have, i), &m);
        if (err) {
            json_decref(all);
            return ap_err_subject(err, ap_json_str(g, "name", "?"));
        }
        json_object_set_new(all, ap_json_str(g, "name", "?"), ap_metrics_json(&m));
    }
    *out = all;
    return NULL;
}

// Keeps the first run's outputs in the store: they are the artifact's own golden sample.
static ap_err commit_align(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    ap_arena a = {0};
    char *work = NULL, *dir = NULL;
    json_t *outputs = json_deep_copy(t->runs[0]), *o, *record = NULL, *result = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_store_begin(&d->store, &a, &work));
    json_array_foreach(outputs, i, o) {
        char *name = ap_arena_printf(&a, "%zu.npy", i);
        AP_TRY(ap_file_copy(ap_json_str(o, "file", ""), ap_path_join(&a, work, name)));
        json_object_set_new(o, "file", json_string(name));
    }
    result = json_deep_copy(t->align);
    json_object_set(result, "outputs", outputs);
    record = json_pack("{sO,sO}", "stage", t->align_stage, "result", result);
    AP_TRY(ap_store_commit(&d->store, t->align_key, work, record, &a, &dir));
    work = NULL;
    t->align_dir = ap_deploy_keep(d, dir);
    ap_tensors_to_paths(outputs, dir);
    json_object_set(t->align, "outputs", outputs);
done:
    ap_store_discard(work);
    json_decref(outputs);
    json_decref(result);
    json_decref(record);
    ap_arena_release(&a);
    return err;
}

static ap_err make_align(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    bool runs = false, reload = false;
    json_t *metrics = NULL, *hashes = NULL, *picked = NULL;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    AP_TRY(ap_contract_check(json_object_get(d->contract, "outputs"), t->runs[0], "output",
                             "the target's result", false));
    AP_TRY(ap_contract_check(json_object_get(d->contract, "inputs"), json_object_get(t->reload_io, "inputs"),
                             "input", "the reloaded artifact", false));
    AP_TRY(ap_contract_check(json_object_get(d->contract, "outputs"),
                             json_object_get(t->reload_io, "outputs"), "output", "the reloaded artifact",
                             false));
    AP_TRY(bits_equal(t->runs[0], t->runs[1], &runs));
    AP_TRY(bits_equal(t->runs[0], t->reload, &reload));
    AP_TRY(ap_deploy_measure(d->golden, t->runs[0], &metrics));
    AP_TRY(ap_deploy_look_again(t, &metrics, &picked));
    AP_TRY(ap_deploy_hashes(t->runs[0], SIZE_MAX, &hashes));
    t->align = json_pack("{sb,sb,sO,sO,sO?}", "runs_equal", runs, "reload_equal", reload, "metrics", metrics,
                         "output_sha256", hashes, "picked", picked);
    double seconds = t->align_seconds + (double)(ap_now_us() - start) / 1e6;
    t->align_stage = ap_stage_json("align", t, t->align_key, seconds, t->align_vendor_s, 0, NULL,
                                   json_pack("{ss,ss}", "build", t->build_key, "baseline", d->baseline_key),
                                   json_incref(hashes));
    AP_TRY(commit_align(t));
done:
    json_decref(metrics);
    json_decref(hashes);
    json_decref(picked);
    return ap_err_stage(err, "align");
}

// The contract's tensors the binary must have: a fixed input is part of the graph by now.
static json_t *wanted(const ap_deploy_target *t, const char *side) {
    const json_t *w;
    json_t *list = json_array();
    for (size_t i = 0; (w = json_array_get(json_object_get(t->d->contract, side), i)) != NULL; i++)
        if (!json_object_get(t->d->fixed, ap_json_str(w, "name", "")))
            json_array_append(list, (json_t *)(uintptr_t)w);
    return list;
}

// The binary's own words about its SoC and tensors. QNN narrows some types (int64 to int32), so names and
// shapes count.
static ap_err check_readback(const ap_deploy_target *t, bool *soc_ok, bool *io_ok) {
    const json_t *rb = json_object_get(t->build, "readback"), *graphs = json_object_get(rb, "graphs");
    *soc_ok = ap_json_int(rb, "soc_model", -1) == t->id.soc->soc_model;
    *io_ok = true;
    if (json_array_size(graphs) != 1 || t->allow_cpu)
        return NULL; // a part of the model: inner tensors, no contract to hold them to
    static const char *const sides[] = {"inputs", "outputs"};
    for (size_t s = 0; s < 2; s++) {
        json_t *want = wanted(t, sides[s]);
        json_t *have = json_deep_copy(json_object_get(json_array_get(graphs, 0), sides[s])), *h;
        size_t i, k;
        json_t *w;
        json_array_foreach(have, i, h) json_array_foreach(
            want, k, w) if (strcmp(ap_json_str(w, "name", ""), ap_json_str(h, "name", "?")) == 0)
            json_object_set(h, "dtype", json_object_get(w, "dtype"));
        ap_err err = ap_contract_check(want, have, s ? "output" : "input", "the context binary", true);
        json_decref(have);
        json_decref(want);
        if (ap_err_code(err) == AP_ERR_CONTRACT)
            *io_ok = false;
        else if (err)
            return err;
        ap_err_free(err);
    }
    return NULL;
}

static double share_on_target(const ap_deploy_target *t) {
    const json_t *placement = json_object_get(t->build, "placement");
    size_t i, on = 0, n = json_array_size(placement);
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)placement, i, o) on +=
        strcmp(ap_json_str(o, "ep", ""), "CPUExecutionProvider") != 0;
    if (!ap_deploy_is_htp(t)) return 1.0;
    return n ? (double)on / (double)n : 0.0;
}

static void judge(ap_deploy_target *t) {
    const char *output;
    json_t *m;
    double worst = (double)INFINITY;
    ap_buf text = {0};
    t->gate_list = json_array();
    json_object_foreach(json_object_get(t->align, "metrics"), output, m) {
        ap_metrics metrics;
        ap_metrics_from_json(m, &metrics);
        (void)ap_gates_output(&t->gates, output, &metrics, t->gate_list);
        if (!(metrics.sqnr_db >= worst)) worst = metrics.sqnr_db;
    }
    ap_gates_fact(&t->gates, "runs_bit_equal", ap_json_bool(t->align, "runs_equal", false), t->gate_list);
    ap_gates_fact(&t->gates, "reload_bit_equal", ap_json_bool(t->align, "reload_equal", false), t->gate_list);
    ap_gates_fact(&t->gates, "share_on_target", share_on_target(t), t->gate_list);
    if (ap_deploy_is_htp(t)) {
        bool soc = false, io = false;
        ap_target_fail(t, check_readback(t, &soc, &io));
        ap_gates_fact(&t->gates, "soc_readback", soc, t->gate_list);
        ap_gates_fact(&t->gates, "contract", io, t->gate_list);
    } else {
        ap_gates_fact(&t->gates, "contract", 1, t->gate_list);
    }
    if (isinf(worst) && worst > 0)
        ap_buf_puts(&text, "bit-exact");
    else
        ap_buf_printf(&text, "SQNR %.1f dB", worst);
    json_object_set_new(t->align_stage, "key_metric", ap_json_string(ap_buf_str(&text)));
    ap_buf_free(&text);
}

static void label_profile(ap_deploy_target *t) {
    ap_buf text = {0};
    if (ap_deploy_is_htp(t)) {
        const json_t *cost = json_object_get(t->build, "cost");
        if (json_is_object(cost))
            ap_buf_printf(&text, "%.2f ms (estimate)", ap_json_num(cost, "estimate_ms", 0));
        else
            ap_buf_puts(&text, "no figures for this SoC");
        t->profile_stage = ap_stage_json("profile", t, NULL, 0, 0, 0, ap_buf_str(&text),
                                         json_pack("{ss}", "build", t->build_key), NULL);
    } else if (t->profile_stage) {
        double us = 0;
        size_t i;
        json_t *l;
        json_array_foreach(json_object_get(t->profile, "layers"), i, l) us += ap_json_num(l, "value", 0);
        ap_buf_printf(&text, "%.2f ms (measured here)", us / 1e3);
        json_object_set_new(t->profile_stage, "key_metric", ap_json_string(ap_buf_str(&text)));
    }
    ap_buf_free(&text);
}

void ap_target_finish(ap_deploy_target *t) {
    if (t->d->baseline_err || t->err) return;
    if (!t->align) ap_target_fail(t, make_align(t));
    if (t->err) return;
    judge(t);
    label_profile(t);
    ap_err failed = ap_gates_error(t->gate_list);
    if (!failed) return;
    json_object_set_new(t->align_stage, "verdict", json_string("fail"));
    ap_target_fail(t, ap_err_stage(failed, "align"));
}
