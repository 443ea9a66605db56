/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"
#include "cli/show_recording.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli_list command; /* first: cli_program_arguments */
    cli_list modules, tasks;
    const char *out;
    unsigned samples;
    cli_u64 budget;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    aipc_record_options o = {
        .size = sizeof o,
        .command = v->command.items,
        .command_count = v->command.count,
        .out_dir = v->out ? v->out : "recording",
        .modules = v->modules.items,
        .module_count = v->modules.count,
        .samples = v->samples,
        .budget = v->budget.given ? v->budget.value : 0,
        .tasks = v->tasks.items,
        .task_count = v->tasks.count,
    };
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_record(context, &o, status, &document);
    json_t *doc = document ? doc_parse(document) : NULL;
    if (doc && env->common.json)
        term_document(env, document);
    else if (doc && !env->common.quiet)
        show_recording(doc, o.out_dir);
    if (doc && *status) {
        char *text =
            cli_text("the program ended with code %d: the recording holds what it called before", *status);
        term_warn(text);
        free(text);
    }
    /* The program's own failure is what its caller wants to see. */
    if (e && *status) {
        term_error(e);
        aipc_error_free(e);
        e = NULL;
    }
    json_decref(doc);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "write the recording here (default: recording); an earlier one is replaced"},
    {.name = "module",
     .kind = CLI_LIST,
     .offset = offsetof(values, modules),
     .arg = "NAME",
     .help =
         "record this torch module instead of the outermost ones: a class, a dotted path or Class.method"},
    {.name = "samples",
     .kind = CLI_UINT,
     .offset = offsetof(values, samples),
     .arg = "N",
     .min = 1,
     .max = 1024,
     .help = "calls to keep of every signature and process (default: 8): the first half and a choice of the "
             "rest"},
    {.name = "budget",
     .kind = CLI_U64,
     .offset = offsetof(values, budget),
     .arg = "BYTES",
     .help = "most bytes of samples a process (default: 536870912)"},
    {.name = "task",
     .kind = CLI_LIST,
     .offset = offsetof(values, tasks),
     .arg = "TASK",
     .help = "how aipc verify and split shall compare this program, kept for them: boxes=0.95, psnr:out.png"},
    {0},
};

static const cli_example examples[] = {
    {"record what a program's models are called with", "aipc record -o rec -- python app.py photo.jpg"},
    {"a module inside the model, by its class", "aipc record --module CLIPVisionModel -- python app.py"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_INPUT, "the program ended well and no call of a model was seen"},
    {CLI_EXIT_RUNTIME, "aipc's Python package is not installed"},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_BUSY, "the folder holds something else"},
    {-1, NULL},
};

const cli_command cli_record = {
    .name = "record",
    .summary = "run a program unchanged and record what its models compute",
    .purpose = "Runs the program with its own stdin and stdout, finds the models it calls with torch or "
               "onnxruntime, and keeps "
               "real inputs and outputs of each. The table of what was found goes to stderr.\nEnds with the "
               "program's exit "
               "code. docs/recordings.md describes what is written and how the program is reached.",
    .arguments = cli_program_arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
