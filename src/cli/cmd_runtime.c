/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *action;
    cli_list names;
} values;

static void show_list(const json_t *doc) {
    const json_t *runtimes = json_object_get(doc, "runtimes");
    term_table *t = table_new("NAME|KIND|VERSION|INSTALLED|>SIZE|>DOWNLOAD|LICENCE|WHAT");
    for (size_t i = 0; i < json_array_size(runtimes); i++) {
        const json_t *r = json_array_get(runtimes, i);
        bool installed = doc_true(r, "installed");
        table_row(t);
        table_cell(t, CLI_BOLD, "%s", doc_text(r, "name", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "kind", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "version", "-"));
        table_cell(t, installed ? CLI_GREEN : CLI_YELLOW, "%s", installed ? "yes" : "no");
        table_cell_take(t, CLI_PLAIN, doc_format(r, "bytes", fmt_bytes));
        table_cell_take(t, CLI_PLAIN, doc_format(r, "download_bytes", fmt_bytes));
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "licence", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "what", "-"));
    }
    table_print(t, stdout);
    term_line(CLI_PLAIN, "folder: %s", doc_text(doc, "data_dir", "-"));
}

static aipc_error *list(cli_env *env, aipc_context *context) {
    char *document = NULL;
    aipc_error *e = aipc_runtime_list(context, &document);
    show_document(env, document, show_list);
    return e;
}

static void say(const cli_env *env, const char *what, const char *name, const char *more) {
    if (env->common.json) return;
    term_line(CLI_PLAIN, "%s %s%s%s", what, name, *more ? " " : "", more);
}

static aipc_error *install_one(cli_env *env, aipc_context *context, const char *name, json_t *done) {
    char *document = NULL;
    aipc_error *e = aipc_runtime_install(context, name, &document);
    term_progress_end();
    if (!e) {
        json_t *doc = doc_parse(document);
        say(env, "installed", name, doc_text(doc, "version", ""));
        (void)json_array_append_new(done, doc ? doc : json_pack("{s:s}", "name", name));
    }
    aipc_free(document);
    return e;
}

/* Without names: everything of kind "runtime"; samples are fetched by name only. */
static aipc_error *install_all(cli_env *env, aipc_context *context, json_t *done) {
    char *document = NULL;
    aipc_error *e = aipc_runtime_list(context, &document);
    json_t *doc = doc_parse(document);
    const json_t *runtimes = json_object_get(doc, "runtimes");
    for (size_t i = 0; !e && i < json_array_size(runtimes); i++) {
        const json_t *r = json_array_get(runtimes, i);
        const char *name = doc_text(r, "name", NULL);
        if (name && strcmp(doc_text(r, "kind", "runtime"), "runtime") == 0)
            e = install_one(env, context, name, done);
    }
    json_decref(doc);
    aipc_free(document);
    return e;
}

static aipc_error *install(cli_env *env, aipc_context *context, const cli_list *names) {
    json_t *done = json_array();
    aipc_error *e = names->count ? NULL : install_all(env, context, done);
    for (size_t i = 0; !e && i < names->count; i++) e = install_one(env, context, names->items[i], done);
    json_t *doc = json_pack("{s:o}", "installed", done);
    if (!e && env->common.json) term_document_json(env, doc);
    json_decref(doc);
    return e;
}

static aipc_error *remove_named(cli_env *env, aipc_context *context, const cli_list *names) {
    json_t *done = json_array();
    aipc_error *e = NULL;
    for (size_t i = 0; !e && i < names->count; i++) {
        e = aipc_runtime_remove(context, names->items[i]);
        term_progress_end();
        if (e) break;
        say(env, "removed", names->items[i], "");
        (void)json_array_append_new(done, json_string(names->items[i]));
    }
    json_t *doc = json_pack("{s:o}", "removed", done);
    if (!e && env->common.json) term_document_json(env, doc);
    json_decref(doc);
    return e;
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    (void)status;
    bool is_list = strcmp(v->action, "list") == 0, is_remove = strcmp(v->action, "remove") == 0;
    if (is_list && v->names.count) return cli_usage(NULL, "'aipc runtime list' takes no names");
    if (is_remove && !v->names.count)
        return cli_usage("'aipc runtime list' shows what is installed", "'aipc runtime remove' needs NAME");
    aipc_context *context = NULL;
    aipc_error *e = cli_context_open(env, &context);
    if (!e && is_list)
        e = list(env, context);
    else if (!e && is_remove)
        e = remove_named(env, context, &v->names);
    else if (!e)
        e = install(env, context, &v->names);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "ACTION",
     .required = true,
     .offset = offsetof(values, action),
     .choices = "list install remove",
     .help = "list, install or remove"},
    {.name = "NAME",
     .list = true,
     .offset = offsetof(values, names),
     .help = "which ones; install without a name gets all runtimes"},
    {0},
};

static const cli_example examples[] = {
    {"what there is, its size and licence", "aipc runtime list"},
    {"everything aipc can use", "aipc runtime install"},
    {"only what the cpu target needs", "aipc runtime install onnxruntime"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_CANCELLED, NULL},
    {-1, NULL},
};

const cli_command cli_runtime = {
    .name = "runtime",
    .summary = "list, install or remove vendor runtimes",
    .purpose =
        "Manages the vendor libraries aipc uses. Each is a pinned file whose sha256 is checked, unpacked "
        "into the "
        "data folder ($AIPC_DATA, else ~/.local/share/aipc). The list names the licence each comes under.",
    .arguments = arguments,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
