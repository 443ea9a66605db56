/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *name, *out;
    bool list;
} values;

static void show_list(const json_t *doc) {
    const json_t *list = json_object_get(doc, "examples");
    term_table *t = table_new("EXAMPLE|WEIGHTS|WHAT");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        table_row(t);
        table_cell(t, CLI_BOLD, "%s", doc_text(e, "name", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(e, "weights", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(e, "what", "-"));
    }
    table_print(t, stdout);
}

static void show_made(const json_t *doc) {
    const char *dir = doc_text(doc, "dir", ".");
    term_line(CLI_BOLD, "%s: %s", dir, doc_text(doc, "what", ""));
    term_line(CLI_PLAIN, "  cd %s && pip install -r requirements.txt", dir);
    term_line(CLI_PLAIN, "  %s", doc_text(doc, "command", ""));
    term_line(CLI_PLAIN, "  aipc record --task %s -o rec -- %s", doc_text(doc, "task", "text"),
              doc_text(doc, "command", ""));
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    char *document = NULL;
    (void)status;
    const char *name = v->list ? NULL : v->name;
    aipc_error *e = aipc_new(name, v->out, &document);
    if (e) return e;
    json_t *doc = doc_parse(document);
    if (env->common.json)
        term_document(env, document);
    else if (name)
        show_made(doc);
    else
        show_list(doc);
    json_decref(doc);
    aipc_free(document);
    return NULL;
}

static const cli_argument arguments[] = {
    {.name = "EXAMPLE", .offset = offsetof(values, name), .help = "which one; all are listed without"},
    {0},
};

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "the folder it goes to (default: named as the example)"},
    {.name = "list",
     .letter = 'l',
     .kind = CLI_FLAG,
     .offset = offsetof(values, list),
     .help = "list the examples, as without one"},
    {0},
};

static const cli_example examples[] = {
    {"what there is", "aipc new --list"},
    {"a speech recognizer", "aipc new whisper-tiny.en && cd whisper-tiny.en && python app.py"},
    {0},
};

static const cli_exit exits[] = {{CLI_EXIT_IO, NULL}, {-1, NULL}};

const cli_command cli_new = {
    .name = "new",
    .summary = "write a small program around a known model",
    .purpose =
        "Writes a runnable Python program for a known model into a folder of its own: app.py, what it needs, "
        "requirements.txt and a README with the commands from the program to the device. The program knows "
        "nothing of aipc. Weights and samples are fetched by pinned version and hash when it runs.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
