// SPDX-License-Identifier: Apache-2.0
// Asking, against a backend made for the purpose: this program, started again as a worker. Its verdict is the
// op's name: Boom kills it, Sleep hangs it, Fail fails the whole batch without naming anybody, Wrong computes
// something else, Shaky something else each time, Refuse is refused, Odd cannot be run by the oracle. Two
// lie: Silent says it runs and gives nothing back, Flat gives another shape.
#include "surgery/probe/probe_priv.h"
#include "target/target.h"
#include "test_graph_build.h"
#include "test_worker_fake.h"

#include <signal.h>
#include <unistd.h>

// ---- the fake backend

static bool has_op(const ap_model *m, const char *op) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (strcmp(m->graph->nodes[i]->op, op) == 0) return true;
    return false;
}

static json_t *fake_outputs(const ap_model *m, const char *dir, bool reference) {
    json_t *sets = json_array();
    for (size_t s = 0; s < AP_PROBE_SETS; s++) {
        ap_arena a = {0};
        json_t *list = json_array();
        char *folder = ap_arena_printf(&a, "%s/%zu", dir, s);
        must(ap_mkdirs(folder));
        for (size_t i = 0; i < m->graph->node_count; i++) {
            const char *op = m->graph->nodes[i]->op;
            float v[2] = {1, strcmp(op, "Wrong") == 0 && !reference ? 2 : 1};
            ap_tensor t = {0};
            int64_t dims[1] = {2};
            if ((strcmp(op, "Refuse") == 0 || strcmp(op, "Silent") == 0) && !reference) continue;
            if (strcmp(op, "Flat") == 0 && !reference) dims[0] = 1;
            must(ap_tensor_view(AP_F32, dims, 1, v, (size_t)dims[0] * sizeof *v, &t));
            must(ap_tensor_store(folder, m->graph->nodes[i]->outputs[0]->name, &t, list));
            json_object_set_new(json_array_get(list, json_array_size(list) - 1), "stable",
                                json_boolean(strcmp(op, "Shaky") != 0 || reference));
        }
        json_array_append_new(sets, list);
        ap_arena_release(&a);
    }
    return sets;
}

static json_t *fake_probe(const json_t *args) {
    ap_model *m = NULL;
    bool reference = ap_json_bool(args, "reference", false);
    must(ap_model_load(ap_json_str(args, "file", ""), &m));
    json_t *placement = json_array(), *fallen = json_array(), *refused = json_array();
    const char *error = NULL;
    if (!reference && has_op(m, "Boom")) (void)raise(SIGKILL);
    while (!reference && has_op(m, "Sleep")) (void)sleep(1);
    if (!reference && has_op(m, "Fail")) error = "execute error 1100";
    if (reference && has_op(m, "Odd")) error = "no kernel";
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        char piece[32];
        (void)snprintf(piece, sizeof piece, "%.*s", (int)strcspn(n->name, "/"), n->name);
        json_array_append_new(placement, json_pack("{ssss}", "name", n->name, "op", n->op));
        if (strcmp(n->op, "Refuse") != 0 || reference) continue;
        json_array_append_new(fallen, json_string(piece));
        json_array_append_new(refused, json_pack("{ssssss}", "node", n->name, "op", n->op, "reason", "no"));
    }
    json_t *r =
        json_pack("{so,so,so,so,so}", "placement", placement, "fallen", fallen, "refused", refused, "outputs",
                  error ? json_array() : fake_outputs(m, ap_json_str(args, "dir", ""), reference), "error",
                  error ? json_pack("{ss}", "message", error) : json_null());
    ap_model_free(m);
    return r;
}

static json_t *answer(void *user, const char *op, const json_t *args) {
    (void)user;
    return !strcmp(op, "probe") ? fake_probe(args) : json_object();
}

// ---- the tests' side

typedef struct place {
    ap_arena a;
    char *dir, *program;
    ap_probe_set set;
} place;

static ap_err start(void *user, bool oracle, size_t slot, ap_worker **out) {
    place *p = user;
    (void)slot;
    json_t *config = json_pack("{ss}", "target", oracle ? "oracle" : "fake");
    ap_worker_options o = {.program = p->program, .config = config, .log_path = "/dev/null", .timeout_s = 2};
    ap_err err = ap_worker_start(&o, out);
    json_decref(config);
    return err;
}

static int setup(void **state) {
    place *p = ap_calloc(1, sizeof *p);
    must(ap_mkdtemp("/tmp", "aipc-test-probe", &p->a, &p->dir));
    must(ap_self_exe(&p->a, &p->program));
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    must(ap_rmtree(p->dir));
    ap_probe_set_release(&p->set);
    ap_arena_release(&p->a);
    free(p);
    return 0;
}

// `number` makes it another probe than its like.
static void add(place *p, const char *op, int number) {
    json_t *j = json_pack("{ss,ss,s{si},s[{ss,s[i],ss}]}", "op", op, "name", op, "attrs", "number", number,
                          "inputs", "dtype", "float32", "dims", 2, "values", "normal");
    must(ap_probe_add_variant(&p->set, j, 17));
    json_decref(j);
}

static ap_probe_stats ask(place *p, size_t batch) {
    ap_probe_stats stats = {0};
    ap_probe_host host = {.start = start, .user = p, .scratch = p->dir, .threads = 2, .batch = batch};
    must(ap_probe_run(&p->set, NULL, &host, &stats));
    return stats;
}

static void each_gets_its_own(void **state) {
    place *p = *state;
    static const struct {
        const char *op;
        ap_probe_verdict verdict;
    } kinds[] = {{"Good", AP_PROBE_ACCEPTED}, {"Boom", AP_PROBE_CRASHED},   {"Good", AP_PROBE_ACCEPTED},
                 {"Wrong", AP_PROBE_WRONG},   {"Refuse", AP_PROBE_REFUSED}, {"Fail", AP_PROBE_REFUSED},
                 {"Odd", AP_PROBE_INVALID},   {"Shaky", AP_PROBE_UNSTABLE}, {"Sleep", AP_PROBE_HUNG}};
    enum { KINDS = sizeof kinds / sizeof *kinds, COUNT = 40 };
    for (int i = 0; i < COUNT; i++) add(p, kinds[i < KINDS ? i : 0].op, i);
    add(p, "Good", 0); // the same again: asked once, answered twice
    ap_probe_stats stats = ask(p, 16);
    assert_int_equal(stats.asked, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        if (p->set.list[i].verdict != kinds[i < KINDS ? i : 0].verdict)
            fail_msg("%s is %s", p->set.list[i].op, ap_probe_verdict_word(p->set.list[i].verdict));
    assert_int_equal(p->set.list[COUNT].verdict, AP_PROBE_ACCEPTED);
    assert_string_equal(p->set.list[4].reason, "no");
    assert_string_equal(p->set.list[5].reason, "execute error 1100");
    assert_string_equal(p->set.list[6].reason, "no kernel");
    assert_non_null(strstr(p->set.list[1].reason, "signal 9"));
}

// Taken is what comes back right, whatever the placement says.
static void lies_are_no_acceptance(void **state) {
    place *p = *state;
    static const char *const ops[] = {"Good", "Silent", "Flat", "Good"};
    for (int i = 0; i < 4; i++) add(p, ops[i], i);
    (void)ask(p, 16);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(p->set.list[i].verdict, i == 1 || i == 2 ? AP_PROBE_WRONG : AP_PROBE_ACCEPTED);
    assert_string_equal(p->set.list[1].reason, "output 0 did not come back");
    assert_non_null(strstr(p->set.list[2].reason, "instead of"));
}

// A thousand in a row (starting a sanitized program is slow: fewer there): each costs itself, none is lost,
// and the run goes on.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CRASHES = 150 };
#else
enum { CRASHES = 1000 };
#endif
static void a_thousand_crashes(void **state) {
    place *p = *state;
    for (int i = 0; i < CRASHES; i++) add(p, "Boom", i);
    add(p, "Good", 1);
    ap_probe_stats stats = ask(p, 1); // each in a worker of its own: splitting has its test above
    for (size_t i = 0; i < CRASHES; i++) assert_int_equal(p->set.list[i].verdict, AP_PROBE_CRASHED);
    assert_int_equal(p->set.list[CRASHES].verdict, AP_PROBE_ACCEPTED);
    assert_true(stats.restarts >= CRASHES);
}

static ap_err cannot_start(void *user, bool oracle, size_t slot, ap_worker **out) {
    (void)user, (void)oracle, (void)slot, (void)out;
    return ap_err_new(AP_ERR_RUNTIME_MISSING, "not installed");
}

static void no_worker(void **state) {
    place *p = *state;
    for (int i = 0; i < 50; i++) add(p, "Good", i);
    ap_probe_host host = {.start = cannot_start, .scratch = p->dir, .threads = 2, .batch = 4};
    must_fail(ap_probe_run(&p->set, NULL, &host, NULL), AP_ERR_RUNTIME_MISSING, "not installed");
    assert_int_equal(p->set.list[0].verdict, AP_PROBE_UNASKED);
}

static void nothing_to_do(void **state) {
    place *p = *state;
    ap_probe_stats stats = ask(p, 2);
    assert_int_equal(stats.asked + stats.batches, 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return fake_worker_serve(answer, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_are_no_acceptance, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_crashes, setup, teardown),
        cmocka_unit_test_setup_teardown(no_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_do, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
