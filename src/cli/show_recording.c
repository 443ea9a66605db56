/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_recording.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

/* Shapes of the signature called most, "and 3 more". */
static char *shapes_text(const json_t *model) {
    const json_t *sigs = json_object_get(model, "signatures"), *best = NULL;
    double most = -1, calls;
    for (size_t i = 0; i < json_array_size(sigs); i++) {
        const json_t *sig = json_array_get(sigs, i);
        if (!doc_number(sig, "calls", &calls) || calls <= most) continue;
        most = calls;
        best = sig;
    }
    const json_t *inputs = json_object_get(best, "inputs");
    char *all = NULL;
    for (size_t i = 0; i < json_array_size(inputs) && i < 3; i++) {
        char *dims = doc_dims(json_array_get(inputs, i), "dims");
        char *longer = cli_text("%s%s%s", all ? all : "", all ? " " : "", dims && *dims ? dims : "scalar");
        free(all);
        free(dims);
        all = longer;
    }
    if (json_array_size(inputs) > 3) {
        char *longer = cli_text("%s +%zu", all, json_array_size(inputs) - 3);
        free(all);
        all = longer;
    }
    return all;
}

static void put_model(term_table *t, const json_t *m) {
    const json_t *who = json_object_get(m, "identity");
    bool chosen = doc_true(m, "chosen");
    double share = 0;
    (void)doc_number(m, "share", &share);
    size_t n = json_array_size(json_object_get(m, "signatures"));
    table_row(t);
    table_cell(t, chosen ? CLI_BOLD : CLI_PLAIN, "%s", doc_text(m, "name", "-"));
    table_cell(t, CLI_PLAIN, "%s", doc_text(who, "class", "onnxruntime"));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "calls", fmt_count));
    table_cell(t, CLI_PLAIN, "%zu", n);
    table_cell_take(t, CLI_PLAIN, shapes_text(m));
    table_cell_take(t, CLI_PLAIN, doc_format(who, "parameters", fmt_count));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "seconds", fmt_seconds));
    table_cell(t, CLI_PLAIN, "%.1f %%", 100 * share);
    table_cell(t, chosen ? CLI_GREEN : CLI_DIM, "%s", chosen ? "yes" : doc_text(m, "why", "no"));
}

static void say(FILE *to, cli_style style, char *text) {
    term_put(to, style, text);
    term_put(to, style, "\n");
    free(text);
}

static void put_sums(FILE *to, const json_t *doc, const char *dir) {
    double wall = 0, inside = 0, copies = 0, ours = 0;
    (void)doc_number(doc, "wall_s", &wall);
    (void)doc_number(doc, "recorded_s", &inside);
    (void)doc_number(doc, "copies_s", &copies);
    (void)doc_number(doc, "overhead_s", &ours);
    char *w = fmt_seconds(wall), *i = fmt_seconds(inside), *c = fmt_seconds(copies), *o = fmt_seconds(ours);
    say(to, CLI_PLAIN,
        cli_text(
            "%s of %s in models; outside: start-up, what comes before and after them. Recording cost %s of "
            "copies and %s beside",
            i, w, c, o));
    free(w);
    free(i);
    free(c);
    free(o);
    say(to, CLI_PLAIN, cli_text("recording: %s", dir));
}

void show_recording(const json_t *doc, const char *dir) {
    const json_t *models = json_object_get(doc, "models"), *notes = json_object_get(doc, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++)
        term_warn(json_string_value(json_array_get(notes, i)));
    term_table *t = table_new("MODEL|CLASS|>CALLS|>SHAPES|INPUTS|>PARAMETERS|>TIME|>SHARE|CHOSEN");
    for (size_t i = 0; i < json_array_size(models); i++) put_model(t, json_array_get(models, i));
    table_print(t, json_array_size(models) ? stderr : NULL);
    if (json_array_size(models)) put_sums(stderr, doc, dir);
}
