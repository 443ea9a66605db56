/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *model, *out, *save, *target;
    cli_list shapes, inputs, recipes, fixed, skip, gates;
    cli_u64 seed;
    bool allow_cpu, tune, sharpen;
    unsigned repair_builds, repair_time_s, piece_time_s;
} values;

/* "Constant 30, Shape 12" */
static char *touched_text(const json_t *step) {
    char *all = NULL;
    const char *what;
    json_t *n;
    json_object_foreach(json_object_get(step, "touched"), what, n) {
        char *longer =
            cli_text("%s%s%s %lld", all ? all : "", all ? ", " : "", what, (long long)json_integer_value(n));
        free(all);
        all = longer;
    }
    return all;
}

static char *gate_text(const json_t *step) {
    const json_t *gate = json_object_get(step, "gate");
    if (!gate) return cli_text("%s", doc_text(json_object_get(step, "error"), "message", "could not run"));
    if (doc_true(gate, "bit_equal")) return cli_text("bit-equal");
    char *db = doc_format(gate, "sqnr_db", fmt_number), *abs = doc_format(gate, "max_abs", fmt_number);
    char *text = cli_text("%s dB, max abs %s", db, abs);
    free(db);
    free(abs);
    return text;
}

static long long node_number(const json_t *step, size_t i) {
    return (long long)json_integer_value(json_array_get(json_object_get(step, "nodes"), i));
}

static void put_step(term_table *t, const json_t *step, bool kept) {
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", doc_text(step, "name", "-"));
    table_cell(t, CLI_PLAIN, "%lld", node_number(step, 0));
    table_cell_take(t, CLI_PLAIN, kept ? cli_text("%lld", node_number(step, 1)) : NULL);
    table_cell(t, kept ? CLI_GREEN : CLI_RED, "%s", kept ? "pass" : "rolled back");
    table_cell_take(t, CLI_PLAIN, gate_text(step));
    table_cell_take(t, CLI_PLAIN, touched_text(step));
}

/* Steps by rules are told with the repair they belong to. */
static size_t put_passes(term_table *t, const json_t *list, bool kept) {
    size_t count = 0, i;
    json_t *step;
    json_array_foreach(list, i, step) {
        if (strcmp(doc_text(step, "kind", "pass"), "pass") != 0) continue;
        put_step(t, step, kept);
        count++;
    }
    return count;
}

static void show(const char *document, const values *v) {
    json_t *doc = doc_parse(document);
    const json_t *steps = json_object_get(doc, "steps"), *refused = json_object_get(doc, "refused");
    for (size_t i = 0; i < json_array_size(json_object_get(doc, "warnings")); i++)
        term_warn(json_string_value(json_array_get(json_object_get(doc, "warnings"), i)));
    term_table *t = table_new("PASS|>NODES|>AFTER|VERDICT|OUTPUTS|TOUCHED");
    size_t passes = put_passes(t, steps, true) + put_passes(t, refused, false);
    table_print(t, passes ? stdout : NULL);
    double before = 0, after = 0;
    (void)doc_number(doc, "nodes_before", &before);
    (void)doc_number(json_object_get(doc, "result"), "nodes", &after);
    term_line(CLI_BOLD, "%.0f nodes, %.0f after %zu steps", before, after, json_array_size(steps));
    if (v->target) show_repairs(json_object_get(doc, "repairs"), v->target);
    if (v->out) term_line(CLI_PLAIN, "plan: %s", v->out);
    if (v->save) term_line(CLI_PLAIN, "model: %s", v->save);
    json_decref(doc);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_surgery_options o = {
        .size = sizeof o,
        .model = v->model,
        .shapes = v->shapes.items,
        .shape_count = v->shapes.count,
        .inputs = v->inputs.items,
        .input_count = v->inputs.count,
        .recipes = v->recipes.items,
        .recipe_count = v->recipes.count,
        .fixed = v->fixed.items,
        .fixed_count = v->fixed.count,
        .skip = v->skip.items,
        .skip_count = v->skip.count,
        .seed = v->seed.given ? v->seed.value : 1,
        .plan = v->out,
        .save = v->save,
        .target = v->target,
        .gates = v->gates.items,
        .gate_count = v->gates.count,
        .allow_cpu = v->allow_cpu,
        .tune = v->tune,
        .sharpen = v->sharpen,
        .repair_builds = v->repair_builds,
        .repair_time_s = v->repair_time_s,
        .piece_time_s = v->piece_time_s,
    };
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_surgery(context, &o, &document);
    term_progress_end();
    if (document && env->common.json)
        term_document(env, document);
    else if (document)
        show(document, v);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "MODEL",
     .required = true,
     .offset = offsetof(values, model),
     .complete = CLI_FILE,
     .help = "an ONNX model"},
    {0},
};

static const cli_option options[] = {
    {.name = "target",
     .letter = 't',
     .kind = CLI_TEXT,
     .offset = offsetof(values, target),
     .arg = "TARGET",
     .complete = CLI_TARGET,
     .help = "also repair what this target refuses or errs in (htp:sm8650)"},
    {.name = "gate",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, gates),
     .arg = "METRIC=VALUE",
     .help = "a threshold of your own for the target's outputs, such as sqnr_db=40"},
    {.name = "tune",
     .kind = CLI_FLAG,
     .offset = offsetof(values, tune),
     .help = "with --target: also rewrite for speed, kept where the gates hold and the cost falls (htp: the "
             "estimate, cpu: the measured time)"},
    {.name = "sharpen",
     .kind = CLI_FLAG,
     .offset = offsetof(values, sharpen),
     .help = "with --target: also where the gates pass: operators the target is more exact in"},
    {.name = "allow-cpu",
     .kind = CLI_FLAG,
     .offset = offsetof(values, allow_cpu),
     .help = "let nodes that cannot be repaired run on the CPU"},
    {.name = "repair-builds",
     .kind = CLI_UINT,
     .offset = offsetof(values, repair_builds),
     .arg = "N",
     .min = 1,
     .help = "most builds of the whole model that repair may take, sharpening and tuning as many each "
             "(default 24)"},
    {.name = "repair-time",
     .kind = CLI_UINT,
     .offset = offsetof(values, repair_time_s),
     .arg = "SECONDS",
     .min = 1,
     .help = "longest time repair may take, sharpening and tuning as long each (default 600)"},
    {.name = "piece-time",
     .kind = CLI_UINT,
     .offset = offsetof(values, piece_time_s),
     .arg = "SECONDS",
     .min = 1,
     .help = "longest search for the rules that repair one piece (default 20)"},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "PLAN",
     .complete = CLI_FILE,
     .help = "write the recorded steps here, for aipc apply"},
    {.name = "save",
     .kind = CLI_TEXT,
     .offset = offsetof(values, save),
     .arg = "FILE",
     .complete = CLI_FILE,
     .help = "write the model after surgery here"},
    {.name = "shape",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, shapes),
     .arg = "NAME=DIMS",
     .help = "size of an input (images=1,3,320,320) or of a symbol (batch=1)"},
    {.name = "fix",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, fixed),
     .arg = "NAME=VALUE",
     .help = "an input that is a switch and will always have this value (sr=16000)"},
    {.name = "input",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, inputs),
     .arg = "NAME=FILE",
     .complete = CLI_NAME_FILE,
     .help = "example data the gates run on (.npy, .pb, .raw, .jpg, .png); random without"},
    {.name = "recipe",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, recipes),
     .arg = "NAME=RECIPE",
     .help = "how a picture becomes the tensor of an input"},
    {.name = "skip",
     .kind = CLI_LIST,
     .offset = offsetof(values, skip),
     .arg = "PASS",
     .help = "leave a pass out"},
    {.name = "seed",
     .kind = CLI_U64,
     .offset = offsetof(values, seed),
     .arg = "N",
     .help = "of random inputs"},
    {0},
};

static const cli_example examples[] = {
    {"freeze, fold and clean a dynamic model",
     "aipc surgery yolo.onnx --shape images=1,3,320,320 -o p.json --save c.onnx"},
    {"also repair what a Snapdragon 8 Gen 3 refuses or computes wrong",
     "aipc surgery yolo.onnx -t htp:sm8650 --shape images=1,3,320,320 -o plan.json"},
    {"a model with a switch among its inputs",
     "aipc surgery vad.onnx --shape input=1,512 --fix sr=16000 -o plan.json"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, NULL},
    {CLI_EXIT_INPUT, NULL},
    {CLI_EXIT_TARGET, NULL},
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, NULL},
    {CLI_EXIT_REFUSED, NULL},
    {CLI_EXIT_CRASH, NULL},
    {CLI_EXIT_MEMORY, NULL},
    {CLI_EXIT_VENDOR, NULL},
    {-1, NULL},
};

const cli_command cli_surgery = {
    .name = "surgery",
    .summary = "freeze, fold and clean a model, repair it for a target; record every step",
    .purpose = "Fixes every dimension, computes what depends on no data, takes away what does nothing, and "
               "inlines control "
               "flow that is decided. After each pass the model runs on example inputs; a pass whose outputs "
               "are not the "
               "same is rolled back and reported.\nInputs and outputs keep their names, order, dtypes and "
               "shapes. The "
               "steps go into a plan that aipc apply runs again, to the same bits.\nWith --target, nodes the "
               "target refuses "
               "or computes wrong are then rewritten by proven rules, until the whole model passes its gates "
               "there, as in a deployment.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
