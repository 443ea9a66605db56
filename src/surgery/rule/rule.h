// SPDX-License-Identifier: Apache-2.0
// rule: the rule language. Reads *.rule files into a library of checked rules; the grammar and its meaning
// stand in docs/rules.md.
//
// What it knows: text, operators (rule_ops.h) and what makes a rule well-formed. What it never does: look at
// a model (match.h), run anything, decide whether a rule is true (the proof does that).
//
// Everything below lives in the library's arena and is read-only once loaded: many threads may use one
// library. Files are hostile: sizes, nesting and counts are bounded (AP_RULE_MAX_*).
#ifndef AP_SURGERY_RULE_H
#define AP_SURGERY_RULE_H

#include "base/hash.h"
#include "base/map.h"
#include "surgery/rule/rule_ops.h"
#include "tensor/tensor.h"

enum {
    AP_RULE_MAX_BYTES = 1 << 20, // of one file
    AP_RULE_MAX_DEPTH = 48,      // of nested calls and expressions
    AP_RULE_MAX_NODES = 64,      // in one match or replace block
    AP_RULE_MAX_NAMES = 96,      // of one rule
    AP_RULE_MAX_COPIES = 256,    // made by the `for` clauses of one rule
    AP_RULE_MAX_RULES = 4096,
};

typedef struct ap_pos {
    uint32_t line, col; // from 1; col counts bytes
} ap_pos;

typedef struct ap_expr ap_expr;
typedef struct ap_rule ap_rule;

// ---- expressions

typedef enum ap_expr_kind {
    AP_EXPR_INT,    // i
    AP_EXPR_REAL,   // f; "inf" too
    AP_EXPR_TEXT,   // text
    AP_EXPR_BOOL,   // i
    AP_EXPR_NAME,   // text; slot when bound by the rule, else -1 and it is a dtype or `compute`
    AP_EXPR_LIST,   // args
    AP_EXPR_EACH,   // [args[0] for text in args[1] .. args[2]], both ends included
    AP_EXPR_INDEX,  // args[0][args[1]]
    AP_EXPR_SLICE,  // args[0][args[1] : args[2]], either bound NULL
    AP_EXPR_CALL,   // text(args...), a built-in
    AP_EXPR_UNARY,  // op args[0]
    AP_EXPR_BINARY, // args[0] op args[1]
    AP_EXPR_COND,   // args[0] ? args[1] : args[2]
    AP_EXPR_TENSOR, // tensor dtype [dims...](names...): body; args = dims, then body; dtype in args0
    AP_EXPR_EVAL    // `eval` call: nodes
} ap_expr_kind;

typedef enum ap_expr_op {
    AP_OP_OR,
    AP_OP_AND,
    AP_OP_NOT,
    AP_OP_EQ,
    AP_OP_NE,
    AP_OP_LT,
    AP_OP_LE,
    AP_OP_GT,
    AP_OP_GE,
    AP_OP_IN,
    AP_OP_ADD,
    AP_OP_SUB,
    AP_OP_MUL,
    AP_OP_DIV,
    AP_OP_MOD,
    AP_OP_NEG
} ap_expr_op;

struct ap_expr {
    ap_expr_kind kind;
    ap_pos pos;
    const char *text;
    int slot; // NAME; EACH: the variable
    ap_expr_op op;
    int64_t i;
    double f;
    ap_expr **args;
    size_t count;
    int *slots;                // TENSOR: the index variables, -1 for "_"
    ap_expr *dtype;            // TENSOR: an expression of kind NAME
    struct ap_rule_node *body; // EVAL: nodes, the last one is the result
    size_t body_count;
};

// ---- patterns and replacements: flat lists of nodes, makers first

typedef enum ap_dim_kind { AP_DIM_ANY, AP_DIM_SIZE, AP_DIM_NAME, AP_DIM_REST } ap_dim_kind;
typedef struct ap_rule_dim {
    ap_dim_kind kind;
    int64_t size; // SIZE
    int slot;     // NAME; REST: the list of dims it stands for, -1 when nameless
} ap_rule_dim;

typedef struct ap_rule_type {
    bool given, is_const, has_dims;
    uint64_t dtypes; // bit 1 << ap_dtype; 0: any
    int dtype_slot;  // a name bound to the dtype, -1
    ap_rule_dim *dims;
    size_t dim_count;
} ap_rule_type;

typedef enum ap_arg_kind {
    AP_ARG_VALUE,  // a name: slot
    AP_ARG_NODE,   // output `output` of node `node` of the same list
    AP_ARG_ANY,    // "_": anything (optional: also absent)
    AP_ARG_ABSENT, // "-"
    AP_ARG_EXPR,   // match: a constant all of whose elements equal it; replace: a constant made of it
    AP_ARG_REST,   // "...s": all remaining inputs, slot (-1 when nameless)
    AP_ARG_EACH    // replace: one input for each value of a variable
} ap_arg_kind;

typedef struct ap_rule_arg {
    ap_arg_kind kind;
    ap_pos pos;
    int slot; // VALUE, REST; EACH: the variable
    size_t node, output;
    bool optional; // "x?"
    ap_expr *expr; // EXPR
    ap_rule_type type;
    ap_expr *from, *to;        // EACH
    struct ap_rule_node *body; // EACH: nodes of one item, the last one is the item; NODE args index into it
    size_t body_count;
} ap_rule_arg;

typedef struct ap_rule_attr {
    const char *name;
    ap_pos pos;
    int slot;      // match: a fresh name that takes the value; -1 otherwise
    bool any;      // match: "_", whatever it is
    ap_expr *expr; // match: must equal it; replace: the value
} ap_rule_attr;

typedef struct ap_rule_out {
    const char *name; // NULL: "_" or a nested call's
    int slot;         // -1 for those
    bool optional;
    ap_rule_type type;
    ap_pos pos;
} ap_rule_out;

typedef struct ap_rule_node {
    ap_pos pos;
    const char *domain; // "" for ai.onnx
    const char **ops;   // alternatives; one in replace
    size_t op_count;
    int as_slot;       // match: takes the operator's name. replace: its name is the value of this slot. -1
    bool ordered;      // "!": operands in this order only
    bool keep;         // inner value may have other users
    int64_t since, to; // opset range it applies to; 0 and INT64_MAX
    ap_rule_arg *args;
    size_t arg_count;
    ap_rule_attr *attrs;
    size_t attr_count;
    bool rest;     // "*r" was given
    int rest_slot; // match: takes all attributes not listed; replace: forwards them. -1
    ap_rule_out *outs;
    size_t out_count;
} ap_rule_node;

// ---- rules

typedef enum ap_class_kind { AP_CLASS_EXACT, AP_CLASS_BITS, AP_CLASS_ULP, AP_CLASS_DB } ap_class_kind;
typedef struct ap_rule_class {
    ap_class_kind kind;
    int64_t amount; // ULP, DB
    bool refines;   // where the left side is NaN the right side is free
    bool finite;    // nothing is said of operands or results that are NaN or infinite
    ap_expr *cond;  // NULL: always
} ap_rule_class;

// `let`, `where` and `when` in the order written: a binding has a slot, a condition has -1.
typedef struct ap_rule_step {
    int slot;
    bool worth; // of `when`: a matter of size or use, not of truth
    ap_expr *expr;
    ap_pos pos;
    const char *text; // the source of the expression, for messages and the mutation test
} ap_rule_step;

typedef struct ap_rule_draw { // a hint for the proof's instances
    int slot;
    ap_expr *from, *to; // `in from .. to`
    int like;           // `from NAME`: slot of the other value, -1
    bool dominant;      // matrices of which the inverse is well conditioned
    bool normal;        // nothing but normally distributed numbers: no ties
    bool everyday;      // neither denormal nor beside whole numbers nor of many decades
    ap_pos pos;
} ap_rule_draw;

struct ap_rule {
    const char *name;   // with the choices of its `for` clauses: "trilu_where[U=1]"
    const char *family; // without them
    const char *file;   // as given to load
    ap_pos pos;
    const char *doc;  // "" when absent
    const char *text; // the source, first to last character
    ap_digest hash;   // of `text` and the choices
    ap_rule_class *classes;
    size_t class_count; // at least 1; the first whose condition holds counts
    const char **helps;
    size_t help_count;
    ap_rule_node *match;
    size_t match_count;
    size_t root; // index in match; the last node
    ap_rule_step *steps;
    size_t step_count;
    ap_rule_node *replace; // NULL for native rules
    size_t replace_count;
    // For each output of the root: which replacement output takes its place. node = SIZE_MAX: a value named
    // in the match (`y = x`), slot in `output`. An optional output the rule demands unused has none (node and
    // output SIZE_MAX).
    struct ap_rule_result {
        size_t node, output;
    } * results;
    const char *native; // NULL for declarative rules
    ap_rule_draw *draws;
    size_t draw_count;
    const char **examples;
    size_t example_count;
    const char **slots; // names by slot
    size_t slot_count;
    size_t index; // in its library
};

typedef struct ap_rules {
    ap_arena arena;
    ap_op_table *ops; // owned
    ap_rule **list;   // in order of loading
    size_t count, cap;
    ap_map by_name;
    ap_map families; // name → first rule
    ap_map aliases;
    ap_map by_op;   // "domain::Op" → struct ap_rule_bucket *, rules whose root may be this op
    ap_digest hash; // of all rules' hashes in order; set by ap_rules_finish
} ap_rules;

typedef struct ap_rule_bucket {
    ap_rule **rules;
    size_t count, cap;
} ap_rule_bucket;

// A problem of a rule file. Severity: an error refuses the rule, a warning does not.
typedef struct ap_rule_problem {
    bool warning;
    const char *rule; // "" when outside of one
    const char *file;
    ap_pos pos;
    const char *message; // "expected X, found Y; did you mean Z?", one line
} ap_rule_problem;
typedef struct ap_rule_problems {
    ap_arena arena;
    ap_rule_problem *items;
    size_t count, cap, errors;
} ap_rule_problems;
// `message` lives in the arena of `p`.
void ap_rule_problem_add(ap_rule_problems *p, const ap_rule *r, bool warning, const char *message);
void ap_rule_problems_free(ap_rule_problems *p);
// "file:line:col: error: rule NAME: message\n" for each.
void ap_rule_problems_print(const ap_rule_problems *p, ap_buf *out);

ap_rules *ap_rules_new(void);
void ap_rules_free(ap_rules *r); // NULL is fine
// Reads rules from text; `file` names it in messages. Of each faulty rule the first problem is noted and the
// rule left out; the others are added. Only what is no rule file at all (too big, NUL bytes) is an ap_err
// (USAGE). `problems` must not be NULL.
AP_MUST ap_err ap_rules_parse(ap_rules *r, const char *file, const char *text, size_t len,
                              ap_rule_problems *problems);
// A file, or all *.rule files of a folder in the order of their names. Error NOT_FOUND, IO, USAGE.
AP_MUST ap_err ap_rules_load(ap_rules *r, const char *path, ap_rule_problems *problems);
// The rules compiled into the program.
AP_MUST ap_err ap_rules_load_builtin(ap_rules *r, ap_rule_problems *problems);
// Index and library hash; call once after the last load. ap_rules_parse after it needs another call.
void ap_rules_finish(ap_rules *r);

const ap_rule *ap_rules_find(const ap_rules *r, const char *name); // NULL when absent
// Rules whose root may be this operator ("" for ai.onnx). Borrowed.
const ap_rule *const *ap_rules_for(const ap_rules *r, const char *domain, const char *op, size_t *count);
ap_dtype ap_rule_dtype(const char *name); // "f32" as rules write it; NONE when it is none
// Slot of a name of the rule; -1 when it has none.
int ap_rule_slot(const ap_rule *r, const char *name);
// "exact", "ulp 4 refines", ... of the first class.
void ap_rule_class_print(const ap_rule_class *c, ap_buf *out);

#endif
