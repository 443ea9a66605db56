// SPDX-License-Identifier: Apache-2.0
// The official ONNX operator tests against freeze and clean: surgery DATA_DIR TESTS_DIR
//
// Each model is cleaned twice: as it is, and with its whole-number and bool inputs fixed to what the test
// feeds (shapes, axes, trip counts, conditions then fold, and control flow with them). What ONNX Runtime
// computes must stay the same bits, whatever the passes' own gates said. Then every rule is applied at every
// node of the cleaned models it fits, one at a time: the result must be what the rule's class allows. Models
// run in children; one that dies is named and replaced.
#include "rules.h"

#include "base/proc.h"
#include "device/runtime.h"
#include "engine/oracle.h"
#include "surgery/pass/clean.h"
#include "surgery/pass/freeze.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 2, LIMIT_S = 30, IO_MAX = 64, TEXT = 200 };
typedef enum outcome { NOT_RUN, RUNNING, SAME, DIFFERENT, FAILED, NOT_RUNNABLE } outcome;
typedef struct result {
    outcome how[2]; // as it is; with inputs fixed
    int steps[2], refused[2], nodes[2][2];
    int fired, unbuilt, wrong; // of rules
    char why[TEXT], rule_why[TEXT];
} result;
typedef struct patient {
    ap_engine *engine;
    const ap_rules *rules;
    ap_named_tensor in[IO_MAX];
    size_t in_count;
} patient;
typedef struct outs {
    ap_tensor list[IO_MAX];
    size_t count;
} outs;

static ap_err run(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *, const char *, const ap_tensor *), void *sink_user) {
    patient *p = user;
    ap_buf bytes = {0};
    ap_model *copy = NULL;
    ap_oracle_options o = {
        .tensors = names, .tensor_count = count, .threads = 1, .sink = sink, .user = sink_user};
    ap_err err = NULL;
    (void)set;
    (void)types_only;
    AP_TRY(ap_model_bytes(m, &bytes));
    AP_TRY(ap_model_parse(bytes.data, bytes.len, m->dir, &copy));
    AP_TRY(ap_oracle_run(p->engine, copy, p->in, p->in_count, &o, NULL));
done:
    ap_model_free(copy);
    ap_buf_free(&bytes);
    return err;
}

static ap_err keep(void *user, const char *name, const ap_tensor *t) {
    outs *o = user;
    (void)name;
    if (o->count == IO_MAX || !ap_dtype_bits(t->dtype))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "an output is no tensor of numbers");
    return ap_tensor_clone(t, &o->list[o->count++]);
}

static void outs_free(outs *o) {
    for (size_t i = 0; i < o->count; i++) ap_tensor_free(&o->list[i]);
}

static ap_err load_inputs(patient *p, ap_model *m, const char *dir) {
    ap_arena a = {0};
    ap_err err = NULL;
    if (m->graph->input_count > IO_MAX) AP_FAIL(AP_ERR_INPUT_SHAPE, "too many inputs");
    for (size_t i = 0; i < m->graph->input_count; i++) {
        char *path = ap_path_join(&a, dir, ap_arena_printf(&a, "test_data_set_0/input_%zu.pb", i));
        ap_tensor *t = &p->in[p->in_count].t;
        AP_TRY(ap_tensor_load_pb(path, t));
        p->in[p->in_count++].name = m->graph->inputs[i]->name;
        ap_dtype declared;
        int64_t dims[AP_MAX_RANK];
        size_t rank;
        if (ap_value_shape(m->graph->inputs[i], &declared, dims, &rank, NULL) && declared == AP_BF16)
            t->dtype = AP_BF16;
        AP_TRY(ap_model_set_input_shape(m, m->graph->inputs[i]->name, t->dims, t->rank));
    }
done:
    ap_arena_release(&a);
    return err;
}

static json_t *fixed_inputs(const patient *p) {
    json_t *fixed = json_object();
    for (size_t i = 0; i < p->in_count; i++)
        if (p->in[i].t.dtype == AP_I64 || p->in[i].t.dtype == AP_I32 || p->in[i].t.dtype == AP_BOOL)
            json_object_set_new(fixed, p->in[i].name, ap_fixed_json(&p->in[i].t));
    return json_pack("{so}", "fixed", fixed);
}

static bool same(const outs *a, const outs *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const ap_tensor *x = &a->list[i], *y = &b->list[i];
        if (x->dtype != y->dtype || !ap_shape_equal(x->dims, x->rank, y->dims, y->rank) ||
            x->bytes != y->bytes || (x->bytes && memcmp(x->data, y->data, x->bytes) != 0))
            return false;
    }
    return true;
}

static void rules_on(patient *p, ap_model *m, result *r) {
    ap_named_tensor in[IO_MAX];
    rule_bench b = {.engine = p->engine, .rules = p->rules, .in = in};
    for (size_t i = 0; i < m->graph->input_count; i++)
        for (size_t k = 0; k < p->in_count; k++)
            if (!strcmp(p->in[k].name, m->graph->inputs[i]->name)) in[b.in_count++] = p->in[k];
    ap_err err = rules_everywhere(&b, m);
    r->fired += (int)b.fired;
    r->unbuilt += (int)b.refused;
    r->wrong += (int)b.bad;
    if (b.bad) snprintf(r->rule_why, TEXT, "%s", b.why);
    if (err && !b.bad) {
        r->wrong++;
        snprintf(r->rule_why, TEXT, "%.190s", ap_err_message(err));
    }
    ap_err_free(err);
    ap_map_free(&b.types);
    ap_arena_release(&b.arena);
}

static void clean_one(patient *p, ap_model *m, const outs *golden, size_t variant, result *r) {
    ap_surgery_oracle oracle = {.run = run, .user = p, .sets = 1};
    static const char *const rounding[] = {"weights", "batchnorm", "affine"};
    json_t *params = variant ? fixed_inputs(p) : json_object(), *report = NULL;
    ap_clean_options o = {.oracle = &oracle, .params = params, .skip = rounding, .skip_count = 3};
    ap_cleaned c = {0};
    outs now = {0};
    ap_err err = NULL;
    r->how[variant] = FAILED;
    AP_TRY(ap_clean(m, &o, &c, &report));
    AP_TRY(run(p, c.model, 0, NULL, 0, false, keep, &now));
    r->how[variant] = same(golden, &now) ? SAME : DIFFERENT;
    rules_on(p, c.model, r);
    r->steps[variant] = (int)json_array_size(json_object_get(report, "steps"));
    r->refused[variant] = (int)json_array_size(json_object_get(report, "refused"));
    r->nodes[variant][0] = (int)m->graph->node_count;
    r->nodes[variant][1] = (int)c.model->graph->node_count;
    for (int i = 0; i < r->refused[variant]; i++) {
        const json_t *s = json_array_get(json_object_get(report, "refused"), (size_t)i);
        snprintf(r->why, TEXT, "refused %s: %.150s", ap_json_str(s, "name", ""),
                 ap_json_str(json_object_get(s, "error"), "message", "gate"));
    }
done:
    if (err) snprintf(r->why, TEXT, "%.190s", ap_err_message(err));
    ap_err_free(err);
    outs_free(&now);
    ap_cleaned_release(&c);
    json_decref(report);
    json_decref(params);
}

static void run_test(ap_engine *engine, const ap_rules *rules, const char *dir, result *r) {
    ap_arena a = {0};
    ap_model *m = NULL;
    patient p = {.engine = engine, .rules = rules};
    outs golden = {0};
    ap_err err = NULL;
    AP_TRY(ap_model_load(ap_path_join(&a, dir, "model.onnx"), &m));
    AP_TRY(load_inputs(&p, m, dir));
    AP_TRY(run(&p, m, 0, NULL, 0, false, keep, &golden));
    for (size_t v = 0; v < 2; v++) clean_one(&p, m, &golden, v, r);
done:
    if (err) r->how[0] = r->how[1] = NOT_RUNNABLE; // strings, sequences, what ONNX Runtime does not load
    ap_err_free(err);
    outs_free(&golden);
    for (size_t i = 0; i < p.in_count; i++) ap_tensor_free(&p.in[i].t);
    ap_model_free(m);
    ap_arena_release(&a);
}

static _Noreturn void child(const char *const *dirs, size_t count, size_t from, result *results,
                            const char *ort) {
    ap_engine *engine = NULL;
    ap_rules *rules = ap_rules_new();
    ap_rule_problems problems = {0};
    ap_err err = ap_engine_open(ort, &engine);
    if (!err) err = ap_rules_load_builtin(rules, &problems);
    if (err || problems.errors) _exit(3);
    ap_rules_finish(rules);
    for (size_t i = from; i < count; i += CHILDREN) {
        results[i].how[0] = RUNNING;
        alarm(LIMIT_S);
        run_test(engine, rules, dirs[i], &results[i]);
    }
    _exit(0);
}

// One lane of tests; a child that dies marks its test and the next goes on behind it.
static pid_t start(const char *const *dirs, size_t count, size_t from, result *results, const char *ort) {
    pid_t pid = fork();
    if (pid == 0) child(dirs, count, from, results, ort);
    return pid;
}

static void run_all(const char *const *dirs, size_t count, result *results, const char *ort) {
    pid_t pids[CHILDREN];
    size_t running = CHILDREN;
    for (size_t k = 0; k < CHILDREN; k++) pids[k] = start(dirs, count, k, results, ort);
    while (running) {
        pid_t pid = wait(NULL);
        size_t k = 0;
        while (k < CHILDREN && pids[k] != pid) k++;
        if (k == CHILDREN) return;
        size_t next = k;
        while (next < count && results[next].how[0] != RUNNING && results[next].how[0] != NOT_RUN)
            next += CHILDREN;
        if (next < count && results[next].how[0] == RUNNING) {
            results[next].how[0] = results[next].how[1] = FAILED;
            snprintf(results[next].why, TEXT, "the process ended");
            next += CHILDREN;
        }
        if (next < count && pid > 0)
            pids[k] = start(dirs, count, next, results, ort);
        else
            running--;
    }
}

static bool report(const char *const *dirs, size_t count, const result *results, const char *label,
                   size_t v) {
    size_t same_count = 0, changed = 0, steps = 0, refused = 0, before = 0, after = 0, bad = 0, unable = 0;
    for (size_t i = 0; i < count; i++) {
        const result *r = &results[i];
        unable += r->how[v] == NOT_RUNNABLE;
        if (r->how[v] == NOT_RUNNABLE) continue;
        same_count += r->how[v] == SAME;
        changed += r->steps[v] > 0;
        steps += (size_t)r->steps[v];
        refused += (size_t)r->refused[v];
        before += (size_t)r->nodes[v][0];
        after += (size_t)r->nodes[v][1];
        bad += r->how[v] != SAME;
        if (r->how[v] != SAME || r->refused[v])
            printf("# %s: %s: %s\n", ap_path_base(dirs[i]), r->how[v] == SAME ? "same" : "NOT THE SAME",
                   r->why);
    }
    printf("%s surgery on operator tests, %s: %zu models keep their bits, %zu not; %zu were changed in %zu "
           "steps, %zu "
           "passes rolled back; %zu nodes became %zu; %zu without numbers or not loaded\n",
           bad ? "not ok" : "ok", label, same_count, bad, changed, steps, refused, before, after, unable);
    return bad == 0;
}

static bool report_rules(const char *const *dirs, size_t count, const result *results) {
    size_t fired = 0, unbuilt = 0, wrong = 0, tests = 0;
    for (size_t i = 0; i < count; i++) {
        fired += (size_t)results[i].fired;
        unbuilt += (size_t)results[i].unbuilt;
        wrong += (size_t)results[i].wrong;
        tests += results[i].fired > 0;
        if (results[i].wrong) printf("# %s: rule %s\n", ap_path_base(dirs[i]), results[i].rule_why);
    }
    printf(
        "%s surgery on operator tests, rules: %zu applications in %zu tests, %zu not what the class allows, "
        "%zu refused\n",
        wrong ? "not ok" : "ok", fired, tests, wrong, unbuilt);
    return wrong == 0 && fired > 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    ap_arena a = {0};
    ap_runtime rt = {0};
    const char **names = NULL, *root = ap_path_join(&a, argv[2], "node");
    size_t count = 0;
    bool good = false;
    ap_err err = ap_list_dir(root, &a, &names, &count);
    if (err) {
        puts("skipped: the ONNX operator tests are not here (package libonnx-testdata)");
        ap_err_free(err);
        return 0;
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    for (size_t i = 0; i < count; i++) names[i] = ap_path_join(&a, root, names[i]);
    result *results =
        mmap(NULL, (count + 1) * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) return 2;
    AP_TRY(ap_runtime_find(argv[1], "onnxruntime", &rt));
    run_all(names, count, results, ap_runtime_file(&rt, "libonnxruntime.so.1"));
    good = report(names, count, results, "as they are", 0);
    good = report(names, count, results, "with whole-number inputs fixed", 1) && good;
    good = report_rules(names, count, results) && good;
done:
    if (err) fprintf(stderr, "surgery: %s\n", ap_err_message(err));
    ap_err_free(err);
    ap_runtime_release(&rt);
    ap_arena_release(&a);
    return good ? 0 : 1;
}
