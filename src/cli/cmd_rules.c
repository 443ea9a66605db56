/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_rules_why.h"
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *action;
    cli_list what, shapes;
    const char *target;
    const char *folder, *keep, *second;
    unsigned instances, threads, seed;
    bool mutate;
} values;

static void put_problems(const json_t *doc) {
    const json_t *list = json_object_get(doc, "problems");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        double line = 0, column = 0;
        bool bad = strcmp(doc_text(p, "severity", ""), "error") == 0;
        (void)doc_number(p, "line", &line);
        (void)doc_number(p, "column", &column);
        term_line(bad ? CLI_RED : CLI_YELLOW, "%s:%.0f:%.0f: %s: %s: %s", doc_text(p, "file", "?"), line,
                  column, doc_text(p, "severity", "?"), doc_text(p, "rule", ""), doc_text(p, "message", "?"));
    }
}

/* ---- list */

static void put_list(const json_t *doc) {
    const json_t *list = json_object_get(doc, "rules");
    term_table *t = table_new("RULE|CLASS|PROOF|HELPS");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i);
        const char *proof = doc_text(r, "proof", "");
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "name", "?"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(r, "class", "?"));
        table_cell(t,
                   strcmp(proof, "holds") == 0 ? CLI_GREEN
                   : *proof                    ? CLI_RED
                                               : CLI_DIM,
                   "%s", *proof ? proof : "not yet");
        table_cell(t, CLI_DIM, "%s",
                   json_string_value(json_array_get(json_object_get(r, "helps"), 0))
                       ? json_string_value(json_array_get(json_object_get(r, "helps"), 0))
                       : "");
    }
    table_print(t, stdout);
    put_problems(doc);
}

static aipc_error *run_list(cli_env *env, aipc_context *c, const values *v, int *status) {
    char *document = NULL;
    (void)status;
    if (v->what.count) return cli_usage("aipc rules show NAME", "'aipc rules list' takes no names");
    aipc_error *e = aipc_rules_list(c, v->folder, &document);
    show_document(env, document, put_list);
    return e;
}

/* ---- show */

static void put_rule(const json_t *doc) {
    const json_t *list = json_object_get(doc, "rules");
    const char *text = "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i), *p = json_object_get(r, "proof");
        if (strcmp(text, doc_text(r, "text", "")) != 0) {
            term_put(stdout, CLI_PLAIN, doc_text(r, "text", ""));
            term_line(CLI_PLAIN, "%s", "");
        }
        text = doc_text(r, "text", "");
        term_line(CLI_DIM, "%s: %s, %s", doc_text(r, "name", "?"), doc_text(r, "class", "?"),
                  json_is_object(p) ? doc_text(p, "verdict", "?") : "not proven here yet");
        if (json_is_object(p) && doc_text(p, "reason", NULL))
            term_line(CLI_RED, "%s", doc_text(p, "reason", ""));
    }
}

static aipc_error *run_show(cli_env *env, aipc_context *c, const values *v, int *status) {
    char *document = NULL;
    (void)status;
    if (v->what.count != 1)
        return cli_usage("aipc rules list shows the names", "'aipc rules show' needs one NAME");
    aipc_error *e = aipc_rules_show(c, v->folder, v->what.items[0], &document);
    show_document(env, document, put_rule);
    return e;
}

/* ---- test */

static char *mutants_text(const json_t *p) {
    const json_t *list = json_object_get(p, "mutants");
    size_t killed = 0;
    if (!list) return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) killed += doc_true(json_array_get(list, i), "killed");
    return cli_text("%zu/%zu", killed, json_array_size(list));
}

static void put_counter(const json_t *p) {
    const json_t *c = json_object_get(p, "counter"), *nodes = json_object_get(c, "nodes"),
                 *inputs = json_object_get(c, "inputs");
    term_line(CLI_RED, "%s: %s", doc_text(p, "rule", "?"), doc_text(p, "reason", "?"));
    for (size_t i = 0; i < json_array_size(nodes); i++)
        term_line(CLI_PLAIN, "    %s", json_string_value(json_array_get(nodes, i)));
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *in = json_array_get(inputs, i);
        char *numbers = json_dumps(json_object_get(in, "values"), JSON_COMPACT | JSON_REAL_PRECISION(9)),
             *dims = json_dumps(json_object_get(in, "dims"), JSON_COMPACT);
        term_line(CLI_DIM, "    %s %s%s = %s", doc_text(in, "name", "?"), doc_text(in, "dtype", "?"),
                  dims ? dims : "", numbers ? numbers : "?");
        free(numbers);
        free(dims);
    }
}

static void put_lines_alive(const json_t *p) {
    const json_t *list = json_object_get(p, "mutants");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        double judged = 0;
        (void)doc_number(m, "instances", &judged);
        const char *what = doc_true(m, "undefined")
                               ? "%s: without '%s' the left side has no answer: a matter of when"
                           : judged > 0 ? "%s: without '%s' nothing goes wrong"
                                        : "%s: '%s' never decides";
        if (!doc_true(m, "killed"))
            term_line(CLI_YELLOW, what, doc_text(p, "rule", "?"), doc_text(m, "where", "?"));
    }
}

static void put_proofs(const json_t *doc) {
    const json_t *list = json_object_get(doc, "proofs"), *sum = json_object_get(doc, "summary");
    term_table *t =
        table_new("RULE|CLASS|VERDICT|>INSTANCES|>DISPUTED|>WORST|>DB AT F16|>MUTANTS KILLED|>TIME");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        const char *verdict = doc_text(p, "verdict", "?");
        double n = 0, disputed = 0;
        (void)doc_number(p, "instances", &n);
        (void)doc_number(p, "disputed", &disputed);
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "rule", "?"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "class", "?"));
        table_cell(t, strcmp(verdict, "holds") == 0 ? CLI_GREEN : CLI_RED, "%s", verdict);
        table_cell(t, CLI_PLAIN, "%.0f", n);
        table_cell(t, disputed > 0 ? CLI_YELLOW : CLI_PLAIN, "%.0f", disputed);
        table_cell_take(t, CLI_PLAIN, doc_format(p, "worst", fmt_number));
        table_cell_take(t, CLI_PLAIN, doc_format(p, "db_f16", fmt_number));
        table_cell_take(t, CLI_PLAIN, mutants_text(p));
        table_cell_take(t, CLI_DIM, doc_format(p, "seconds", fmt_seconds));
    }
    table_print(t, stdout);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        if (strcmp(doc_text(p, "verdict", ""), "holds") != 0) put_counter(p);
        put_lines_alive(p);
    }
    double rules = 0, hold = 0, mutants = 0, killed = 0;
    (void)doc_number(sum, "rules", &rules);
    (void)doc_number(sum, "hold", &hold);
    (void)doc_number(sum, "mutants", &mutants);
    (void)doc_number(sum, "killed", &killed);
    if (mutants > 0)
        term_line(CLI_BOLD, "%.0f of %.0f rules hold, %.0f of %.0f lines matter", hold, rules, killed,
                  mutants);
    else
        term_line(CLI_BOLD, "%.0f of %.0f rules hold", hold, rules);
    put_problems(doc);
}

static aipc_error *run_test(cli_env *env, aipc_context *c, const values *v, int *status) {
    char *document = NULL;
    (void)status;
    aipc_rules_options o = {.size = sizeof o,
                            .folder = v->folder,
                            .what = v->what.items,
                            .what_count = v->what.count,
                            .instances = v->instances,
                            .seed = v->seed,
                            .mutate = v->mutate,
                            .keep = v->keep,
                            .second = v->second,
                            .threads = v->threads};
    aipc_error *e = aipc_rules_test(c, &o, &document);
    show_document(env, document, put_proofs);
    return e;
}

/* ---- why */

static aipc_error *run_why(cli_env *env, aipc_context *c, const values *v, int *status) {
    char *document = NULL;
    (void)status;
    if (v->what.count != 1 || !v->target)
        return cli_usage("for example: aipc rules why model.onnx --target htp:sm8650",
                         "'aipc rules why' needs one MODEL and a --target");
    aipc_rules_why_options o = {.size = sizeof o,
                                .model = v->what.items[0],
                                .target = v->target,
                                .folder = v->folder,
                                .shapes = v->shapes.items,
                                .shape_count = v->shapes.count};
    aipc_error *e = aipc_rules_why(c, &o, &document);
    show_document(env, document, cli_rules_why_show);
    return e;
}

/* ---- the command: a row for each action */

static const struct {
    const char *name;
    aipc_error *(*run)(cli_env *env, aipc_context *c, const values *v, int *status);
} actions[] = {
    {"list", run_list},
    {"show", run_show},
    {"test", run_test},
    {"why", run_why},
};

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    aipc_error *e = cli_context_open(env, &context);
    for (size_t i = 0; !e && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, v->action) == 0) {
            e = actions[i].run(env, context, v, status);
            break;
        }
    term_progress_end();
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "ACTION",
     .required = true,
     .offset = offsetof(values, action),
     .choices = "list show test why",
     .help = "list, show, test or why"},
    {.name = "RULE",
     .list = true,
     .offset = offsetof(values, what),
     .complete = CLI_FILE,
     .help = "names of rules, or files of the rule folder; test without one takes all; why: a model"},
    {0},
};

static const cli_option options[] = {
    {.name = "rules",
     .kind = CLI_TEXT,
     .offset = offsetof(values, folder),
     .arg = "PATH",
     .complete = CLI_FILE,
     .help = "folder or file with rules of your own (./rules, when there is one)"},
    {.name = "instances",
     .kind = CLI_UINT,
     .offset = offsetof(values, instances),
     .arg = "N",
     .min = 1,
     .max = 1000000,
     .help = "test: how many random instances each rule must stand (200)"},
    {.name = "seed",
     .kind = CLI_UINT,
     .offset = offsetof(values, seed),
     .arg = "N",
     .min = 0,
     .max = 4294967295,
     .help = "test: of the random instances (1)"},
    {.name = "mutate",
     .kind = CLI_FLAG,
     .offset = offsetof(values, mutate),
     .help = "test: also take away each line of the preconditions, which must then fail"},
    {.name = "keep",
     .kind = CLI_TEXT,
     .offset = offsetof(values, keep),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "test: write the counterexamples as models and tensors"},
    {.name = "second",
     .kind = CLI_TEXT,
     .offset = offsetof(values, second),
     .arg = "COMMAND",
     .help = "test: a second oracle; where it disagrees an instance is disputed and does not count"},
    {.name = "target",
     .kind = CLI_TEXT,
     .offset = offsetof(values, target),
     .arg = "TARGET",
     .complete = CLI_TARGET,
     .help = "why: whom to ask, such as htp:sm8650"},
    {.name = "shape",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, shapes),
     .arg = "NAME=DIMS",
     .help = "why: fixes an input shape (images=1,3,320,320) or a symbol (batch=1)"},
    {.name = "threads",
     .kind = CLI_UINT,
     .offset = offsetof(values, threads),
     .arg = "N",
     .min = 1,
     .max = 256,
     .help = "test: rules at once (one a processor)"},
    {0},
};

static const cli_example examples[] = {
    {"which rules are there?", "aipc rules list"},
    {"is my rule right?", "aipc rules test my_rule --keep wrong"},
    {"what does each node of a model need?", "aipc rules why model.onnx --target htp:sm8650"},
    {"prove everything, and that every condition is needed", "aipc rules test --mutate"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_RUNTIME, NULL},   {CLI_EXIT_IO, NULL}, {CLI_EXIT_GATE, "a rule is not proven"},
    {CLI_EXIT_CANCELLED, NULL}, {-1, NULL},
};

const cli_command cli_rules = {
    .name = "rules",
    .summary = "list, show or prove the rewrite rules",
    .purpose =
        "Rules say what a graph may be rewritten into. Besides the built-in ones those of the folder ./rules "
        "are "
        "used.\n"
        "test draws random graphs from a rule's own pattern and precondition, computes both sides with ONNX "
        "Runtime and compares them as the rule's class says. A counterexample is made as small as it gets, "
        "and shown. "
        "A rule that is not proven is never used.\n"
        "why asks a target about each distinct node of a model, alone and with what stands around it, and "
        "says "
        "which chain of rules makes right what it does not take, or what was tried.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
