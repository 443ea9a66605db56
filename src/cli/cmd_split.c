/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"
#include "cli/show.h"
#include "cli/term.h"

#include <string.h>

typedef struct values {
    const char *out, *module;
    cli_list what, tasks;
    bool unchecked;
} values;

static void show(const json_t *doc) {
    const json_t *files = json_object_get(doc, "files"), *end = json_object_get(doc, "end"), *g;
    double calls = 0, answered = 0;
    for (size_t i = 0; i < json_array_size(files); i++)
        term_line(CLI_PLAIN, "%s/%s", doc_text(doc, "dir", "."), json_string_value(json_array_get(files, i)));
    for (size_t i = 0; (g = json_array_get(end, i)) != NULL; i++)
        if (doc_text(g, "note", NULL))
            term_line(CLI_PLAIN, "%s: %s", doc_text(g, "what", "-"), doc_text(g, "note", ""));
    if (!doc_text(doc, "verdict", NULL)) return;
    (void)doc_number(doc, "calls", &calls);
    (void)doc_number(doc, "answered", &answered);
    term_line(CLI_PLAIN, "infer.py: %.0f of %.0f calls of %s answered by the model's file", answered, calls,
              doc_text(doc, "name", "-"));
    term_line(strcmp(doc_text(doc, "verdict", ""), "pass") == 0 ? CLI_GREEN : CLI_RED, "verdict: %s",
              doc_text(doc, "verdict", "-"));
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    size_t words = cli_behind_dashes(env), first = v->what.count > words ? v->what.count - words : 0;
    if (first > 1) return cli_usage("the program stands behind --", "one recording at a time");
    aipc_split_options o = {
        .size = sizeof o,
        .recording = first ? v->what.items[0] : NULL,
        .command = v->what.items + first,
        .command_count = v->what.count - first,
        .module = v->module,
        .out_dir = v->out,
        .tasks = v->tasks.items,
        .task_count = v->tasks.count,
        .unchecked = v->unchecked,
    };
    (void)status;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_split(context, &o, &document);
    show_document(env, document, show);
    aipc_context_close(context);
    return e;
}

/* RECORDING, or -- PROGRAM, or both. */
static const cli_argument arguments[] = {
    {.name = "RECORDING",
     .required = true,
     .list = true,
     .offset = offsetof(values, what),
     .complete = CLI_DIR,
     .help = "a folder written by aipc record; behind --: the program (alone: it is recorded first)"},
    {0},
};

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "write the files here (default: split)"},
    {.name = "module",
     .kind = CLI_TEXT,
     .offset = offsetof(values, module),
     .arg = "NAME",
     .help = "which model of the program (default: the one it spends most time in)"},
    {.name = "task",
     .kind = CLI_LIST,
     .offset = offsetof(values, tasks),
     .arg = "TASK",
     .help = "how the two programs are compared, as for aipc verify (default: as recorded)"},
    {.name = "unchecked",
     .kind = CLI_FLAG,
     .offset = offsetof(values, unchecked),
     .help = "do not run the program and its parts to compare them"},
    {0},
};

static const cli_example examples[] = {
    {"three parts of a recorded program", "aipc split recording -o parts"},
    {"recorded first", "aipc split -o parts -- python app.py photo.jpg"},
    {"run them", "python parts/infer.py"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, "no model could be exported"},
    {CLI_EXIT_INPUT, "the recording is bad, or the program called no model"},
    {CLI_EXIT_RUNTIME, "aipc's Python package is not installed"},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, "the three parts do not do what the program does"},
    {-1, NULL},
};

const cli_command cli_split = {
    .name = "split",
    .summary = "write a program as three parts: before its model, the model, behind it",
    .purpose =
        "Writes pre.py (the program up to each call of its model), model.onnx, post.py (what the program "
        "gets of the model's outputs) and infer.py, which runs the three together. They run the "
        "program's own files where they are; nothing is edited, and aipc is not needed to run them. "
        "Then the program and infer.py are run, each in a copy of the working folder, and compared "
        "as by aipc verify. docs/recordings.md has the details.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
