/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 10 }; /* of a list; the report has all */

static void put_stage(term_table *t, const json_t *stage, const char *target) {
    double seconds = 0;
    const char *verdict = doc_text(stage, "verdict", "-");
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", doc_text(stage, "stage", "-"));
    table_cell(t, CLI_PLAIN, "%s", doc_text(stage, "target", target));
    table_cell(t, style_of_verdict(verdict), "%s", verdict);
    if (doc_true(stage, "cached"))
        table_cell(t, CLI_DIM, "stored");
    else if (doc_number(stage, "seconds", &seconds) && seconds <= 0)
        table_cell(t, CLI_DIM, "-"); /* no work of its own */
    else
        table_cell_take(t, CLI_PLAIN, doc_format(stage, "seconds", fmt_seconds));
    table_cell(t, CLI_PLAIN, "%s", doc_text(stage, "key_metric", "-"));
}

static void put_stages(const json_t *doc) {
    const json_t *stages = json_object_get(doc, "stages"), *targets = json_object_get(doc, "targets");
    size_t rows = json_array_size(stages);
    for (size_t i = 0; i < json_array_size(targets); i++)
        rows += json_array_size(json_object_get(json_array_get(targets, i), "stages"));
    if (rows == 0) return; /* it failed before a stage was through */
    term_table *t = table_new("STAGE|TARGET|VERDICT|>TIME|KEY METRIC");
    for (size_t i = 0; i < json_array_size(stages); i++) put_stage(t, json_array_get(stages, i), "-");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i), *own = json_object_get(target, "stages");
        const char *name = doc_text(target, "target", "-");
        for (size_t k = 0; k < json_array_size(own); k++) put_stage(t, json_array_get(own, k), name);
    }
    table_print(t, stdout);
    (void)fputc('\n', stdout);
}

/* "htp:sm8650: gate sqnr_db of output0 is 12.3, needs >= 30" */
static void put_failed_gates(const json_t *target) {
    const char *name = doc_text(target, "target", "-");
    const json_t *gates = json_object_get(target, "gates");
    size_t shown = 0, failed = 0;
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *gate = json_array_get(gates, i);
        if (strcmp(doc_text(gate, "verdict", ""), "fail") != 0) continue;
        if (++failed > MAX_LINES) continue;
        char *value = doc_format(gate, "value", fmt_number),
             *limit = doc_format(gate, "threshold", fmt_number);
        const char *output = doc_text(gate, "output", NULL);
        term_line(CLI_RED, "%s: gate %s%s%s is %s, needs %s %s", name, doc_text(gate, "metric", "?"),
                  output ? " of " : "", output ? output : "", value, doc_text(gate, "op", ""), limit);
        free(limit);
        free(value);
        shown++;
    }
    if (failed > shown) (void)printf("  and %zu more in the report\n", failed - shown);
}

static void put_failure(const json_t *target) {
    const char *name = doc_text(target, "target", "-");
    const json_t *failure = json_object_get(target, "failure");
    const json_t *diverging = json_object_get(failure, "first_diverging"),
                 *reduced = json_object_get(failure, "reduced");
    if (json_is_object(diverging)) {
        char *db = doc_format(diverging, "sqnr_db", fmt_number);
        term_line(CLI_PLAIN, "%s: first diverging tensor %s (%s %s, %s dB)", name,
                  doc_text(diverging, "tensor", "?"), doc_text(diverging, "op", "?"),
                  doc_text(diverging, "node", "?"), db);
        free(db);
    }
    if (json_is_object(reduced)) {
        char *nodes = doc_format(reduced, "nodes", fmt_count);
        term_line(CLI_PLAIN, "%s: smallest failing graph %s (%s nodes)", name,
                  doc_text(reduced, "model", "?"), nodes);
        free(nodes);
    }
}

static void put_estimate(const json_t *target) {
    const json_t *cost = json_object_get(target, "cost");
    double ms;
    if (!doc_number(cost, "estimate_ms", &ms)) return;
    char *time = fmt_seconds(ms / 1e3);
    term_line(CLI_PLAIN, "%s: about %s per run (an estimate, not measured)", doc_text(target, "target", "-"),
              time);
    free(time);
}

void show_time(const json_t *doc) {
    static const struct {
        const char *key, *text;
    } parts[] = {{"export_s", "export"},
                 {"ours_s", "aipc"},
                 {"vendor_s", "vendor"},
                 {"golden_s", "golden"},
                 {"runs_s", "only runs"}};
    const json_t *time = json_object_get(doc, "time");
    bool first = true;
    double s;
    if (!json_is_object(time)) return;
    char *wall = doc_format(time, "wall_s", fmt_seconds);
    (void)printf("time: %s (", wall);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!doc_number(time, parts[i].key, &s)) continue;
        char *text = fmt_seconds(s);
        (void)printf("%s%s %s", first ? "" : ", ", parts[i].text, text);
        free(text);
        first = false;
    }
    (void)printf(")\n");
    free(wall);
}

void show_deploy(const char *document, const char *out_dir) {
    json_t *doc = doc_parse(document);
    const json_t *warnings = json_object_get(doc, "warnings"), *targets = json_object_get(doc, "targets");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        if (text) term_warn(text);
    }
    put_stages(doc);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        show_repairs(json_object_get(target, "repairs"), doc_text(target, "target", "-"));
        put_failed_gates(target);
        put_failure(target);
        put_estimate(target);
    }
    const char *verdict = doc_text(doc, "verdict", "-");
    size_t len = strlen(out_dir);
    show_time(doc);
    term_line(CLI_PLAIN, "report: %s%sreport.html", out_dir, len && out_dir[len - 1] == '/' ? "" : "/");
    (void)fputs("verdict: ", stdout);
    term_line(style_of_verdict(verdict), "%s", verdict);
    json_decref(doc);
}
