// SPDX-License-Identifier: Apache-2.0
// The facts a summary is made of, and what the gate metrics mean.
#include "report/report_doc.h"

#include <math.h>
#include <string.h>

static const ap_metric_text metrics[] = {
    {"sqnr_db", "SQNR",
     "Signal-to-error ratio of the output against the golden run, in decibels. Higher is better: 20 dB is an "
     "error "
     "of 10 % of the signal, 40 dB 1 %, 60 dB 0.1 %."},
    {"worst_channel_db", "Worst channel",
     "SQNR of the worst single channel. Finds one broken channel that an average over all of them would "
     "hide."},
    {"cosine", "Cosine",
     "Cosine of the angle between both outputs; 1 is the same direction. Blind to scale, so never judged "
     "alone."},
    {"max_abs", "Max absolute error", "Largest difference of any single element, in the unit of the output."},
    {"max_rel", "Max relative error",
     "Largest difference of any element relative to its own size (elements near zero count against the "
     "range)."},
    {"rel_to_max", "Error relative to range",
     "Largest difference of any element divided by the largest golden value: the error as a part of the "
     "range."},
    {"soc_readback", "SoC in the binary",
     "The SoC model read back from the finished binary is the one asked for."},
    {"contract", "Interface contract",
     "Names, types and shapes of the artifact's inputs and outputs are those of the original model."},
    {"rms_error", "RMS error", "Root of the mean squared difference, in the unit of the output."},
    {"ref_max", "Reference maximum", "Largest absolute value of the golden output: the scale of the errors."},
    {"nonfinite_mismatch", "NaN/Inf mismatches",
     "Elements that are NaN or infinite on one side only. Must be 0."},
    {"nan_test", "NaN elements", "Elements that are not a number. Must match the golden run."},
    {"inf_test", "Inf elements", "Elements that are infinite. Must match the golden run."},
    {"argmax_agree", "Top-1 agreement",
     "Share of rows whose largest element is the same: the same class wins."},
    {"top5_agree", "Top-5 agreement", "Share of rows whose five largest elements are the same set."},
    {"bit_equal", "Bit equality", "Whether every bit of the output is the same."},
    {"repeat", "Same answer twice", "Two runs on the same input give the same bits."},
    {"reload", "Same answer after reload",
     "The artifact, loaded again by a fresh process, gives the same bits as the session that built it."},
    {"share", "Share on target", "Share of the graph's nodes that run on the target and not on the CPU."},
};

static const ap_metric_text *metric_named(const char *key) {
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (strcmp(metrics[i].key, key) == 0) return &metrics[i];
    }
    return NULL;
}

const ap_metric_text *ap_rd_metric(const char *key) {
    if (!key) return NULL;
    const ap_metric_text *m = metric_named(key);
    if (m) return m;
    // Gate names are longer than metric names: "reload_bit_equal", "placement_share".
    if (strstr(key, "reload")) return metric_named("reload");
    if (strstr(key, "repeat") || strstr(key, "runs") || strstr(key, "determin"))
        return metric_named("repeat");
    if (strstr(key, "share") || strstr(key, "on_target")) return metric_named("share");
    if (strstr(key, "bit_equal")) return metric_named("bit_equal");
    return NULL;
}

// Metrics that are 1 or 0.
static bool is_yes_no(const char *key) {
    static const char *const keys[] = {"bit_equal", "repeat", "reload", "soc_readback", "contract"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i]) == 0) return true;
    }
    return false;
}

void ap_rd_gate_value(const char *metric, const json_t *v, ap_buf *out) {
    double x = 0;
    const ap_metric_text *m = ap_rd_metric(metric);
    const char *key = m ? m->key : metric ? metric : "";
    size_t len = strlen(key);
    if (!ap_rd_real(v, &x))
        ap_rd_value(v, out);
    else if (len > 3 && strcmp(key + len - 3, "_db") == 0)
        ap_buf_puts(out, ap_rd_db(x).s);
    else if (strcmp(key, "share") == 0 || strstr(key, "_agree"))
        ap_buf_puts(out, ap_rd_percent(x).s);
    else if (is_yes_no(key) && (x == 0 || x == 1))
        ap_buf_puts(out, x != 0 ? "yes" : "no");
    else if (strcmp(key, "cosine") == 0 && isfinite(x))
        ap_buf_printf(out, "%.7g", x);
    else
        ap_buf_puts(out, ap_rd_g(x).s);
}

const char *ap_rd_gate_op(const json_t *gate) {
    const char *op = ap_rd_str_or(gate, "op", "");
    const ap_metric_text *m = ap_rd_metric(ap_rd_str(gate, "metric"));
    const json_t *threshold = json_object_get(gate, "threshold");
    if (!threshold || json_is_null(threshold) || (m && is_yes_no(m->key))) return "";
    return strcmp(op, ">=") == 0 ? "≥" : strcmp(op, "<=") == 0 ? "≤" : strcmp(op, "==") == 0 ? "=" : op;
}

static void gate_facts(const json_t *target, ap_rd_facts *f) {
    const json_t *gates = ap_rd_arr(target, "gates");
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *g = json_array_get(gates, i);
        ap_verdict v = ap_rd_verdict(g);
        f->gates_passed += v == AP_VERDICT_PASS;
        f->gates_failed += v == AP_VERDICT_FAIL;
        double db = 0;
        if (strcmp(ap_rd_str_or(g, "metric", ""), "sqnr_db") != 0 || !ap_rd_num(g, "value", &db)) continue;
        if (f->has_sqnr && !isnan(db) && db >= f->sqnr_db) continue; // NaN is worse than anything
        f->has_sqnr = true;
        f->sqnr_db = db;
        f->sqnr_output = ap_rd_str(g, "output");
        f->has_threshold = ap_rd_num(g, "threshold", &f->threshold_db);
    }
}

static void metric_facts(const json_t *target, ap_rd_facts *f) {
    const char *name;
    json_t *m;
    if (f->has_sqnr) return;
    json_object_foreach((json_t *)ap_rd_obj(target, "metrics"), name, m) {
        double db = 0;
        if (!ap_rd_num(m, "sqnr_db", &db) || (f->has_sqnr && !isnan(db) && db >= f->sqnr_db)) continue;
        f->has_sqnr = true;
        f->sqnr_db = db;
        f->sqnr_output = name;
    }
}

// The file that is shipped: a context binary when there is one, else the largest.
static void artifact_facts(const json_t *target, ap_rd_facts *f) {
    const json_t *files = ap_rd_arr(ap_rd_obj(target, "artifact"), "files");
    bool found_binary = false;
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *role = ap_rd_str_or(file, "role", "");
        double bytes = 0;
        bool binary = strstr(role, "context") || strstr(role, "binary");
        if (!ap_rd_amount(file, "bytes", &bytes) || (found_binary && !binary)) continue;
        if (f->has_binary && found_binary == binary && bytes <= f->binary_bytes) continue;
        found_binary = binary;
        f->has_binary = true;
        f->binary_bytes = bytes;
        f->binary_file = ap_rd_str(file, "file");
    }
}

ap_rd_facts ap_rd_target_facts(const json_t *target) {
    ap_rd_facts f = {0};
    const json_t *p = ap_rd_obj(target, "placement");
    f.npu = strncmp(ap_rd_str_or(target, "target", ""), "htp", 3) == 0;
    f.has_nodes =
        ap_rd_amount(p, "total", &f.total) && ap_rd_amount(p, "on_target", &f.on_target) && f.total > 0;
    gate_facts(target, &f);
    metric_facts(target, &f);
    artifact_facts(target, &f);
    f.has_estimate = ap_rd_amount(ap_rd_obj(target, "cost"), "estimate_ms", &f.estimate_ms);
    return f;
}

void ap_rd_target_name(const json_t *target, ap_buf *out) {
    const json_t *soc = ap_rd_obj(target, "soc");
    const char *name = ap_rd_str(target, "target");
    const char *product = ap_rd_str_or(soc, "product", ap_rd_str(soc, "name"));
    double version = 0;
    if (product) {
        ap_buf_puts(out, product);
        if (ap_rd_amount(soc, "htp_version", &version)) ap_buf_printf(out, " (HTP v%s)", ap_rd_g(version).s);
    } else if (name && strcmp(name, "cpu") == 0)
        ap_buf_puts(out, "CPU");
    else
        ap_buf_puts(out, name ? name : "an unnamed target");
}

void ap_rd_title(const json_t *doc, ap_buf *out) {
    const json_t *targets = ap_rd_arr(doc, "targets");
    const char *file = ap_rd_str_or(ap_rd_obj(doc, "model"), "file", "model");
    const char *slash = strrchr(file, '/');
    ap_buf_puts(out, ap_rd_str_or(doc, "title", slash && slash[1] ? slash + 1 : file));
    if (!targets) return;
    ap_buf_puts(out, " on ");
    if (json_array_size(targets) == 1)
        ap_rd_target_name(json_array_get(targets, 0), out);
    else
        ap_buf_printf(out, "%zu targets", json_array_size(targets));
}

static void lede_of_many(const json_t *targets, ap_buf *out) {
    size_t passed = 0, n = json_array_size(targets);
    for (size_t i = 0; i < n; i++) passed += ap_rd_verdict(json_array_get(targets, i)) == AP_VERDICT_PASS;
    if (passed == n)
        ap_buf_printf(out, "All %zu targets compute the answer of the original model.", n);
    else
        ap_buf_printf(out, "%zu of %zu targets compute the answer of the original model.", passed, n);
}

static void lede_of_one(const json_t *target, ap_buf *out) {
    ap_rd_facts f = ap_rd_target_facts(target);
    ap_verdict v = ap_rd_verdict(target);
    size_t gates = f.gates_passed + f.gates_failed;
    const char *message = ap_rd_str(ap_rd_obj(ap_rd_obj(target, "failure"), "error"), "message");
    if (v == AP_VERDICT_PASS)
        ap_buf_puts(out, "The artifact computes the answer of the original model");
    else if (v == AP_VERDICT_FAIL)
        ap_buf_puts(out, "The artifact is not proven to compute the answer of the original");
    else
        ap_buf_puts(out, "No verdict was recorded");
    if (f.has_sqnr) {
        ap_buf_printf(out, ": worst output %s", ap_rd_db(f.sqnr_db).s);
        if (f.has_threshold) ap_buf_printf(out, " (gate %s)", ap_rd_db(f.threshold_db).s);
    }
    if (f.has_nodes) {
        ap_buf_printf(out, "%s %s of %s nodes on the %s", f.has_sqnr ? "," : ":",
                      ap_rd_integer(f.on_target).s, ap_rd_integer(f.total).s, f.npu ? "NPU" : "target");
    }
    ap_buf_putc(out, '.');
    if (f.gates_failed)
        ap_buf_printf(out, " %zu of %zu gates failed.", f.gates_failed, gates);
    else if (gates)
        ap_buf_printf(out, " All %zu gates passed.", gates);
    if (message) ap_buf_printf(out, " %s.", message);
}

void ap_rd_lede(const json_t *doc, ap_buf *out) {
    const json_t *targets = ap_rd_arr(doc, "targets");
    if (json_array_size(targets) == 1)
        lede_of_one(json_array_get(targets, 0), out);
    else if (targets)
        lede_of_many(targets, out);
}

bool ap_rd_profile_shown(const json_t *target) {
    static const char *const times[] = {"s", "ms", "us", "µs", "ns"};
    const char *unit = ap_rd_str(ap_rd_obj(target, "profile"), "unit");
    bool timed = false;
    for (size_t i = 0; unit && i < sizeof times / sizeof *times; i++)
        timed = timed || strcmp(unit, times[i]) == 0;
    // The HTP emulator's "cycles" are host ticks (facts/qnn.md): whatever unit they claim, they stay out.
    return timed && strncmp(ap_rd_str_or(target, "target", ""), "htp", 3) != 0;
}

bool ap_rd_node_on_target(const json_t *target, const json_t *node) {
    const char *where = ap_rd_str_or(node, "where", "");
    const char *name = ap_rd_str_or(target, "target", "");
    if (strncmp(name, "cpu", 3) == 0) return true;
    return !(strstr(where, "cpu") || strstr(where, "CPU"));
}
