/* SPDX-License-Identifier: Apache-2.0 */
/* aipc rules why: the table of what each distinct node of a model needs. */
#include "cli/cmd_rules_why.h"

#include "cli/term.h"

#include <stdlib.h>

static void put_row(term_table *t, const json_t *n) {
    const json_t *nodes = json_object_get(n, "nodes");
    double context = 0;
    bool taken = doc_true(n, "taken"), found = doc_true(n, "found");
    (void)doc_number(n, "context", &context);
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", doc_text(n, "op", "?"));
    table_cell(t, CLI_PLAIN, "%zu", json_array_size(nodes));
    table_cell(t, CLI_DIM, "%s", json_string_value(json_array_get(nodes, 0)));
    if (taken && context == 0)
        table_cell(t, CLI_GREEN, "taken");
    else if (taken)
        table_cell(t, CLI_GREEN, "taken where it stands");
    else
        table_cell(t, found ? CLI_GREEN : CLI_RED, "%s%s", doc_text(n, "verdict", "?"),
                   found ? ", repaired" : "");
    table_cell_take(t, CLI_PLAIN, found ? doc_format(n, "error", fmt_number) : NULL);
    table_cell(t, CLI_DIM, "%s", taken && context == 0 ? "" : doc_text(n, found ? "by" : "reason", ""));
}

static void put_tried(const json_t *n) {
    const json_t *tried = json_object_get(n, "tried");
    enum { MOST = 8 };
    term_line(CLI_YELLOW, "%s '%s': %s", doc_text(n, "op", "?"),
              json_string_value(json_array_get(json_object_get(n, "nodes"), 0)), doc_text(n, "reason", "?"));
    if (json_array_size(tried) == 0) term_line(CLI_DIM, "    no rule for it");
    for (size_t i = 0; i < json_array_size(tried) && i < MOST; i++) {
        const json_t *t = json_array_get(tried, i), *chain = json_object_get(t, "chain");
        char *names = NULL;
        for (size_t k = 0; k < json_array_size(chain); k++) {
            char *longer = cli_text("%s%s%s", names ? names : "", names ? " > " : "",
                                    json_string_value(json_array_get(chain, k)));
            free(names);
            names = longer;
        }
        term_line(CLI_DIM, "    %s: %s%s%s", names ? names : "?", doc_text(t, "verdict", "?"),
                  doc_text(t, "reason", NULL) ? ", " : "", doc_text(t, "reason", ""));
        free(names);
    }
}

void cli_rules_why_show(const json_t *doc) {
    const json_t *list = json_object_get(doc, "nodes"), *sum = json_object_get(doc, "summary");
    static const char *const words[] = {"nodes", "distinct", "taken", "taken_in_context", "repaired", "left"};
    double n[6] = {0};
    term_table *t = table_new("OP|>NODES|FOR EXAMPLE|TARGET|>ERROR|RULES, OR WHY NOT");
    for (size_t i = 0; i < json_array_size(list); i++) put_row(t, json_array_get(list, i));
    table_print(t, stdout);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!doc_true(json_array_get(list, i), "taken") && !doc_true(json_array_get(list, i), "found"))
            put_tried(json_array_get(list, i));
    for (size_t i = 0; i < 6; i++) (void)doc_number(sum, words[i], &n[i]);
    printf("\n%.0f nodes, %.0f of them distinct: %.0f taken, %.0f taken where they stand, %.0f repaired by "
           "rules, "
           "%.0f left\n",
           n[0], n[1], n[2], n[3], n[4], n[5]);
}
