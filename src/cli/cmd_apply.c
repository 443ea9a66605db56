/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>

typedef struct values {
    const char *model, *plan, *out, *rebase;
    cli_list inputs, recipes;
    cli_u64 seed;
} values;

static void show(const char *document) {
    json_t *doc = doc_parse(document);
    const json_t *nodes = json_object_get(doc, "nodes");
    double steps = 0;
    (void)doc_number(doc, "steps", &steps);
    term_line(CLI_PLAIN, "%s: %.0f steps, %lld nodes became %lld, sha256 %s", doc_text(doc, "file", "-"),
              steps, (long long)json_integer_value(json_array_get(nodes, 0)),
              (long long)json_integer_value(json_array_get(nodes, 1)), doc_text(doc, "sha256", "-"));
    json_decref(doc);
}

static void show_rebased(const char *document, const char *plan) {
    json_t *doc = doc_parse(document);
    const json_t *result = json_object_get(doc, "result");
    double nodes = 0;
    (void)doc_number(result, "nodes", &nodes);
    term_line(CLI_PLAIN, "%s: %zu steps, %.0f nodes, sha256 %s", plan,
              json_array_size(json_object_get(doc, "steps")), nodes, doc_text(result, "sha256", "-"));
    json_decref(doc);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    if (!v->out && !v->rebase) return cli_usage("add -o FILE", "apply needs a file to write the model to");
    if (!v->rebase && (v->inputs.count || v->recipes.count || v->seed.given))
        return cli_usage("leave --input, --recipe and --seed out, or add --rebase FILE",
                         "apply runs on no inputs: equal bytes have equal outputs");
    const aipc_rebase_options o = {.size = sizeof o,
                                   .model = v->model,
                                   .plan = v->plan,
                                   .new_plan = v->rebase,
                                   .save = v->out,
                                   .inputs = v->inputs.items,
                                   .input_count = v->inputs.count,
                                   .recipes = v->recipes.items,
                                   .recipe_count = v->recipes.count,
                                   .seed = v->seed.given ? v->seed.value : 1};
    aipc_error *e = cli_context_open(env, &context);
    if (!e)
        e = v->rebase ? aipc_rebase_on(context, &o, &document)
                      : aipc_apply(context, v->model, v->plan, v->out, &document);
    term_progress_end();
    if (!e && env->common.json)
        term_document(env, document);
    else if (!e && v->rebase)
        show_rebased(document, v->rebase);
    else if (!e)
        show(document);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "MODEL",
     .required = true,
     .offset = offsetof(values, model),
     .complete = CLI_FILE,
     .help = "the model the plan was made for"},
    {.name = "PLAN",
     .required = true,
     .offset = offsetof(values, plan),
     .complete = CLI_FILE,
     .help = "the recorded steps, from aipc surgery -o"},
    {0},
};

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "FILE",
     .complete = CLI_FILE,
     .help = "where the model goes (required without --rebase)"},
    {.name = "rebase",
     .kind = CLI_TEXT,
     .offset = offsetof(values, rebase),
     .arg = "FILE",
     .complete = CLI_FILE,
     .help = "the model has changed: take the steps anew by name, judge each, write the new plan here"},
    {.name = "input",
     .letter = 'i',
     .kind = CLI_PAIRS,
     .offset = offsetof(values, inputs),
     .arg = "NAME=FILE",
     .complete = CLI_NAME_FILE,
     .help =
         "with --rebase: example data the steps are judged on (.npy, .pb, .raw, .jpg, .png); random without"},
    {.name = "recipe",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, recipes),
     .arg = "NAME=RECIPE",
     .help = "how a picture becomes the tensor of an input"},
    {.name = "seed",
     .kind = CLI_U64,
     .offset = offsetof(values, seed),
     .arg = "N",
     .help = "of random inputs"},
    {0},
};

static const cli_example examples[] = {
    {"run a recorded plan again", "aipc apply yolo.onnx plan.json -o clean.onnx"},
    {"the steps of an old plan on a new model",
     "aipc apply new.onnx plan.json --rebase new.json --input x=x.npy"},
    {"does the plan still hold?", "aipc -q apply yolo.onnx plan.json -o /dev/null"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, NULL},
    {CLI_EXIT_INPUT, NULL},
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, "a step of the plan no longer holds"},
    {-1, NULL},
};

const cli_command cli_apply = {
    .name = "apply",
    .summary = "run a recorded plan on its model again",
    .purpose = "Replays what aipc surgery recorded. Every step checks the model in front of it and behind it "
               "by hash: the "
               "result has the same bits, or the error names the step and what no longer holds.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
