/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_index.h"

#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

/* Shapes of a call's tensors, "1,3,640,640 1,2". */
static char *shapes_text(const json_t *artifact) {
    const json_t *inputs = json_object_get(artifact, "inputs");
    char *all = cli_text("%s", "");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        char *dims = doc_dims(json_array_get(inputs, i), "dims");
        char *longer = cli_text("%s%s%s", all, i ? " " : "", *dims ? dims : "scalar");
        free(all);
        free(dims);
        all = longer;
    }
    return all;
}

static void put_artifacts(term_table *t, const json_t *model) {
    const json_t *list = json_object_get(model, "artifacts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *verdict = doc_text(one, "verdict", "-");
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(model, "name", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(one, "signature", "-"));
        table_cell_take(t, CLI_PLAIN, shapes_text(one));
        table_cell(t, style_of_verdict(verdict), "%s", verdict);
        table_cell(t, CLI_PLAIN, "%s", doc_text(one, "dir", "-"));
    }
}

/* What failed before it went another way. */
static void put_tried(const json_t *model) {
    const json_t *list = json_object_get(model, "artifacts"), *one, *t;
    for (size_t i = 0; (one = json_array_get(list, i)) != NULL; i++)
        for (size_t k = 0; (t = json_array_get(json_object_get(one, "tried"), k)) != NULL; k++)
            term_line(CLI_PLAIN, "%s: %s, because before: %s", doc_text(one, "dir", "-"),
                      json_is_true(json_object_get(t, "open")) ? "exported for its size alone"
                                                               : "with level 1",
                      doc_text(json_object_get(t, "error"), "message", "-"));
}

bool show_index(const char *document) {
    json_t *doc = doc_parse(document);
    bool is = !strcmp(doc_text(doc, "kind", ""), "aipc index");
    const json_t *models = json_object_get(doc, "models");
    term_table *t = table_new("MODEL|SIGNATURE|INPUTS|VERDICT|DIR");
    for (size_t i = 0; i < json_array_size(models); i++) put_artifacts(t, json_array_get(models, i));
    table_print(t, is ? stdout : NULL);
    for (size_t i = 0; is && i < json_array_size(models); i++) put_tried(json_array_get(models, i));
    if (is) show_time(doc);
    json_decref(doc);
    return is;
}
