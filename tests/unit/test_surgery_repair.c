// SPDX-License-Identifier: Apache-2.0
// repair: the loop around search and judge. Here the target is a table: operators it refuses, operators it
// computes wrong in the whole model. A "rule" turns one operator into another.
#include "test_surgery_rule.h"

#include "surgery/repair/repair.h"

typedef struct way {
    const char *from, *to;
    size_t radius; // found with at least so much around it
    bool inexact;
    bool shows; // makes one more output of the model
} way;

typedef struct target {
    const char *refuse, *bad, *alone; // operators, " Abs Neg "; alone: wrong when asked alone
    bool blames;                      // a failed gate comes with the first wrong node
    bool allow_cpu;
    const char *with; // operator: what is wrong alone was asked about together with nodes of it
    bool slow;        // the search is never done in its time
    way ways[6];
    ap_code dies; // of the judge, at its second answer
    size_t judged, searched, kept, applied;
    double seconds; // the search had for a node that is wrong alone
    ap_buf said;
} target;

static bool has(const char *list, const char *op) {
    ap_buf word = {0};
    ap_buf_printf(&word, " %s ", op);
    bool yes = list && strstr(list, ap_buf_str(&word));
    ap_buf_free(&word);
    return yes;
}

// ---- the four tools

static bool is_banned(const json_t *banned, const ap_piece *p, const char *rule) {
    size_t i;
    json_t *b;
    json_array_foreach((json_t *)(uintptr_t)banned, i, b) {
        const char *name = json_string_value(json_array_get(json_object_get(b, "recipe"), 0));
        if (!strcmp(ap_json_str(b, "key", ""), p->key) && !strcmp(name, rule)) return true;
    }
    return false;
}

static target *the_target; // the search has no user pointer of its own

static void look(const target *t, const ap_piece *p, const ap_search_options *o, ap_search_result *out) {
    const ap_node *n = ap_graph_node(p->model->graph, p->node);
    out->tried = json_array();
    out->stats = t->slow ? json_pack("{ss}", "budget", "seconds") : json_object();
    out->before = has(t->refuse, n->op) ? AP_PROBE_REFUSED : AP_PROBE_WRONG;
    if (!has(t->refuse, n->op) && !has(t->alone, n->op)) {
        out->before = AP_PROBE_ACCEPTED;
        out->found = p->radius == 0; // right as it is: an empty chain
        out->recipe.chain = json_array();
        if (out->found) return;
    }
    json_decref(out->recipe.chain);
    out->recipe.chain = NULL;
    for (const way *w = t->ways; w->from; w++) {
        ap_buf rule = {0};
        ap_buf_printf(&rule, "%s_to_%s", w->from, w->to);
        bool fits = !out->found && !strcmp(w->from, n->op) && p->radius >= w->radius;
        if (fits && is_banned(o->banned, p, ap_buf_str(&rule))) {
            json_array_append_new(out->tried,
                                  json_pack("{s[s],ss}", "chain", ap_buf_str(&rule), "verdict", "banned"));
        } else if (fits) {
            out->found = true;
            out->recipe = (ap_recipe){.chain = json_pack("[{ss,ss,ss,sb}]", "rule", ap_buf_str(&rule),
                                                         "class", w->inexact ? "db 60" : "exact", "to", w->to,
                                                         "shows", w->shows),
                                      .radius = p->radius,
                                      .nodes_before = 1,
                                      .nodes_after = 1,
                                      .error = w->inexact ? 0.01 : 0,
                                      .exact = !w->inexact};
        }
        ap_buf_free(&rule);
    }
}

static ap_err search(const ap_piece *const *pieces, size_t count, const ap_search_options *o,
                     ap_search_result *out) {
    for (size_t i = 0; i < count; i++) {
        if (has(the_target->alone, ap_graph_node(pieces[i]->model->graph, pieces[i]->node)->op))
            the_target->seconds = o->seconds;
        look(the_target, pieces[i], o, &out[i]);
    }
    return NULL;
}

static ap_err apply(const ap_recipe *r, const ap_match_env *env, ap_node *n, json_t *steps) {
    const json_t *link = json_array_get(r->chain, 0);
    ap_graph *g = env->model->graph;
    ap_buf name = {0};
    ap_node *fresh = NULL;
    ap_value *v = n->outputs[0];
    ap_buf_printf(&name, "%s~%s", v->name, ap_json_str(link, "rule", ""));
    const char *out = ap_buf_str(&name);
    must(ap_graph_add_node(g,
                           &(ap_node_spec){.op = ap_json_str(link, "to", ""),
                                           .inputs = n->inputs,
                                           .input_count = n->input_count,
                                           .outputs = &out,
                                           .output_count = 1,
                                           .before = n},
                           &fresh));
    must(ap_graph_replace_value(g, v, fresh->outputs[0], NULL));
    must(ap_graph_remove_node(g, n));
    if (ap_json_bool(link, "shows", false)) must(ap_graph_add_output(g, n->inputs[0], NULL));
    json_array_append_new(steps, json_pack("{ss,sO}", "kind", "rule", "name", json_object_get(link, "rule")));
    ap_buf_free(&name);
    return NULL;
}

static ap_err probe(const ap_match_env *env, const ap_search_options *o, json_t *wrong) {
    (void)o;
    for (size_t i = 0; i < env->model->graph->node_count; i++) {
        const ap_node *n = env->model->graph->nodes[i];
        if (!has(the_target->alone, n->op)) continue;
        json_t *with = json_array();
        for (size_t k = 0; the_target->with && k < env->model->graph->node_count; k++)
            if (!strcmp(env->model->graph->nodes[k]->op, the_target->with))
                json_array_append_new(with, json_string(env->model->graph->nodes[k]->name));
        json_array_append_new(wrong, json_pack("{ss,ss,ss,ss,so}", "node", n->name, "op", n->op, "verdict",
                                               "wrong", "reason", "off on its own", "with", with));
    }
    return NULL;
}

static const ap_repair_tools tools = {.cut = ap_piece_cut, .search = search, .apply = apply, .probe = probe};

// ---- the host

static bool small(void *user, const ap_value *v, ap_value_type *out) {
    (void)user;
    (void)v;
    *out = (ap_value_type){.dtype = AP_F32, .rank = 2, .dims = {3, 4}};
    return true;
}
static ap_err types(void *user, ap_model *m, ap_type_source *out) {
    (void)user;
    (void)m;
    *out = (ap_type_source){small, NULL};
    return NULL;
}

static json_t *node_entry(const ap_node *n, const char *reason) {
    return json_pack("{ss,ss,ss}", "node", n->name, "op", n->op, "reason", reason);
}

static ap_err whole(void *user, ap_model *m, ap_whole *out) {
    target *t = user;
    json_t *refused = json_array(), *wrong = json_array();
    t->judged++;
    if (t->dies && t->judged == 2) {
        json_decref(refused);
        json_decref(wrong);
        return ap_err_new(t->dies, "stopped");
    }
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        if (has(t->refuse, n->op)) json_array_append_new(refused, node_entry(n, "not supported"));
        if (has(t->bad, n->op)) json_array_append_new(wrong, node_entry(n, "off in the model"));
    }
    bool built = json_array_size(refused) == 0 || t->allow_cpu;
    *out = (ap_whole){.built = built, .passed = built && json_array_size(wrong) == 0};
    if (built)
        out->gates = json_pack("[{ss,ss,sf}]", "metric", "sqnr_db", "verdict", out->passed ? "pass" : "fail",
                               "value", out->passed ? 60.0 : 20.0 - (double)json_array_size(wrong));
    if (json_array_size(refused)) out->refused = json_incref(refused);
    if (built && t->blames && json_array_size(wrong)) out->wrong = json_incref(wrong);
    json_decref(refused);
    json_decref(wrong);
    return NULL;
}

static void say(void *user, const char *text) {
    ap_buf_printf(&((target *)user)->said, "%s\n", text);
}

static void keep(void *user, const ap_piece *p, json_t *left) {
    (void)p;
    ((target *)user)->kept++;
    json_object_set_new(left, "model", json_string("kept.onnx"));
}

// A chain of nodes with one input each: "Abs Neg Abs".
static ap_model *chain_of(const char *ops) {
    maker k = make_model(17);
    ap_value *v = input(&k, "x", AP_F32, "3,4");
    char *text = strdup(ops), *rest = NULL;
    for (char *op = strtok_r(text, " ", &rest); op; op = strtok_r(NULL, " ", &rest))
        v = OP(&k, op, AP_F32, "3,4", v);
    output(&k, v, AP_F32, "3,4");
    free(text);
    return k.m;
}

static ap_err repair_with(target *t, const char *ops, size_t tries, double seconds, ap_repaired *out) {
    ap_model *m = chain_of(ops);
    the_target = t;
    const ap_repair_options o = {.tools = &tools,
                                 .ask = {.types = types, .judge = whole, .progress = say, .user = t},
                                 .keep = keep,
                                 .keep_user = t,
                                 .allow_cpu = t->allow_cpu,
                                 .budget = {.builds = tries, .seconds = seconds}};
    ap_err err = ap_repair(m, NULL, &o, out);
    ap_model_free(m);
    return err;
}

static ap_repaired repair_of(target *t, const char *ops) {
    ap_repaired r = {0};
    must(repair_with(t, ops, 0, 0, &r));
    return r;
}

static const json_t *entry(const ap_repaired *r, const char *list, size_t i) {
    return json_array_get(json_object_get(r->report, list), i);
}
static size_t listed(const ap_repaired *r, const char *list) {
    return json_array_size(json_object_get(r->report, list));
}
static const char *rule_of(const json_t *repair) {
    return json_string_value(json_array_get(json_object_get(repair, "rules"), 0));
}

static void expect_ops(const ap_repaired *r, const char *ops) {
    ap_buf b = {0};
    assert_non_null(r->made.model);
    for (size_t i = 0; i < r->made.model->graph->node_count; i++)
        ap_buf_printf(&b, "%s%s", i ? " " : "", r->made.model->graph->nodes[i]->op);
    assert_string_equal(ap_buf_str(&b), ops);
    ap_buf_free(&b);
}

static void finish(target *t, ap_repaired *r) {
    ap_repaired_release(r);
    ap_buf_free(&t->said);
}

// ---- tests

static void equals_at_once(void **state) {
    (void)state;
    target t = {.refuse = " Floor ", .ways = {{"Floor", "Round", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Sin Floor Sin Floor Sin Floor");
    expect_ops(&r, "Sin Round Sin Round Sin Round");
    assert_true(r.made.whole.passed);
    assert_int_equal(listed(&r, "repairs"), 1);
    assert_int_equal(json_array_size(json_object_get(entry(&r, "repairs", 0), "nodes")), 3);
    assert_string_equal(ap_json_str(entry(&r, "repairs", 0), "why", ""), "not supported");
    assert_int_equal(json_array_size(r.made.steps), 3);
    assert_int_equal(t.judged, 2); // as it was, and once with all three
    assert_false(ap_json_bool(json_object_get(r.report, "stats"), "cut_short", true));
    assert_int_equal(listed(&r, "left"), 0);
    assert_non_null(strstr(ap_buf_str(&t.said), "searching rules for 3 of 3 nodes: Floor"));
    finish(&t, &r);
}

// Right on its own, and the gates of the model fail with it: rolled back, remembered, another chain is taken.
static void wrong_in_the_model(void **state) {
    (void)state;
    target t = {.refuse = " Floor ",
                .bad = " Round ",
                .blames = true,
                .ways = {{"Floor", "Round", 0, false, false}, {"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Abs Floor");
    expect_ops(&r, "Abs Ceil");
    assert_true(r.made.whole.passed);
    assert_string_equal(rule_of(entry(&r, "repairs", 0)), "Floor_to_Ceil");
    assert_int_equal(listed(&r, "rolled_back"), 1);
    assert_string_equal(rule_of(entry(&r, "rolled_back", 0)), "Floor_to_Round");
    assert_non_null(
        strstr(ap_json_str(entry(&r, "rolled_back", 0), "reason", ""), "computes what it makes wrong"));
    assert_int_equal(json_array_size(r.made.steps), 1); // nothing of the chain that was rolled back
    assert_int_equal(t.judged, 3);                      // it was not tried twice
    finish(&t, &r);
}

// The interface is the user's, whatever a rule does.
static void interface_stays(void **state) {
    (void)state;
    target t = {.refuse = " Floor ",
                .ways = {{"Floor", "Round", 0, false, true}, {"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Abs Floor");
    expect_ops(&r, "Abs Ceil");
    assert_string_equal(ap_json_str(entry(&r, "rolled_back", 0), "reason", ""),
                        "it changes the inputs or outputs of the model");
    finish(&t, &r);
}

// What a recipe makes is refused in the model: the same.
static void refused_in_the_model(void **state) {
    (void)state;
    target t = {.refuse = " Floor Round ",
                .ways = {{"Floor", "Round", 0, false, false}, {"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor");
    expect_ops(&r, "Ceil");
    assert_non_null(strstr(ap_json_str(entry(&r, "rolled_back", 0), "reason", ""), "refuses what it makes"));
    finish(&t, &r);
}

// The model runs right, two nodes err on their own, and one of two recipes breaks a gate: nobody says which.
static void the_other_half_stays(void **state) {
    (void)state;
    target t = {.alone = " Floor Exp ",
                .bad = " Round ",
                .ways = {{"Floor", "Round", 0, false, false}, {"Exp", "Log", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs Exp");
    expect_ops(&r, "Floor Abs Log");
    assert_true(r.made.whole.passed);
    assert_int_equal(listed(&r, "repairs"), 1);
    assert_int_equal(listed(&r, "rolled_back"), 1);
    assert_string_equal(ap_json_str(entry(&r, "rolled_back", 0), "reason", ""),
                        "a gate of the whole model fails");
    // The node that stays is flagged.
    assert_int_equal(listed(&r, "left"), 1);
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "op", ""), "Floor");
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "verdict", ""), "wrong");
    finish(&t, &r);
}

// Wrong on its own, and the gates of the model hold: a short look, and it is flagged.
static void wrong_alone_is_flagged(void **state) {
    (void)state;
    target t = {.refuse = " Floor ", .alone = " Exp ", .ways = {{"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs Exp");
    expect_ops(&r, "Ceil Abs Exp");
    assert_true(r.made.whole.passed);
    assert_true(t.seconds > 0 && t.seconds < 5);
    assert_int_equal(listed(&r, "left"), 1);
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "op", ""), "Exp");
    assert_non_null(strstr(ap_json_str(entry(&r, "left", 0), "why_not", ""), "the gates of the model hold"));
    finish(&t, &r);
}

// A failed gate points at a node: that one is repaired, and when the gates then hold, nobody asks about all
// others.
static void blame_comes_first(void **state) {
    (void)state;
    target t = {.bad = " Floor ",
                .alone = " Floor Exp ",
                .blames = true,
                .ways = {{"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs Exp");
    expect_ops(&r, "Ceil Abs Exp");
    assert_true(r.made.whole.passed);
    assert_int_equal(listed(&r, "needs"), 1);
    assert_int_equal(listed(&r, "left"), 0);
    assert_null(strstr(ap_buf_str(&t.said), "asking about every node"));
    finish(&t, &r);
}

// Where nothing helps the node that is blamed, all others are asked about after all.
static void blame_is_not_all(void **state) {
    (void)state;
    target t = {
        .bad = " Floor ", .alone = " Exp ", .blames = true, .ways = {{"Exp", "Log", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs Exp");
    assert_false(r.made.whole.passed);
    assert_int_equal(listed(&r, "needs"), 2);
    assert_non_null(strstr(ap_buf_str(&t.said), "asking about every node"));
    finish(&t, &r);
}

// When a gate fails in the end it may be the one: then it gets all the time there is.
// Wrong together with a node that was repaired since: as it stands now nobody has asked about it.
static void wrong_with_what_is_gone(void **state) {
    (void)state;
    target t = {.refuse = " Floor ", .alone = " Neg ", .ways = {{"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Neg");
    expect_ops(&r, "Ceil Neg");
    assert_int_equal(listed(&r, "left"), 1);
    finish(&t, &r);
    t = (target){.refuse = t.refuse, .alone = t.alone, .with = "Floor", .ways = {t.ways[0]}};
    r = repair_of(&t, "Floor Neg");
    expect_ops(&r, "Ceil Neg");
    assert_int_equal(listed(&r, "left"), 0);
    finish(&t, &r);
}

static void wrong_alone_is_suspected(void **state) {
    (void)state;
    target t = {
        .refuse = " Floor ", .alone = " Exp ", .bad = " Exp ", .ways = {{"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs Exp");
    assert_false(r.made.whole.passed);
    assert_true(t.seconds == 0); // the default
    assert_null(strstr(ap_json_str(entry(&r, "left", 0), "why_not", ""), "gates"));
    finish(&t, &r);
}

// A target that takes a node, computes it right alone and wrong in the model: more of the model is looked at.
static void liar_is_found(void **state) {
    (void)state;
    target t = {.bad = " Floor ", .blames = true, .ways = {{"Floor", "Ceil", 1, false, false}}};
    ap_repaired r = repair_of(&t, "Abs Floor Neg");
    expect_ops(&r, "Abs Ceil Neg");
    assert_true(r.made.whole.passed);
    assert_string_equal(ap_json_str(entry(&r, "repairs", 0), "verdict", ""), "wrong");
    assert_string_equal(ap_json_str(entry(&r, "repairs", 0), "why", ""), "off in the model");
    finish(&t, &r);
}

// The same where nothing helps: it is named, with what is known.
static void liar_is_named(void **state) {
    (void)state;
    target t = {.bad = " Floor ", .blames = true};
    ap_repaired r = repair_of(&t, "Abs Floor Neg");
    assert_null(r.made.model);
    assert_false(r.made.whole.passed);
    assert_int_equal(listed(&r, "left"), 1);
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "why_not", ""),
                        "cut out of the model the target takes it and computes it right");
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "model", ""), "kept.onnx");
    finish(&t, &r);
}

// It builds with a step that is not exact, and the gates fail: without that step there is another way.
static void least_exact_goes_first(void **state) {
    (void)state;
    target t = {.refuse = " Floor ",
                .bad = " Round ",
                .ways = {{"Floor", "Round", 0, true, false}, {"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Abs");
    expect_ops(&r, "Ceil Abs");
    assert_true(r.made.whole.passed);
    assert_non_null(strstr(ap_json_str(entry(&r, "rolled_back", 0), "reason", ""), "least exact"));
    finish(&t, &r);
}

static void what_is_left(void **state) {
    (void)state;
    target t = {.refuse = " Floor Exp ", .ways = {{"Exp", "Log", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Exp Floor");
    expect_ops(&r, "Floor Log Floor"); // what could be repaired is
    assert_false(r.made.whole.built);
    assert_int_equal(listed(&r, "left"), 2);
    assert_int_equal(t.kept, 1); // one file for nodes that are alike
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "reason", ""), "not supported");
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "why_not", ""), "no rule rewrites Floor");
    assert_int_equal(listed(&r, "cpu"), 0);
    finish(&t, &r);
}

static void allow_cpu(void **state) {
    (void)state;
    target t = {.refuse = " Floor Exp ", .allow_cpu = true, .ways = {{"Exp", "Log", 0, false, false}}};
    ap_repaired r = repair_of(&t, "Floor Exp Floor");
    expect_ops(&r, "Floor Log Floor");
    assert_true(r.made.whole.passed);
    assert_int_equal(listed(&r, "cpu"), 2);
    assert_int_equal(listed(&r, "left"), 2);
    finish(&t, &r);
}

// ---- budgets, and the end of the machinery

static const char *ended(const ap_repaired *r) {
    return ap_json_str(json_object_get(r->report, "stats"), "ended", NULL);
}

static void tries_are_counted(void **state) {
    (void)state;
    target t = {.refuse = " Floor Ceil Round Exp ",
                .ways = {{"Floor", "Ceil", 0, false, false},
                         {"Floor", "Round", 0, false, false},
                         {"Floor", "Exp", 0, false, false},
                         {"Floor", "Abs", 0, false, false}}};
    ap_repaired r = {0};
    must(repair_with(&t, "Floor", 3, 0, &r));
    assert_int_equal(t.judged, 3);
    assert_null(r.made.model);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r.report, "stats"), "tries")), 3);
    assert_string_equal(ended(&r),
                        "the budget of 3 builds of the whole model is spent (--repair-builds gives more)");
    finish(&t, &r);
    t = (target){.refuse = t.refuse, .ways = {t.ways[0], t.ways[1], t.ways[2], t.ways[3]}};
    must(repair_with(&t, "Floor", 0, 0, &r));
    expect_ops(&r, "Abs");
    assert_null(ended(&r));
    finish(&t, &r);
}

static void time_is_up(void **state) {
    (void)state;
    target t = {.refuse = " Floor ", .ways = {{"Floor", "Ceil", 0, false, false}}};
    ap_repaired r = {0};
    must(repair_with(&t, "Floor", 0, 1e-9, &r));
    assert_null(r.made.model);
    assert_int_equal(t.judged, 1);
    assert_true(ap_json_bool(json_object_get(r.report, "stats"), "cut_short", false));
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "why_not", ""),
                        "the budget of 1e-09 seconds is spent (--repair-time gives more)");
    assert_string_equal(ended(&r), ap_json_str(entry(&r, "left", 0), "why_not", ""));
    finish(&t, &r);
}

static void time_of_a_piece_is_up(void **state) {
    (void)state;
    static const char text[] = "the budget of 20 seconds a piece is spent (--piece-time gives more)";
    target t = {.refuse = " Floor ", .slow = true};
    ap_repaired r = repair_of(&t, "Floor");
    assert_string_equal(ended(&r), text);
    assert_string_equal(ap_json_str(entry(&r, "left", 0), "why_not", ""), text);
    assert_true(ap_json_bool(json_object_get(r.report, "stats"), "cut_short", false));
    finish(&t, &r);
    // The same search done in its time: nothing more is to be found.
    t = (target){.refuse = " Floor "};
    r = repair_of(&t, "Floor");
    assert_null(ended(&r));
    assert_false(ap_json_bool(json_object_get(r.report, "stats"), "cut_short", true));
    finish(&t, &r);
}

static void machinery_ends_it(void **state) {
    (void)state;
    static const ap_code codes[] = {AP_ERR_CANCELLED, AP_ERR_DISK_FULL, AP_ERR_WORKER_CRASH};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        target t = {.refuse = " Floor ", .dies = codes[i], .ways = {{"Floor", "Ceil", 0, false, false}}};
        ap_repaired r = {0};
        must_fail(repair_with(&t, "Floor Abs", 0, 0, &r), codes[i], "stopped");
        finish(&t, &r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_at_once),
                                       cmocka_unit_test(wrong_in_the_model),
                                       cmocka_unit_test(interface_stays),
                                       cmocka_unit_test(refused_in_the_model),
                                       cmocka_unit_test(the_other_half_stays),
                                       cmocka_unit_test(wrong_alone_is_flagged),
                                       cmocka_unit_test(wrong_with_what_is_gone),
                                       cmocka_unit_test(wrong_alone_is_suspected),
                                       cmocka_unit_test(blame_comes_first),
                                       cmocka_unit_test(blame_is_not_all),
                                       cmocka_unit_test(liar_is_found),
                                       cmocka_unit_test(liar_is_named),
                                       cmocka_unit_test(least_exact_goes_first),
                                       cmocka_unit_test(what_is_left),
                                       cmocka_unit_test(allow_cpu),
                                       cmocka_unit_test(tries_are_counted),
                                       cmocka_unit_test(time_is_up),
                                       cmocka_unit_test(time_of_a_piece_is_up),
                                       cmocka_unit_test(machinery_ends_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
