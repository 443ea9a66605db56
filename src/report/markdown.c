// SPDX-License-Identifier: Apache-2.0
// report.md: the content of the page for a pull request or a terminal. Long lists are cut and say so.
#include "report/markdown.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { TOP_LAYERS = 20, LOWEST = 5, MAX_REFUSED = 50 };

void ap_md_text(ap_buf *out, const char *s) {
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<')
            ap_buf_puts(out, "&lt;");
        else if (c == '>')
            ap_buf_puts(out, "&gt;");
        else if (c == '&')
            ap_buf_puts(out, "&amp;");
        else if (c < 0x20 || c == 0x7f)
            ap_buf_putc(out, ' ');
        else {
            if (strchr("\\`*_[]|~#@!", c)) ap_buf_putc(out, '\\');
            ap_buf_putc(out, (char)c);
        }
    }
}

void ap_md_code(ap_buf *out, const char *s) {
    if (!s || !*s) return;
    ap_buf_puts(out, "`");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '`')
            ap_buf_putc(out, '\'');
        else if (c == '|')
            ap_buf_puts(out, "\\|");
        else
            ap_buf_putc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
    ap_buf_puts(out, "`");
}

static void value(ap_buf *out, const json_t *v) {
    ap_buf t = {0};
    ap_rd_value(v, &t);
    ap_md_text(out, ap_buf_str(&t));
    ap_buf_free(&t);
}

void ap_md_table(ap_buf *out, const char *const *heads, size_t count) {
    ap_buf_puts(out, "\n|");
    for (size_t i = 0; i < count; i++) ap_buf_printf(out, " %s |", heads[i] + (heads[i][0] == '#'));
    ap_buf_puts(out, "\n|");
    for (size_t i = 0; i < count; i++) ap_buf_puts(out, heads[i][0] == '#' ? " ---: |" : " --- |");
    ap_buf_putc(out, '\n');
}

void ap_md_cell(ap_buf *out, const char *s) {
    ap_buf_putc(out, ' ');
    ap_md_text(out, s);
    ap_buf_puts(out, " |");
}

void ap_md_code_cell(ap_buf *out, const char *s) {
    ap_buf_putc(out, ' ');
    ap_md_code(out, s);
    ap_buf_puts(out, " |");
}

static void bullets(ap_buf *out, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        ap_buf_puts(out, "- ");
        value(out, json_array_get(list, i));
        ap_buf_putc(out, '\n');
    }
}

// ---- head ----

static void head(const json_t *doc, ap_buf *out) {
    ap_buf title = {0}, lede = {0};
    const char *word = ap_verdict_word(ap_rd_verdict(doc));
    ap_rd_title(doc, &title);
    ap_rd_lede(doc, &lede);
    ap_buf_printf(out, "# %s%s", word, *word ? " — " : "");
    ap_md_text(out, ap_buf_str(&title));
    ap_buf_puts(out, "\n\n");
    ap_md_text(out, ap_buf_str(&lede));
    ap_buf_puts(out, "\n\n");
    ap_buf_free(&lede);
    ap_buf_free(&title);
    if (ap_json_bool(doc, "sample", false))
        ap_buf_puts(out, "> **Sample.** Made up to show the page; nothing was measured.\n\n");
    if (ap_rd_str(doc, "created")) {
        ap_buf_puts(out, "Made ");
        ap_md_text(out, ap_rd_str(doc, "created"));
        ap_buf_puts(out, " by aipc ");
        ap_md_text(out, ap_rd_str_or(doc, "aipc", ""));
        ap_buf_puts(out, ".\n");
    }
    const json_t *warnings = ap_rd_arr(doc, "warnings");
    if (warnings) ap_buf_puts(out, "\n> [!WARNING]\n");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        ap_buf_puts(out, "> ");
        value(out, json_array_get(warnings, i));
        ap_buf_puts(out, "\n>\n");
    }
}

static void numbers(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Number", "#Value"};
    ap_rd_facts f = ap_rd_target_facts(target);
    size_t gates = f.gates_passed + f.gates_failed;
    ap_md_table(out, heads, 2);
    if (gates) ap_buf_printf(out, "| Gates passed | %zu / %zu |\n", f.gates_passed, gates);
    if (f.has_nodes) {
        ap_buf_printf(out, "| Nodes on the %s | %s / %s |\n", f.npu ? "NPU" : "target",
                      ap_rd_integer(f.on_target).s, ap_rd_integer(f.total).s);
    }
    if (f.has_sqnr) ap_buf_printf(out, "| SQNR, worst output | %s |\n", ap_rd_db(f.sqnr_db).s);
    if (f.has_binary) ap_buf_printf(out, "| Binary size | %s |\n", ap_rd_bytes(f.binary_bytes).s);
    if (f.has_estimate)
        ap_buf_printf(out, "| Latency (**estimate**, not measured) | ≈ %s |\n", ap_rd_ms(f.estimate_ms).s);
}

// ---- one target ----

static void failure(const json_t *target, ap_buf *out) {
    const json_t *f = ap_rd_obj(target, "failure"), *e = ap_rd_obj(f, "error");
    const json_t *d = ap_rd_obj(f, "first_diverging"), *r = ap_rd_obj(f, "reduced");
    double db = 0;
    if (!f) return;
    ap_buf_puts(out, "\n### What failed\n\n");
    if (e) {
        ap_buf_puts(out, "- **");
        ap_md_text(out, ap_rd_str_or(e, "code", "error"));
        ap_buf_puts(out, "** ");
        ap_md_text(out, ap_rd_str(e, "message"));
        ap_buf_putc(out, '\n');
    }
    if (ap_rd_str(e, "subject")) {
        ap_buf_puts(out, "- subject: ");
        ap_md_code(out, ap_rd_str(e, "subject"));
        ap_buf_putc(out, '\n');
    }
    if (ap_rd_str(e, "hint")) {
        ap_buf_puts(out, "- what to do: ");
        ap_md_text(out, ap_rd_str(e, "hint"));
        ap_buf_putc(out, '\n');
    }
    if (d) {
        ap_buf_puts(out, "- first tensor that diverges: ");
        ap_md_code(out, ap_rd_str(d, "tensor"));
        ap_buf_putc(out, ' ');
        ap_md_text(out, ap_rd_str(d, "op"));
        if (ap_rd_num(d, "sqnr_db", &db)) ap_buf_printf(out, ", %s", ap_rd_db(db).s);
        ap_buf_putc(out, '\n');
    }
    if (r) {
        ap_buf_puts(out, "- smallest graph that still fails: ");
        ap_md_code(out, ap_rd_str(r, "model"));
        ap_buf_putc(out, '\n');
    }
}

static void gates(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Check", "Output", "#Value", "#Threshold", "Verdict"};
    const json_t *list = ap_rd_arr(target, "gates");
    if (!list) return;
    ap_buf_puts(out, "\n### Gates\n");
    ap_md_table(out, heads, 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *g = json_array_get(list, i);
        const char *key = ap_rd_str_or(g, "metric", "");
        const ap_metric_text *m = ap_rd_metric(key);
        ap_buf got = {0}, want = {0};
        if (!json_is_object(g)) continue;
        ap_rd_gate_value(key, json_object_get(g, "value"), &got);
        ap_rd_gate_value(key, json_object_get(g, "threshold"), &want);
        ap_buf_putc(out, '|');
        ap_md_cell(out, m ? m->label : key);
        ap_md_code_cell(out, ap_rd_str(g, "output"));
        ap_md_cell(out, ap_buf_str(&got));
        ap_buf_putc(out, ' ');
        ap_md_text(out, ap_rd_gate_op(g));
        ap_buf_putc(out, ' ');
        ap_md_text(out, ap_buf_str(&want));
        ap_buf_puts(out, ap_json_bool(g, "user_set", false) ? " (user) |" : " |");
        ap_md_cell(out, ap_verdict_word(ap_rd_verdict(g)));
        ap_buf_putc(out, '\n');
        ap_buf_free(&want);
        ap_buf_free(&got);
    }
}

static void trace_notes(const json_t *target, ap_buf *out) {
    const char *note = ap_rd_str(target, "trace_note");
    if (note) {
        ap_buf_puts(out, "\nThe tensors were not compared: ");
        ap_md_text(out, note);
        ap_buf_putc(out, '\n');
    }
    if (json_is_false(json_object_get(target, "trace_faithful")) && ap_rd_arr(target, "trace")) {
        ap_buf_puts(out, "\nThe build that shows every tensor does not give the artifact's output bits: a "
                         "hint, not a proof.\n");
    }
}

static void lowest(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Tensor", "Operator", "#SQNR"};
    size_t count = 0;
    const json_t *trace = ap_rd_arr(target, "trace");
    ap_rd_ranked *list = ap_rd_rank(trace, "sqnr_db", false, &count);
    if (count) {
        ap_buf_printf(out, "\n### Lowest accuracy of %zu tensors\n", json_array_size(trace));
        ap_md_table(out, heads, 3);
    }
    for (size_t i = 0; i < count && i < LOWEST; i++) {
        double db = 0;
        bool known = ap_rd_num(list[i].item, "sqnr_db", &db);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(list[i].item, "tensor"));
        ap_md_cell(out, ap_rd_str(list[i].item, "op"));
        ap_md_cell(out, known ? ap_rd_db(db).s : "");
        ap_buf_putc(out, '\n');
    }
    free(list);
}

static void cost(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Layer", "Operator", "#Estimate", "#MACs", "Bound by"};
    const json_t *c = ap_rd_obj(target, "cost");
    size_t count = 0;
    if (!c) return;
    ap_rd_ranked *list = ap_rd_rank(ap_rd_arr(c, "layers"), "ms", true, &count);
    ap_buf_puts(out, "\n### Where the time would go (ESTIMATE, not measured on a device)\n\n");
    bullets(out, ap_rd_arr(c, "assumptions"));
    if (count) ap_md_table(out, heads, 5);
    for (size_t i = 0; i < count && i < TOP_LAYERS; i++) {
        const json_t *l = list[i].item;
        double ms = 0, macs = 0;
        bool timed = ap_rd_amount(l, "ms", &ms), counted = ap_rd_amount(l, "macs", &macs);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(l, "name"));
        ap_md_cell(out, ap_rd_str(l, "op"));
        ap_md_cell(out, timed ? ap_rd_ms(ms).s : "");
        ap_md_cell(out, counted ? ap_rd_count(macs).s : "");
        ap_md_cell(out, ap_rd_str(l, "bound"));
        ap_buf_putc(out, '\n');
    }
    if (count > TOP_LAYERS) ap_buf_printf(out, "\n%zu more layers in report.html.\n", count - TOP_LAYERS);
    free(list);
}

static void profile(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Layer", "Operator", "#Measured"};
    const json_t *p = ap_rd_obj(target, "profile");
    size_t count = 0;
    if (!ap_rd_profile_shown(target)) return;
    ap_rd_ranked *list = ap_rd_rank(ap_rd_arr(p, "layers"), "value", true, &count);
    ap_buf_puts(out, "\n### Measured profile\n\n");
    ap_md_text(out, ap_rd_str(p, "what"));
    ap_buf_putc(out, '\n');
    if (count) ap_md_table(out, heads, 3);
    for (size_t i = 0; i < count && i < TOP_LAYERS; i++) {
        double v = 0;
        bool known = ap_rd_amount(list[i].item, "value", &v);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(list[i].item, "name"));
        ap_md_cell(out, ap_rd_str(list[i].item, "op"));
        ap_buf_printf(out, " %s ", known ? ap_rd_integer(v).s : "");
        if (known) ap_md_text(out, ap_rd_str(p, "unit"));
        ap_buf_puts(out, " |\n");
    }
    free(list);
}

static void refused(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"Refused node", "Operator", "Reason"};
    const json_t *list = ap_rd_arr(ap_rd_obj(target, "placement"), "refused");
    size_t n = json_array_size(list);
    if (!n) return;
    ap_md_table(out, heads, 3);
    for (size_t i = 0; i < n && i < MAX_REFUSED; i++) {
        const json_t *r = json_array_get(list, i);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(r, "node"));
        ap_md_cell(out, ap_rd_str(r, "op"));
        ap_md_cell(out, ap_rd_str(r, "reason"));
        ap_buf_putc(out, '\n');
    }
    if (n > MAX_REFUSED) ap_buf_printf(out, "\n%zu more refused nodes in report.html.\n", n - MAX_REFUSED);
}

static void files(const json_t *target, ap_buf *out) {
    static const char *const heads[] = {"File", "Role", "#Bytes", "SHA-256"};
    const json_t *list = ap_rd_arr(ap_rd_obj(target, "artifact"), "files");
    if (!list) return;
    ap_buf_puts(out, "\n### Artifact\n");
    ap_md_table(out, heads, 4);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        double bytes = 0;
        bool known = ap_rd_amount(f, "bytes", &bytes);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(f, "file"));
        ap_md_cell(out, ap_rd_str(f, "role"));
        ap_md_cell(out, known ? ap_rd_integer(bytes).s : "");
        ap_md_code_cell(out, ap_rd_str(f, "sha256"));
        ap_buf_putc(out, '\n');
    }
}

static void target_part(const json_t *target, ap_buf *out) {
    ap_buf name = {0};
    const json_t *yes = ap_rd_arr(target, "proved"), *no = ap_rd_arr(target, "not_proved");
    ap_rd_target_name(target, &name);
    ap_buf_puts(out, "\n## ");
    ap_md_text(out, ap_buf_str(&name));
    if (ap_rd_str(target, "target")) {
        ap_buf_puts(out, " — ");
        ap_md_code(out, ap_rd_str(target, "target"));
    }
    ap_buf_printf(out, " %s\n", ap_verdict_word(ap_rd_verdict(target)));
    numbers(target, out);
    failure(target, out);
    ap_md_repairs(target, out);
    gates(target, out);
    if (yes) ap_buf_puts(out, "\n### Proved\n\n");
    bullets(out, yes);
    if (no) ap_buf_puts(out, "\n### Not proved here\n\n");
    bullets(out, no);
    lowest(target, out);
    trace_notes(target, out);
    cost(target, out);
    profile(target, out);
    refused(target, out);
    files(target, out);
    ap_buf_free(&name);
}

// ---- the whole run ----

static void stage_rows(const json_t *list, const char *target, ap_buf *out) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        double seconds = 0;
        bool timed = ap_rd_amount(s, "seconds", &seconds);
        ap_buf_putc(out, '|');
        ap_md_cell(out, ap_rd_str(s, "stage"));
        ap_md_code_cell(out, target);
        ap_md_cell(out, ap_verdict_word(ap_rd_verdict(s)));
        ap_md_cell(out, ap_rd_str(s, "key_metric"));
        ap_buf_printf(out, " %s%s |\n", timed ? ap_rd_seconds(seconds).s : "",
                      ap_json_bool(s, "cached", false) ? " (cached)" : "");
    }
}

static void stages(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"Stage", "Target", "Verdict", "Key result", "#Time"};
    const json_t *targets = ap_rd_arr(doc, "targets");
    ap_buf_puts(out, "\n## Stages\n");
    ap_md_table(out, heads, 5);
    stage_rows(ap_rd_arr(doc, "stages"), NULL, out);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        stage_rows(ap_rd_arr(t, "stages"), ap_rd_str(t, "target"), out);
    }
}

static void contract_rows(const json_t *list, const char *direction, ap_buf *out) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i), *source = ap_rd_obj(t, "source");
        ap_buf dims = {0};
        ap_rd_dims(json_object_get(t, "dims"), &dims);
        ap_buf_printf(out, "| %s |", direction);
        ap_md_code_cell(out, ap_rd_str(t, "name"));
        ap_md_cell(out, ap_rd_str(t, "dtype"));
        ap_md_cell(out, ap_buf_str(&dims));
        ap_buf_putc(out, ' ');
        ap_md_text(out, ap_rd_str(source, "kind"));
        ap_buf_putc(out, ' ');
        ap_md_code(out, ap_rd_str(source, "file"));
        ap_buf_puts(out, " |\n");
        ap_buf_free(&dims);
    }
}

static void contract(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"", "Name", "Type", "Shape", "Source"};
    const json_t *c = ap_rd_obj(doc, "contract");
    if (!c) return;
    ap_buf_puts(out, "\n## Interface contract\n");
    ap_md_table(out, heads, 5);
    contract_rows(ap_rd_arr(c, "inputs"), "in", out);
    contract_rows(ap_rd_arr(c, "outputs"), "out", out);
}

static void tools(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"Tool", "Version", "Licence"};
    const json_t *list = ap_rd_arr(doc, "tools");
    if (!list) return;
    ap_buf_puts(out, "\n## Tools\n");
    ap_md_table(out, heads, 3);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        ap_buf_putc(out, '|');
        ap_md_cell(out, ap_rd_str(t, "name"));
        ap_md_cell(out, ap_rd_str(t, "version"));
        ap_md_cell(out, ap_rd_str(t, "licence"));
        ap_buf_putc(out, '\n');
    }
}

// Indented, not fenced: no text can end an indented block.
static void reproduce(const json_t *doc, ap_buf *out) {
    const char *command = ap_rd_str(doc, "command");
    if (!command) return;
    ap_buf_puts(out, "\n## Do it again\n\n    ");
    for (; *command; command++) {
        ap_buf_putc(out, *command == '\r' ? ' ' : *command);
        if (*command == '\n') ap_buf_puts(out, "    ");
    }
    ap_buf_putc(out, '\n');
}

ap_err ap_report_markdown(const json_t *doc, ap_buf *out) {
    if (!json_is_object(doc)) return ap_err_new(AP_ERR_CORRUPT, "the report document is not a JSON object");
    const json_t *targets = ap_rd_arr(doc, "targets");
    head(doc, out);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        if (json_is_object(json_array_get(targets, i))) target_part(json_array_get(targets, i), out);
    }
    stages(doc, out);
    contract(doc, out);
    tools(doc, out);
    reproduce(doc, out);
    return NULL;
}
