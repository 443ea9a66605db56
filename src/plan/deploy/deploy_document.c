// SPDX-License-Identifier: Apache-2.0
// The deploy document: everything that is known about a run, in one JSON object (docs/documents.md).
#include "base/cpu.h"
#include "base/hash.h"
#include "graph/inspect.h"
#include "plan/deploy/deploy.h"
#include "plan/work/host.h"
#include "surgery/pass/record.h"
#include "target/refusals.h"

#include <stdlib.h>
#include <string.h>

static json_t *tool(const ap_runtime *r) {
    return json_pack("{ss,ss,ss,so}", "name", r->name, "version", r->version, "sha256", r->sha256, "licence",
                     ap_json_string(r->licence));
}

static json_t *placement_doc(const ap_deploy_target *t) {
    const json_t *details = json_object_get(t->build, "details");
    const json_t *raw = json_object_get(details ? details : t->build, "placement");
    json_t *nodes = json_array(), *n, *refused = json_object_get(details, "refused");
    size_t i, on = 0;
    bool htp = ap_deploy_is_htp(t);
    if (!json_is_array(raw)) {
        json_decref(nodes);
        return json_null();
    }
    json_array_foreach((json_t *)(uintptr_t)raw, i, n) {
        bool here = !htp || strcmp(ap_json_str(n, "ep", ""), "CPUExecutionProvider") != 0;
        char name[1024];
        ap_refusals_plain_name(ap_json_str(n, "name", ""), name, sizeof name);
        on += here;
        json_array_append_new(nodes, json_pack("{so,sO,ss}", "name", ap_json_string(name), "op",
                                               json_object_get(n, "op"), "where", here ? t->id.text : "cpu"));
    }
    size_t total = json_array_size(raw);
    return json_pack("{sI,sI,sf,so,so}", "total", (json_int_t)total, "on_target", (json_int_t)on, "share",
                     total ? (double)on / (double)total : 0.0, "nodes", nodes, "refused",
                     refused ? json_incref(refused) : json_array());
}

// Whether the traced run's real outputs are the plain run's, bit for bit.
static bool trace_is_faithful(const ap_deploy_target *t) {
    const json_t *hashes = json_object_get(t->trace, "output_sha256"),
                 *outs = json_object_get(t->align, "output_sha256");
    return json_is_object(hashes) && json_is_object(outs) &&
           json_equal((json_t *)(uintptr_t)hashes, (json_t *)(uintptr_t)outs);
}

static void say(json_t *list, const char *fmt, ...) AP_PRINTF(2, 3);
static void say(json_t *list, const char *fmt, ...) {
    ap_buf b = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&b, fmt, args);
    va_end(args);
    json_array_append_new(list, ap_json_string(ap_buf_str(&b)));
    ap_buf_free(&b);
}

static void say_proved_htp(const ap_deploy_target *t, json_t *yes, json_t *no) {
    const ap_soc *soc = t->id.soc;
    size_t on_cpu = json_array_size(json_object_get(json_object_get(t->surgery, "repairs"), "cpu"));
    if (t->allow_cpu)
        say(no, "That all of it runs on %s: %zu node%s were left to the CPU, as --allow-cpu permits.",
            soc->name, on_cpu, on_cpu == 1 ? "" : "s");
    else
        say(yes, "The vendor's compiler accepts every node for %s (HTP v%d) with CPU fallback switched off.",
            soc->name, soc->htp_version);
    if (t->own_model)
        say(yes, "The model that was built is the given one after the recorded steps of plan.json; all gates "
                 "compare it with what the given one computes.");
    say(yes,
        "The context binary says of itself that it was made for soc_model %d, and its inputs and outputs are "
        "the contract's.",
        soc->soc_model);
    say(yes,
        "In the vendor's x86-64 emulator of the HTP, with the numerics of soc_model %d: the outputs lie "
        "within the gates of the "
        "golden run, two runs are equal bit for bit, and so is a run after reloading the binary in a fresh "
        "process.",
        soc->soc_model);
    const json_t *picked = json_object_get(t->align, "picked");
    if (json_array_size(picked) > 0)
        say(yes,
            "The model picks rows (%zu TopK). Its outputs are what the original computes given the target's "
            "picks, "
            "and the values picked are within the gates of the best; which of two nearly equal rows comes "
            "first may "
            "differ.",
            json_array_size(picked));
    if (json_array_size(json_object_get(t->trace, "list")) > 0) {
        if (trace_is_faithful(t))
            say(yes, "The per-tensor comparison describes the shipped graph: its outputs are bit-equal to "
                     "the plain run's.");
        else
            say(no, "The per-tensor comparison comes from a graph whose fusions differ (exposing tensors "
                    "changed the outputs' last "
                    "bits): read it as a hint.");
    }
    say(no, "Latency, power and memory on the device. The emulator's cycle counts are host time and are "
            "never reported; the cost table "
            "is an estimate.");
    say(no, "That silicon computes what the emulator computes: run `aipc run` on the device and compare.");
    say(no, "That the device's driver loads a binary of this library version.");
}

static void say_proved(const ap_deploy_target *t, json_t *yes, json_t *no) {
    if (t->err || !t->align) {
        say(no, "This target did not get through its gates; nothing is claimed for it.");
    } else if (ap_deploy_is_htp(t)) {
        say_proved_htp(t, yes, no);
    } else {
        say(yes, "On this machine's CPU, with all of ONNX Runtime's optimizations: the outputs lie within "
                 "the gates of the golden run "
                 "(optimizations off), two runs are equal bit for bit, and so is a run after reloading in a "
                 "fresh process.");
        say(no, "Speed and last bits on another CPU: ONNX Runtime picks its kernels by the instruction set "
                "it finds.");
    }
}

json_t *ap_artifact_files(const ap_deploy_target *t) {
    json_t *files = json_array(), *f;
    size_t i;
    json_array_foreach(json_object_get(t->build, "files"), i,
                       f) if (strcmp(ap_json_str(f, "role", ""), "qnn graph") != 0)
        json_array_append(files, f);
    const json_t *plan = json_object_get(t->surgery, "plan");
    if (plan && t->own_model) {
        char *text = ap_plan_text(plan);
        ap_digest h = ap_sha256_of(text, strlen(text));
        json_array_append_new(files, json_pack("{ss,ss,sI,ss}", "file", "plan.json", "role", "plan", "bytes",
                                               (json_int_t)strlen(text), "sha256", h.hex));
        free(text);
    }
    return files;
}

static json_t *stages_doc(const ap_deploy_target *t) {
    json_t *list = json_array(), *quantize = NULL;
    if (t->align_stage) {
        quantize = ap_stage_json("quantize", t, NULL, 0, 0, 0, "not asked for", NULL, NULL);
        json_object_set_new(quantize, "verdict", json_string("skipped"));
    }
    json_t *stages[] = {t->surgery_stage, t->build_stage, t->align_stage,
                        t->trace_stage,   quantize,       t->profile_stage};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (stages[i]) json_array_append(list, stages[i]);
    json_decref(quantize);
    return list;
}

static json_t *or_null(json_t *j) {
    return j ? json_incref(j) : json_null();
}

static json_t *target_doc(const ap_deploy_target *t) {
    json_t *yes = json_array(), *no = json_array();
    say_proved(t, yes, no);
    json_t *o = json_object(), *failure = t->failure ? json_incref(t->failure) : NULL;
    if (t->err && !failure)
        failure = json_pack("{so,sn,sn}", "error", ap_json_from_err(t->err), "first_diverging", "reduced");
    json_object_set_new(o, "target", json_string(t->id.text));
    json_object_set_new(o, "verdict", json_string(t->err || !t->align ? "fail" : "pass"));
    json_object_set_new(o, "precision", json_string(t->precision));
    json_object_set_new(o, "soc", ap_soc_json(t->id.soc));
    json_object_set_new(o, "stages", stages_doc(t));
    json_object_set_new(o, "gates", t->gate_list ? json_incref(t->gate_list) : json_array());
    json_object_set_new(o, "metrics", or_null(json_object_get(t->align, "metrics")));
    json_object_set_new(o, "placement", placement_doc(t));
    json_object_set_new(o, "trace", or_null(json_object_get(t->trace, "list")));
    json_object_set_new(o, "trace_faithful", t->trace ? json_boolean(trace_is_faithful(t)) : json_null());
    json_object_set_new(o, "trace_note", or_null(json_object_get(t->trace, "note")));
    json_object_set_new(o, "repairs", ap_target_repairs(t));
    json_object_set_new(o, "cost", or_null(json_object_get(t->build, "cost")));
    json_object_set_new(o, "profile", or_null(t->profile));
    json_object_set_new(o, "artifact",
                        json_pack("{ss,so,so,so}", "dir", t->id.folder, "files", ap_artifact_files(t),
                                  "readback", or_null(json_object_get(t->build, "readback")), "compatibility",
                                  or_null(json_object_get(t->build, "compatibility"))));
    json_object_set_new(o, "proved", yes);
    json_object_set_new(o, "not_proved", no);
    json_object_set_new(o, "failure", failure ? failure : json_null());
    return o;
}

static bool all_pass(const ap_deployment *d) {
    if (d->baseline_err) return false;
    for (size_t i = 0; i < d->target_count; i++)
        if (d->targets[i].err || !d->targets[i].align) return false;
    return true;
}

ap_err ap_deploy_document(ap_deployment *d, json_t **document) {
    char now[21];
    ap_time_utc(now);
    json_t *tools = json_array(), *targets = json_array(), *stages = json_array();
    json_array_append_new(tools, tool(&d->ort));
    if (d->qnn.name) json_array_append_new(tools, tool(&d->qnn));
    if (d->baseline_stage) json_array_append(stages, d->baseline_stage);
    if (d->interface_stage) json_array_append(stages, d->interface_stage);
    for (size_t i = 0; i < d->target_count; i++) json_array_append_new(targets, target_doc(&d->targets[i]));
    json_object_set_new(d->stats, "sha256", json_string(d->digest));
    json_t *doc = json_object();
    json_object_set_new(doc, "format", json_integer(1));
    json_object_set_new(doc, "aipc", json_string(AP_VERSION));
    json_object_set_new(doc, "created", json_string(now));
    json_object_set_new(doc, "command", ap_json_string(d->o->command));
    json_object_set_new(doc, "verdict", json_string(all_pass(d) ? "pass" : "fail"));
    json_object_set_new(doc, "title", d->asks ? ap_json_string(d->asks->title) : json_null());
    json_object_set(doc, "model", d->stats);
    json_object_set_new(doc, "host", ap_host_json());
    json_object_set_new(doc, "tools", tools);
    json_object_set(doc, "warnings", d->warnings);
    json_object_set(doc, "contract", d->contract);
    json_object_set_new(doc, "unread", or_null(d->asks ? d->asks->left_out : NULL));
    json_object_set_new(doc, "stages", stages);
    json_object_set_new(doc, "targets", targets);
    json_object_set_new(doc, "time", ap_ledger_json(&d->ledger));
    *document = doc;
    return NULL;
}
