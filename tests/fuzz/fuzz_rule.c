// SPDX-License-Identifier: Apache-2.0
// Rule files from hostile text: problems are noted, or rules that are whole and that match and apply to a
// small model without breaking it.
#include "graph/nodes.h"
#include "surgery/apply/apply.h"
#include "surgery/prove/prove.h"
#include "surgery/rule/lint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ap_err drop(void *user, ap_match *m) {
    (void)user;
    ap_match_free(m);
    return NULL;
}

// x → every unary operator of the rule's root.
static void try_rule(const ap_rules *rules, const ap_rule *r) {
    ap_model *m = NULL;
    ap_value_type type = {AP_F32, 2, {2, 3}};
    ap_value *x = NULL;
    ap_node *n = NULL;
    const char *out = "y";
    ap_err err = ap_model_make(18, &m);
    if (!err) err = ap_graph_add_input(m->graph, "x", &type, &x);
    ap_value *in[2] = {x, x};
    const ap_rule_node *root = &r->match[r->root];
    ap_node_spec s = {
        .op = root->ops[0], .domain = root->domain, .inputs = in, .outputs = &out, .output_count = 1};
    s.input_count = root->arg_count < 2 ? root->arg_count : 2;
    if (!err) err = ap_graph_add_node(m->graph, &s, &n);
    if (!err) ap_value_declare(m->graph, n->outputs[0], &type);
    if (!err) err = ap_graph_add_output(m->graph, n->outputs[0], &type);
    if (err) abort();
    ap_match_env env = {.model = m, .rules = rules};
    ap_match_miss miss;
    ap_match *found = NULL;
    ap_applied applied = {0};
    if (ap_rules_scan(&env, drop, NULL)) abort();
    if (ap_rule_match(r, &env, n, &found, &miss)) abort();
    if (found) {
        ap_err_free(ap_match_apply(found, &applied));
        ap_match_free(found);
        ap_applied_release(&applied);
        if (ap_model_verify(m) && *root->domain == 0) abort();
    }
    ap_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    ap_buf text = {0};
    ap_err err = ap_rules_parse(r, "fuzz", (const char *)data, size, &p);
    if (err && ap_err_code(err) != AP_ERR_USAGE) abort();
    ap_err_free(err);
    ap_rules_finish(r);
    for (size_t i = 1; i < r->count && i < 64; i++) (void)ap_rules_overlap(r->list[i], r->list[i - 1]);
    for (size_t i = 0; i < r->count && i < 4; i++) try_rule(r, r->list[i]);
    char why[400] = "";
    if (r->count < 4) // what is asked of a user's rules; it takes its time
        for (size_t i = 0; i < r->count; i++)
            if (!ap_rule_can_hold(r->list[i], r, why, sizeof why) && !*why) abort();
    ap_rule_problems_print(&p, &text);
    ap_buf_free(&text);
    ap_rule_problems_free(&p);
    ap_rules_free(r);
    return 0;
}
