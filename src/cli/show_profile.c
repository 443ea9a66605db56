/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct layer {
    const json_t *row;
    double value;
    size_t index;
} layer;

static int slower_first(const void *a, const void *b) {
    const layer *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Rows of `list` in graph order, or the `top` largest by `key`. Returns how many to show; *total gets the sum
 * of all. */
static size_t collect(const json_t *list, const char *key, unsigned top, layer **out, double *total) {
    size_t count = json_array_size(list);
    layer *rows = cli_zalloc(count, sizeof *rows);
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i] = (layer){json_array_get(list, i), 0, i};
        if (!doc_number(rows[i].row, key, &rows[i].value)) rows[i].value = 0;
        *total += rows[i].value;
    }
    if (top) qsort(rows, count, sizeof *rows, slower_first);
    *out = rows;
    return top && top < count ? top : count;
}

static void put_name(term_table *t, const layer *l) {
    table_row(t);
    table_cell(t, CLI_DIM, "%zu", l->index);
    table_cell(t, CLI_PLAIN, "%s", doc_text(l->row, "name", "-"));
    table_cell(t, CLI_PLAIN, "%s", doc_text(l->row, "op", "-"));
}

static void put_share(term_table *t, double value, double total) {
    if (total > 0)
        table_cell(t, CLI_PLAIN, "%.1f %%", 100 * value / total);
    else
        table_cell(t, CLI_PLAIN, "-");
}

static void put_measured(const json_t *profile, unsigned top) {
    const char *unit = doc_text(profile, "unit", "");
    layer *rows;
    double total;
    size_t count = collect(json_object_get(profile, "layers"), "value", top, &rows, &total);
    term_line(CLI_BOLD, "measured: %s", doc_text(profile, "what", "by the runtime"));
    char *head = cli_text(">#|LAYER|OP|>%s|>SHARE", unit);
    term_table *t = table_new(head);
    for (size_t i = 0; i < count; i++) {
        put_name(t, &rows[i]);
        table_cell_take(t, CLI_PLAIN, doc_format(rows[i].row, "value", fmt_number));
        put_share(t, rows[i].value, total);
    }
    table_print(t, stdout);
    char *sum = fmt_number(total);
    term_line(CLI_PLAIN, "total: %s %s", sum, unit);
    free(sum);
    free(head);
    free(rows);
}

static char *fmt_ms(double ms) {
    return cli_text(ms < 0.01 ? "%.4f" : ms < 10 ? "%.3f" : "%.1f", ms);
}

static void put_estimated(const json_t *cost, unsigned top) {
    layer *rows;
    double total;
    size_t count = collect(json_object_get(cost, "layers"), "ms", top, &rows, &total);
    term_line(CLI_BOLD, "estimated: not measured; a roofline over the graph the target compiled");
    term_table *t = table_new(">#|LAYER|OP|>MACS|>WEIGHTS|>ACTIVATIONS|>MS|>SHARE|BOUND");
    for (size_t i = 0; i < count; i++) {
        put_name(t, &rows[i]);
        table_cell_take(t, CLI_PLAIN, doc_format(rows[i].row, "macs", fmt_count));
        table_cell_take(t, CLI_PLAIN, doc_format(rows[i].row, "weight_bytes", fmt_bytes));
        table_cell_take(t, CLI_PLAIN, doc_format(rows[i].row, "activation_bytes", fmt_bytes));
        table_cell_take(t, CLI_PLAIN, doc_format(rows[i].row, "ms", fmt_ms));
        put_share(t, rows[i].value, total);
        table_cell(t, CLI_PLAIN, "%s", doc_text(rows[i].row, "bound", "-"));
    }
    table_print(t, stdout);
    char *sum = doc_format(cost, "estimate_ms", fmt_ms);
    (void)printf("total: %s ms (estimate)\n", sum);
    const json_t *list = json_object_get(cost, "assumptions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        term_line(CLI_DIM, "  assumes: %s", text ? text : "?");
    }
    free(sum);
    free(rows);
}

void show_profile(const char *document, unsigned top) {
    json_t *doc = doc_parse(document);
    const json_t *profile = json_object_get(doc, "profile"), *cost = json_object_get(doc, "cost");
    term_line(CLI_PLAIN, "target: %s", doc_text(doc, "target", "-"));
    if (json_is_object(profile)) put_measured(profile, top);
    if (json_is_object(profile) && json_is_object(cost)) (void)fputc('\n', stdout);
    if (json_is_object(cost)) put_estimated(cost, top);
    if (!json_is_object(profile) && !json_is_object(cost))
        (void)fputs("no profile for this target\n", stdout);
    json_decref(doc);
}
