/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    bool names;
} values;

/* A figure or text field as it is; unknown figures show "-". */
static char *plain(const json_t *o, const char *key) {
    double x;
    if (doc_number(o, key, &x)) return cli_text("%.*f", x == (double)(long)x ? 0 : 1, x);
    return cli_text("%s", doc_text(o, key, "-"));
}

/* Sources are long and few: the table holds their numbers, the lines below it their texts. Returns the
 * number. */
static size_t source_number(json_t *sources, const json_t *soc) {
    const char *text = doc_text(soc, "source", "-");
    size_t i = 0, count = json_array_size(sources);
    while (i < count && strcmp(json_string_value(json_array_get(sources, i)), text) != 0) i++;
    if (i == count) (void)json_array_append_new(sources, json_string(text));
    return i + 1;
}

static bool put_soc(term_table *t, const json_t *soc, json_t *sources) {
    bool verified = doc_true(soc, "verified");
    const json_t *fp16 = json_object_get(soc, "fp16");
    table_row(t);
    table_cell(t, CLI_BOLD, "%s%s", doc_text(soc, "name", "-"), verified ? "" : " *");
    table_cell_take(t, CLI_PLAIN, doc_join(soc, "aliases", ", "));
    table_cell_take(t, CLI_PLAIN, plain(soc, "soc_model"));
    table_cell_take(t, CLI_PLAIN, plain(soc, "htp_version"));
    table_cell_take(t, CLI_PLAIN, plain(soc, "vtcm_mb"));
    table_cell(t, CLI_PLAIN, "%s", json_is_true(fp16) ? "yes" : json_is_false(fp16) ? "no" : "-");
    table_cell(t, CLI_PLAIN, "%s", doc_text(soc, "product", "-"));
    table_cell_take(t, CLI_PLAIN, doc_join(soc, "features", ", "));
    table_cell(t, CLI_DIM, "%zu", source_number(sources, soc));
    return verified;
}

static void show(const json_t *doc) {
    const json_t *targets = json_object_get(doc, "targets"), *socs = json_object_get(doc, "socs");
    term_table *t = table_new("TARGET|WHAT");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        table_row(t);
        table_cell(t, CLI_BOLD, "%s", doc_text(json_array_get(targets, i), "target", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(json_array_get(targets, i), "what", "-"));
    }
    table_print(t, stdout);
    (void)fputc('\n', stdout);
    t = table_new("SOC|ALIASES|>MODEL|>HTP|>VTCM MB|FP16|PRODUCT|FEATURES|>SOURCE");
    bool all = true;
    json_t *sources = json_array();
    for (size_t i = 0; i < json_array_size(socs); i++) all &= put_soc(t, json_array_get(socs, i), sources);
    table_print(t, stdout);
    (void)fputc('\n', stdout);
    for (size_t i = 0; i < json_array_size(sources); i++)
        term_line(CLI_DIM, "source %zu: %s", i + 1, json_string_value(json_array_get(sources, i)));
    if (!all)
        term_line(CLI_PLAIN, "* unverified: stands in the source named and was not confirmed otherwise");
    json_decref(sources);
}

/* "cpu", "htp:sm8650": one word a line, for scripts and completion. */
static void show_names(const json_t *doc) {
    const json_t *targets = json_object_get(doc, "targets"), *socs = json_object_get(doc, "socs");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = doc_text(json_array_get(targets, i), "target", "-");
        size_t kind = strcspn(target, ":");
        bool family = strcmp(target + kind, ":SOC") == 0;
        if (!family) (void)printf("%s\n", target);
        for (size_t k = 0; family && k < json_array_size(socs); k++) {
            (void)printf("%.*s:", (int)kind, target);
            for (const char *c = doc_text(json_array_get(socs, k), "name", "-"); *c; c++)
                (void)putchar(tolower((unsigned char)*c));
            (void)putchar('\n');
        }
    }
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    char *document = NULL;
    (void)status;
    aipc_error *e = aipc_targets(&document);
    if (e) return e;
    json_t *doc = doc_parse(document);
    if (env->common.json)
        term_document(env, document);
    else if (v->names)
        show_names(doc);
    else
        show(doc);
    json_decref(doc);
    aipc_free(document);
    return NULL;
}

static const cli_option options[] = {
    {.name = "names",
     .kind = CLI_FLAG,
     .offset = offsetof(values, names),
     .help = "only what --target takes, one a line"},
    {0},
};

static const cli_example examples[] = {
    {"which chips are known", "aipc targets"},
    {"everything that has fp16", "aipc targets --json | jq -r '.socs[] | select(.fp16) | .name'"},
    {0},
};

static const cli_exit exits[] = {{CLI_EXIT_IO, NULL}, {-1, NULL}};

const cli_command cli_targets = {
    .name = "targets",
    .summary = "list targets and the chips they know",
    .purpose =
        "Lists what --target takes, and the table of chips: names, model number, HTP version, memory, fp16, "
        "features, and where each row comes from.",
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
