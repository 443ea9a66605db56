// SPDX-License-Identifier: Apache-2.0
// match: finds where rules fit a graph. A match is a rule, a root node and what every name of the rule stands
// for there.
//
// What it never does: change the graph (apply.h), look at golden values, guess: an expression whose value is
// not known makes the rule not fit.
#ifndef AP_SURGERY_MATCH_H
#define AP_SURGERY_MATCH_H

#include "surgery/facts/facts.h"
#include "surgery/oracle/oracle.h"
#include "surgery/rule/rule.h"

// Everything a match is judged by. Zero entries: nothing known.
typedef struct ap_match_env {
    ap_model *model;
    const ap_rules *rules;
    ap_type_source types;
    ap_facts *facts;               // NULL: nothing known
    ap_dtype compute;              // what the target computes float32 in; NONE: float32
    const ap_piece_oracle *oracle; // NULL: rules that need it do not fit
    const ap_rule_step *skip;      // mutation test: this condition counts as true; NULL
} ap_match_env;

// ---- values of names and expressions

typedef enum ap_val_kind {
    AP_VAL_UNKNOWN, // not known here
    AP_VAL_ABSENT,  // an optional operand or output that is not there
    AP_VAL_BOOL,
    AP_VAL_INT,
    AP_VAL_REAL,
    AP_VAL_TEXT,
    AP_VAL_DTYPE,
    AP_VAL_LIST,
    AP_VAL_VALUE,  // a value of the graph
    AP_VAL_TENSOR, // a constant that is no value of the graph (yet)
    AP_VAL_ATTRS   // what "*r" took
} ap_val_kind;

typedef struct ap_val {
    ap_val_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        const char *s;
        ap_dtype t;
        struct {
            const struct ap_val *items;
            size_t count;
        } list;
        ap_value *value;
        const ap_tensor *tensor;
        struct {
            Onnx__AttributeProto *const *items;
            size_t count;
        } attrs;
    };
} ap_val;
// "[1, 2]", "f32", "value \"x\" float32 1x3" ...
void ap_val_print(const ap_val *v, ap_buf *out);

// ---- matching

typedef struct ap_match {
    ap_arena arena; // of everything below
    const ap_rule *rule;
    ap_match_env env;
    ap_node *root;
    ap_node **nodes;   // by index in rule->match
    ap_val *slots;     // by slot; let-bound names included
    ap_rule_class cls; // the class that applies here
} ap_match;

// Why a rule does not fit: the deepest point reached. Text is made only when asked for.
typedef struct ap_match_miss {
    size_t depth; // pattern tests passed; larger is nearer
    ap_pos pos;   // in the rule's file
    char text[320];
} ap_match_miss;

// Does the rule fit with this node as its root? *out is NULL when not; then `miss` (may be NULL) says why.
// Errors are those of the oracle and of a broken model only.
AP_MUST ap_err ap_rule_match(const ap_rule *r, const ap_match_env *env, ap_node *root, ap_match **out,
                             ap_match_miss *miss);
void ap_match_free(ap_match *m); // NULL is fine

// All rules against all nodes of the main graph, in node order, then in order of the library. `each` owns the
// match; it must not edit the graph. An error stops the scan.
AP_MUST ap_err ap_rules_scan(const ap_match_env *env, ap_err (*each)(void *user, ap_match *m), void *user);

// ---- types of new values
// Element type and, where it can be told, shape of each output of a node from its operands' types (constants
// are read for Reshape and the like). Entries whose dtype is NONE or whose rank is SIZE_MAX are not known.
void ap_infer_node(const ap_match_env *env, const ap_node *n, ap_value_type *out);

#endif
