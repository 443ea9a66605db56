// SPDX-License-Identifier: Apache-2.0
// What the files of the rule parser share. Errors: the first one of a rule is kept in the parser, every
// function then returns false or NULL until the next rule starts.
#ifndef AP_SURGERY_RULE_PRIV_H
#define AP_SURGERY_RULE_PRIV_H

#include "surgery/rule/rule.h"

typedef enum token_kind { TOK_END, TOK_NAME, TOK_INT, TOK_REAL, TOK_TEXT, TOK_MARK } token_kind;
typedef struct token {
    token_kind kind;
    ap_pos pos;
    size_t from, to;  // bytes of the source
    const char *text; // NAME, TEXT (without quotes), MARK
    int64_t i;
    double f;
} token;

// What a name of a rule stands for.
typedef enum name_kind {
    NAME_VALUE, // of the graph: operand or output in the match
    NAME_DIM,
    NAME_DIMS,
    NAME_DTYPE,
    NAME_ATTR,
    NAME_ATTRS, // *r
    NAME_REST,  // ...s
    NAME_OP,
    NAME_LET,
    NAME_VAR, // of a comprehension
    NAME_MADE // output of a replacement node
} name_kind;

typedef struct rule_name {
    const char *name;
    name_kind kind;
    ap_pos pos;
    bool used, out_of_scope;
    bool has_node; // made by node/output of the list being read
    size_t node, output;
} rule_name;

// A set of element types or of operators.
typedef struct rule_alias {
    uint64_t dtypes;
    const char **ops;
    size_t op_count;
} rule_alias;

// A list of nodes being read; nested calls come before the node they feed.
typedef struct node_list {
    ap_rule_node *nodes;
    size_t count, cap;
    bool replacing;
} node_list;

typedef struct parser {
    ap_rules *lib;
    ap_arena *a; // the library's
    const char *file, *src;
    token *toks;
    size_t count, at;
    // `for` choices in force
    struct choice {
        const char *name;
        token value;
    } choices[8];
    size_t choice_count;
    token replaced;
    ap_rule *rule;
    rule_name names[AP_RULE_MAX_NAMES];
    size_t name_count;
    int depth;
    bool failed;
    ap_pos error_pos;
    char error[400];
} parser;

// ---- rule_lex.c
// Splits the source; the list ends with TOK_END. False with p->error set.
bool lex_source(parser *p, size_t len);
const token *peek(parser *p);            // `for` names replaced
const token *ahead(parser *p, size_t n); // raw
void advance(parser *p);
bool is_mark(parser *p, const char *mark);
bool take_mark(parser *p, const char *mark); // consumes when there
bool want_mark(parser *p, const char *mark); // else an error "expected ..., found ..."
bool is_word(parser *p, const char *word);
const char *want_name(parser *p, const char *what);
bool fail_at(parser *p, ap_pos pos, const char *fmt, ...) AP_PRINTF(3, 4); // false
bool fail_here(parser *p, const char *expected);                           // "expected X, found Y"; false
bool enter(parser *p); // one level deeper; error when too deep
static inline void leave(parser *p) {
    p->depth--;
}

// ---- rule_expr.c
ap_expr *parse_expr(parser *p);
ap_expr *new_expr(parser *p, ap_expr_kind kind, ap_pos pos);
// Slot of a name in scope, or -1. Marks it as used.
int find_name(parser *p, const char *name);
// A fresh name; -1 with an error when it is taken or there are too many. A comprehension's variable may be
// used again once it is out of scope.
int add_name(parser *p, const char *name, name_kind kind, ap_pos pos);
uint64_t dtype_mask(const parser *p, const char *name); // 0: no dtype or alias of such
const char *nearest_name(parser *p, const char *name);

// ---- rule_node.c
// One call into the list; nested calls first. Its index goes to *index.
bool parse_call(parser *p, node_list *l, size_t *index);
bool parse_block(parser *p, node_list *l); // { node; node; ... }
bool starts_call(parser *p);
node_list new_nodes(parser *p, bool replacing);

// ---- rule_clause.c
bool parse_clause(parser *p, ap_rule *r); // the next one, into the rule

// ---- rule_check.c
bool check_rule(parser *p, ap_rule *r);

// ---- match/expr_call.c, which has the table of them
// Number of arguments a built-in takes; false when there is none of this name.
bool ap_builtin_arity(const char *name, size_t *min, size_t *max);
const char *ap_builtin_nearest(const char *name);

#endif
