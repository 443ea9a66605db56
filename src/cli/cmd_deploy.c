/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"
#include "cli/show.h"
#include "cli/show_index.h"
#include "cli/show_recording.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *precision, *out_dir;
    cli_list what, targets, inputs, recipes, shapes, gates, fixed, tasks;
    cli_u64 seed;
    bool dlc, no_trace, intermediates, fresh, no_surgery, allow_cpu, tune, sharpen;
    unsigned timeout_s, memory_mib, repair_builds, repair_time_s, piece_time_s, jobs;
} values;

/* One word as a POSIX shell reads it. */
static char *quoted(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    if (*word && word[strspn(word, plain)] == 0) return cli_text("%s", word);
    char *out = cli_zalloc(strlen(word) * 4 + 3, 1), *to = out;
    *to++ = '\'';
    for (; *word; word++) {
        if (*word != '\'')
            *to++ = *word;
        else
            to = stpcpy(to, "'\\''");
    }
    *to = '\'';
    return out;
}

/* The command line that reproduces this run, as a user would type it. */
static char *command_line(const cli_env *env) {
    char *all = cli_text("aipc");
    for (int i = 1; i < env->argc; i++) {
        char *word = quoted(env->argv[i]);
        char *longer = cli_text("%s %s", all, word);
        free(word);
        free(all);
        all = longer;
    }
    return all;
}

/* Runs the program and records it. `dir` is deployed then. */
static aipc_error *record(const cli_env *env, aipc_context *c, const values *v, const char *dir,
                          int *status) {
    aipc_record_options o = {.size = sizeof o,
                             .command = v->what.items,
                             .command_count = v->what.count,
                             .out_dir = dir,
                             .tasks = v->tasks.items,
                             .task_count = v->tasks.count};
    char *document = NULL;
    int code = 0;
    aipc_error *e = aipc_record(c, &o, &code, &document);
    json_t *doc = document ? doc_parse(document) : NULL;
    if (doc && !env->common.quiet) show_recording(doc, dir);
    if (doc && !e && code && code != CLI_EXIT_CANCELLED) {
        char *text = cli_text("the program ended with code %d; deploys what it called before", code);
        term_warn(text);
        free(text);
    }
    if (code == CLI_EXIT_CANCELLED) *status = code;
    json_decref(doc);
    aipc_free(document);
    return e;
}

static aipc_error *check_what(const cli_env *env, const cli_list *what) {
    if (what->count < 2 || cli_behind_dashes(env)) return NULL;
    return cli_usage("one call a model; a program and its arguments go behind --",
                     "deploy takes one model, not %zu ('%s', '%s')", what->count, what->items[0],
                     what->items[1]);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    const char *out_dir = v->out_dir ? v->out_dir : "out";
    aipc_error *e = check_what(env, &v->what);
    if (e) return e;
    char *recording = cli_behind_dashes(env) ? cli_text("%s/recording", out_dir) : NULL;
    char *command = command_line(env), *document = NULL;
    aipc_deploy_options o = {.size = sizeof o,
                             .model = recording ? recording : v->what.items[0],
                             .targets = v->targets.items,
                             .target_count = v->targets.count,
                             .inputs = v->inputs.items,
                             .input_count = v->inputs.count,
                             .recipes = v->recipes.items,
                             .recipe_count = v->recipes.count,
                             .shapes = v->shapes.items,
                             .shape_count = v->shapes.count,
                             .gates = v->gates.items,
                             .gate_count = v->gates.count,
                             .precision = v->precision,
                             .out_dir = out_dir,
                             .seed = v->seed.given ? v->seed.value : 1,
                             .dlc = v->dlc,
                             .no_trace = v->no_trace,
                             .intermediates = v->intermediates,
                             .fresh = v->fresh,
                             .no_surgery = v->no_surgery,
                             .allow_cpu = v->allow_cpu,
                             .tune = v->tune,
                             .sharpen = v->sharpen,
                             .fixed = v->fixed.items,
                             .fixed_count = v->fixed.count,
                             .timeout_s = v->timeout_s,
                             .memory_mib = v->memory_mib,
                             .tasks = v->tasks.items,
                             .task_count = v->tasks.count,
                             .command = command,
                             .repair_builds = v->repair_builds,
                             .repair_time_s = v->repair_time_s,
                             .piece_time_s = v->piece_time_s,
                             .jobs = v->jobs};
    aipc_context *context = NULL;
    e = cli_context_open(env, &context);
    if (!e && recording) e = aipc_deploy_check(context, &o);
    if (!e && recording) e = record(env, context, v, recording, status);
    if (!e && !*status) e = aipc_deploy(context, &o, &document);
    term_progress_end();
    if (document && env->common.json)
        term_document(env, document);
    else if (document && !show_index(document))
        show_deploy(document, out_dir);
    aipc_free(document);
    aipc_context_close(context);
    free(command);
    free(recording);
    return e;
}

#define FIELD(name) offsetof(values, name)

static const cli_argument arguments[] = {
    {.name = "MODEL",
     .required = true,
     .list = true,
     .offset = FIELD(what),
     .complete = CLI_FILE,
     .help =
         "the ONNX model, or a recording; behind --: a program, run once and recorded into DIR/recording"},
    {0},
};

static const cli_option options[] = {
    {.name = "target",
     .letter = 't',
     .kind = CLI_LIST,
     .offset = FIELD(targets),
     .arg = "TARGET",
     .complete = CLI_TARGET,
     .help = "where it shall run: cpu, or htp:SOC such as htp:sm8650 (default cpu)"},
    {.name = "input",
     .letter = 'i',
     .kind = CLI_PAIRS,
     .offset = FIELD(inputs),
     .arg = "NAME=FILE",
     .complete = CLI_NAME_FILE,
     .help = "a sample for an input: .npy, .pb, .raw, .bin, .jpg or .png (default random, and the report "
             "says so)"},
    {.name = "recipe",
     .kind = CLI_PAIRS,
     .offset = FIELD(recipes),
     .arg = "NAME=RECIPE",
     .help = "how a picture becomes the input, such as images=layout=nchw,resize=letterbox"},
    {.name = "shape",
     .kind = CLI_PAIRS,
     .offset = FIELD(shapes),
     .arg = "NAME=DIMS",
     .help = "fixes an input's shape (images=1,3,320,320) or a symbol (batch=1); several sizes (batch=1/2/4, "
             "1..4, 32..128+32, 16..128*2) make one artifact each and an index of them"},
    {.name = "fix",
     .kind = CLI_PAIRS,
     .offset = FIELD(fixed),
     .arg = "NAME=VALUE",
     .help = "an input that will always have this value, such as a sample rate: surgery may build on it"},
    {.name = "gate",
     .kind = CLI_PAIRS,
     .offset = FIELD(gates),
     .arg = "METRIC=VALUE",
     .help = "a threshold of your own, such as sqnr_db=40; the report shows it"},
    {.name = "precision",
     .kind = CLI_TEXT,
     .offset = FIELD(precision),
     .arg = "TYPE",
     .choices = "fp16 fp32",
     .help = "the arithmetic on the target (default: the target's own)"},
    {.name = "seed",
     .kind = CLI_U64,
     .offset = FIELD(seed),
     .arg = "N",
     .help = "seed of random inputs (default 1)"},
    {.name = "dlc", .kind = CLI_FLAG, .offset = FIELD(dlc), .help = "also write a DLC file (htp)"},
    {.name = "no-surgery",
     .kind = CLI_FLAG,
     .offset = FIELD(no_surgery),
     .help = "leave a model that is refused or computed wrong as it is"},
    {.name = "allow-cpu",
     .kind = CLI_FLAG,
     .offset = FIELD(allow_cpu),
     .help = "let nodes that cannot be repaired run on the CPU; the report counts and names them"},
    {.name = "tune",
     .kind = CLI_FLAG,
     .offset = FIELD(tune),
     .help = "rewrite what runs right for speed: kept where the gates hold and the cost falls (htp: the "
             "estimate, "
             "cpu: the measured time)"},
    {.name = "sharpen",
     .kind = CLI_FLAG,
     .offset = FIELD(sharpen),
     .help = "also where the gates pass: operators the target is more exact in, kept when the whole gets "
             "more exact; slower (htp)"},
    {.name = "repair-builds",
     .kind = CLI_UINT,
     .offset = FIELD(repair_builds),
     .arg = "N",
     .min = 1,
     .help = "most builds of the whole model that repair may take, sharpening and tuning as many each "
             "(default 24)"},
    {.name = "repair-time",
     .kind = CLI_UINT,
     .offset = FIELD(repair_time_s),
     .arg = "SECONDS",
     .min = 1,
     .help = "longest time repair may take, sharpening and tuning as long each (default 600)"},
    {.name = "piece-time",
     .kind = CLI_UINT,
     .offset = FIELD(piece_time_s),
     .arg = "SECONDS",
     .min = 1,
     .help = "longest search for the rules that repair one piece (default 20)"},
    {.name = "task",
     .kind = CLI_LIST,
     .offset = FIELD(tasks),
     .arg = "TASK",
     .help = "how aipc verify shall compare the program, kept in the index (default: as recorded)"},
    {.name = "no-trace",
     .kind = CLI_FLAG,
     .offset = FIELD(no_trace),
     .help = "skip the comparison of every tensor along the graph"},
    {.name = "intermediates",
     .kind = CLI_FLAG,
     .offset = FIELD(intermediates),
     .help = "keep the golden value of every tensor in OUT/golden, not only inputs and outputs"},
    {.name = "fresh",
     .kind = CLI_FLAG,
     .offset = FIELD(fresh),
     .help = "do all work again, use no stored result"},
    {.name = "jobs",
     .kind = CLI_UINT,
     .offset = FIELD(jobs),
     .arg = "N",
     .min = 1,
     .help = "most models of a recording deployed at the same time (default: one for two processors, as "
             "memory allows; with a cpu target, which is measured, one)"},
    {.name = "timeout",
     .kind = CLI_UINT,
     .offset = FIELD(timeout_s),
     .arg = "SECONDS",
     .min = 1,
     .help = "longest time one vendor call may take (default 600)"},
    {.name = "memory",
     .kind = CLI_UINT,
     .offset = FIELD(memory_mib),
     .arg = "MIB",
     .min = 1,
     .help = "most memory one vendor process may use (default no limit)"},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = FIELD(out_dir),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "the artifact folder (default out)"},
    {0},
};

static const cli_example examples[] = {
    {"prove a detector for a Snapdragon 8 Gen 3 on a real picture",
     "aipc deploy yolo.onnx --target htp:sm8650 --input images=photo.jpg -o out"},
    {"two targets, a symbolic batch fixed to 1, a stricter gate",
     "aipc deploy net.onnx -t cpu -t htp:sm8550 --shape batch=1 --gate sqnr_db=40"},
    {"from the app to the artifacts of all its models",
     "aipc deploy -t htp:sm8650 -- python app.py photo.jpg"},
    {"an artifact for each length of the text; run takes the one that fits",
     "aipc deploy encoder.onnx -t htp:sm8650 --shape batch=1 --shape seq=16..128*2"},
    {"in a script: the report as one JSON document", "aipc deploy net.onnx --json > report.json"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, NULL},     {CLI_EXIT_INPUT, NULL},
    {CLI_EXIT_TARGET, NULL},    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},        {CLI_EXIT_BUSY, NULL},
    {CLI_EXIT_GATE, NULL},      {CLI_EXIT_REFUSED, NULL},
    {CLI_EXIT_CRASH, NULL},     {CLI_EXIT_HANG, NULL},
    {CLI_EXIT_MEMORY, NULL},    {CLI_EXIT_VENDOR, NULL},
    {CLI_EXIT_CANCELLED, NULL}, {-1, NULL},
};

const cli_command cli_deploy = {
    .name = "deploy",
    .summary = "turn a model into a verified artifact for one or more targets",
    .purpose =
        "Takes an ONNX model to an artifact that was proved to compute the same answer. The original runs "
        "first and its results are kept; then every target gets its binary, which is built, run twice, "
        "loaded again in a fresh process and compared with the original. The folder holds the binary, a "
        "manifest and the report (report.html, report.md, report.json).\n"
        "A model the target refuses, or takes and computes wrong, is cleaned and then rewritten by proven "
        "rules, until the whole model passes its gates; the report lists each repair and its proof, and "
        "TARGET/plan.json holds the steps for aipc apply.\n"
        "When a gate fails or the backend refuses nodes, the report is written all the same and says where "
        "and why. A second call with nothing changed answers from the store.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
