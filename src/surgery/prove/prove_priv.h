// SPDX-License-Identifier: Apache-2.0
// What the parts of the proof harness share.
//
//   prove_choice.c   the stream of choices, values of tensors
//   prove_draw.c     an instance from a rule's pattern; prove_types.c its shapes and element types,
//                    prove_attr.c its attributes
//   prove_ops*.c     what each operator takes: shapes of operands, ranges of attributes
//   prove_facts.c    operands of which something is certain
//   prove_batch.c    many instances in one model, on the oracle
//   prove_compare.c  left against right, by the class
//   prove_judge.c    instances through all of that; prove_shrink.c smaller ones; prove.c the verdict
//   prove_trial.c    what can be said without an oracle; prove_open.c the rules of a run
#ifndef AP_SURGERY_PROVE_PRIV_H
#define AP_SURGERY_PROVE_PRIV_H

#include "surgery/match/match_priv.h"
#include "surgery/prove/prove.h"

// ---- choices: small numbers, the smaller the simpler. Recorded, so that an instance can be drawn again, or
// drawn simpler.
typedef struct choices {
    uint32_t *list;
    size_t count, cap, at;
    uint64_t state;  // of the generator for what lies behind `count`
    bool end_simple; // behind `count` everything is 0
} choices;
uint32_t choose(choices *c, uint32_t n);             // 0 .. n-1
bool chance(choices *c, uint32_t percent);           // false is the simple one
void choices_start(choices *c, uint64_t seed);       // empties it
void choices_copy(choices *to, const choices *from); // deep
void choices_cut(choices *c);                        // drops what was not read
void choices_free(choices *c);

// ---- values
typedef enum value_class {
    VALUES_ZEROS,
    VALUES_ONES,
    VALUES_INTS, // -4 .. 4
    VALUES_HALVES,
    VALUES_NORMAL,
    VALUES_TIES, // few different ones
    VALUES_ROWS, // equal along the last axis
    VALUES_ONE_HOT,
    VALUES_POWERS,
    VALUES_NEAR,  // next to whole numbers and halves
    VALUES_EXACT, // around the largest exactly counted number
    VALUES_WIDE,  // log-uniform over many decades
    VALUES_LARGE, // half the largest and above
    VALUES_DENORMAL,
    VALUES_SIGNED_ZEROS,
    VALUES_SPECIAL, // NaN and infinities among small numbers
    VALUES_MASK,    // -inf among small numbers, in half of them a whole row
    VALUES_CLASSES
} value_class;
const char *value_class_name(value_class c);
bool value_class_mild(value_class c);
typedef struct value_limits {
    double lo, hi;
    bool finite; // no NaN, no infinity
    bool integral, nonzero, distinct;
} value_limits;
// Deterministic in (class, seed).
void values_fill(ap_tensor *t, value_class c, uint32_t seed, const value_limits *limits);

// ---- instances
typedef struct feed {
    ap_value *v;
    ap_tensor t;
    double lo, hi; // the user's word for it; -inf, inf: none given
    bool assumed;
} feed;

// How far an instance came.
typedef enum prove_stage {
    STAGE_DRAWN,
    STAGE_ILLEGAL,
    STAGE_OUTSIDE,
    STAGE_REFUSED,
    STAGE_HELD,
    STAGE_DISPUTED,
    STAGE_FAILED
} prove_stage;
typedef enum prove_failure { FAIL_NONE, FAIL_VALUE, FAIL_NAN, FAIL_TYPE, FAIL_RUN, FAIL_LOOP } prove_failure;

typedef struct instance {
    ap_model *model; // left
    ap_arena arena;
    const char *prefix; // of all names
    ap_node *root;
    feed feeds[24];
    size_t feed_count;
    value_class values; // of its first data operand
    choices c;
    ap_map measured;  // name → ap_value_type *, of values whose type only the oracle could tell
    bool types_known; // every value's type was inferred
    bool sums;        // errors are measured against the sum of the absolute terms
    bool elementwise; // only elementwise operators: against the element itself
    // the answers
    ap_tensor *left; // outputs of the model
    size_t left_count;
    ap_tensor *second; // of the second oracle; NULL: not asked
    ap_tensor *scale;  // of the left side on absolute values; NULL
    ap_model *right;
    ap_tensor *now; // outputs of the right side
    ap_rule_class cls;
    prove_stage stage;
    prove_failure fail;
    bool crashed; // the operator has no answer for these numbers: a division by zero
    char *why;    // one line, in the arena
    json_t *element;
    double error; // in the class's unit
} instance;
void instance_free(instance *x); // NULL is fine

// What is wanted of a value, from the rule's conditions.
typedef enum need {
    NEED_NONNEG = 1 << 0,
    NEED_POS = 1 << 1,
    NEED_NONZERO = 1 << 2,
    NEED_INTEGRAL = 1 << 3,
    NEED_FINITE = 1 << 4,
    NEED_NOTNAN = 1 << 5,
    NEED_BOUNDS = 1 << 6,
    NEED_DISTINCT = 1 << 7,
    NEED_ROW_FINITE = 1 << 8,
    NEED_NEG_INF = 1 << 9,
    NEED_CONST = 1 << 10,
    NEED_UNUSED = 1 << 11,
} need;

// ---- drawing
typedef struct draw {
    const ap_rule *rule;
    const ap_prove_options *o;
    instance *x;
    choices *c;
    ap_match m; // for expressions; slots: what names stand for so far
    eval e;
    unsigned *needs;   // by slot, of conditions
    unsigned *hopes;   // by slot, of bindings and replacements
    unsigned *dropped; // by slot, of the condition that is skipped
    ap_map *illegal;   // "op dtype" the oracle has no kernel for
    int64_t opset;
    size_t names;
    bool failed;
    char why[160];
} draw;
bool give_up(draw *d, const char *fmt, ...) AP_PRINTF(2, 3); // false
const char *draw_name(draw *d, const char *stem);
const ap_rule_draw *draw_hint(const draw *d, int slot);
bool draw_type(const draw *d, const ap_value *v, ap_value_type *out);

// ---- prove_types.c
int64_t draw_dim(draw *d);
bool draw_fits(draw *d, const ap_value_type *t); // gives up on a value that is too large
// The type an arm of a pattern asks for: operand dims, drawn where free. Binds names.
bool draw_dims(draw *d, const ap_rule_type *t, size_t least, size_t most, ap_value_type *out);
// Binds the names of a type to a shape; gives up when they stand for something else.
bool bind_dims(draw *d, const ap_rule_type *t, const ap_value_type *have);

typedef enum role {
    ROLE_DATA,  // any values within lo .. hi
    ROLE_INDEX, // whole numbers lo .. hi
    ROLE_LIST   // exactly these numbers
} role;
typedef struct operand {
    bool wanted; // an absent one is not
    ap_value *v; // there already
    ap_dtype t;
    ap_value_type type;
    role role;
    double lo, hi;
    double list[32];
} operand;

enum { MOST_OPERANDS = 12 };
typedef struct op_draw {
    draw *d;
    const ap_rule_node *n;
    const ap_op_schema *s;
    const char *op;
    ap_dtype var[3]; // of T, U, V
    operand in[MOST_OPERANDS];
    size_t in_count;
    Onnx__AttributeProto *attrs[24];
    size_t attr_count;
    size_t out_count; // 0: as the pattern says
} op_draw;

// ---- prove_attr.c. Each returns what the attribute will be: what the pattern demands, else the default when
// the pattern does not speak of it, else `value`; and writes it.
int64_t attr_int(op_draw *q, const char *name, int64_t value);
double attr_real(op_draw *q, const char *name, double value);
const char *attr_text(op_draw *q, const char *name, const char *value);
// `list` comes in as a proposal of `count` numbers and goes out as what it is; false: given up.
bool attr_ints(op_draw *q, const char *name, int64_t *list, size_t *count, size_t rank);
bool attr_is_free(const op_draw *q, const char *name); // `value` would be taken

// ---- prove_ops.c
typedef struct op_domain {
    const char *ops;    // " A B "
    const char *dtypes; // of T: f floats, i int32 and int64, n all numbers, b bool, a all, 4 float32; U the
                        // same letters behind a comma
    bool (*fn)(op_draw *q);
    int least, most; // rank of the first operand
    bool sums;       // adds many numbers: errors are measured against the sum of the absolute ones
} op_domain;
const op_domain *op_domain_of(const char *domain, const char *op);
// prove_types.c: the element type of every operand.
void draw_operand_types(op_draw *q, const op_domain *o);
const op_domain *op_domain_extra(const char *key); // " OP "; prove_ops_extra.c
uint64_t op_dtypes(const op_domain *d, int var);   // mask
// Operand i with this shape; names of the pattern decide where the shape leaves it open (-1).
bool want(op_draw *q, size_t i, const int64_t *dims, size_t rank);
bool want_list(op_draw *q, size_t i, const int64_t *list, size_t count, bool scalar);
bool want_index(op_draw *q, size_t i, const int64_t *dims, size_t rank, int64_t lo, int64_t hi);
bool is_asked(const op_draw *q, size_t i);   // the pattern lets operand i be there; an optional one: chosen
const ap_value_type *first_type(op_draw *q); // of operand 0, which is drawn when it is not there yet
// prove_ops_*.c
bool op_elementwise(op_draw *q);
bool op_conv(op_draw *q);
bool op_pool(op_draw *q);
bool op_global(op_draw *q);
bool op_matmul(op_draw *q);
bool op_gemm(op_draw *q);
bool op_batchnorm(op_draw *q);
bool op_instancenorm(op_draw *q);
bool op_layernorm(op_draw *q);
bool op_groupnorm(op_draw *q);
bool op_pad(op_draw *q);
bool op_slice(op_draw *q);
bool op_concat(op_draw *q);
bool op_split(op_draw *q);
bool op_squeeze(op_draw *q);
bool op_reshape(op_draw *q);
bool op_transpose(op_draw *q);
bool op_expand(op_draw *q);
bool op_tile(op_draw *q);
bool op_gather(op_draw *q);
bool op_scatter(op_draw *q);
bool op_one_hot(op_draw *q);
bool op_depth(op_draw *q);
bool op_resize(op_draw *q);
bool op_einsum(op_draw *q);
bool op_bias(op_draw *q);
bool op_dropout(op_draw *q);
bool op_square(op_draw *q);
bool op_shift(op_draw *q);
bool op_matmul_integer(op_draw *q);
bool op_quantize(op_draw *q);
bool op_plain_first(op_draw *q);
bool op_skip_norm(op_draw *q);
bool op_attention(op_draw *q);
bool op_dft(op_draw *q);
bool op_grid_sample(op_draw *q);
bool op_affine_grid(op_draw *q);
bool op_roi_align(op_draw *q);
bool op_deform_conv(op_draw *q);
bool op_eye(op_draw *q);
bool op_compress(op_draw *q);
bool op_reverse(op_draw *q);

// ---- prove_facts.c
// Fills needs, hopes and dropped of d from the rule.
void collect_needs(draw *d);
// A value of this type for the operand: a graph input, a constant, or made by operators that establish what
// the rule needs of it. slot -1: nothing is needed.
ap_value *draw_value(draw *d, int slot, bool constant, const operand *want);

// ---- drawing and judging
// A fresh instance from the stream; *out stays NULL when it does not come together (d->why).
instance *instance_draw(const ap_rule *rule, const ap_prove_options *o, const choices *c, size_t serial,
                        ap_map *illegal, char *why, size_t why_size);
// Env for matching in a copy of the instance or in itself; facts made here belong to the caller.
ap_match_env instance_env(instance *x, ap_model *m, const ap_prove_options *o, ap_facts **facts);

typedef enum batch_side { SIDE_LEFT, SIDE_RIGHT, SIDE_ABS, SIDE_SECOND } batch_side;
// Runs one side of all instances that are still in the race; those that cannot be run get their stage. Error:
// the machinery's.
AP_MUST ap_err batch_run(instance **list, size_t count, batch_side side, const ap_piece_oracle *oracle,
                         ap_map *illegal);
// A copy of a model; its bytes live in the arena. `absolute`: without the signs of its float constants.
AP_MUST ap_err model_copy(const ap_model *m, ap_arena *a, bool absolute, ap_model **out);

// Is the right side what the class allows? Sets stage, fail, why, element, error.
typedef struct noise { // of the mild instances, over all of them
    double signal, error;
    size_t count;
} noise;
void compare_instance(const ap_rule *r, instance *x, noise *sum, double rms);
bool outputs_agree(const ap_tensor *a, const ap_tensor *b); // two oracles, roughly
double signal_rms(const ap_tensor *t, double *sum, size_t *count);

// Runs drawn instances through match, both sides and comparison.
typedef struct judge {
    const ap_rule *rule;
    const ap_prove_options *o;
    ap_map illegal;
    noise sum, mild; // of db classes; of the left sides of mild instances
    size_t *outside; // by step: how often it said no; the last one: the pattern
    size_t tries, serial;
    uint64_t state; // of the stream of seeds
    bool alone;     // one instance is looked at again: nothing is learned from it
    char why[320];  // the last reason an instance was not drawn
} judge;
void judge_open(judge *j, const ap_rule *r, const ap_prove_options *o);
void judge_close(judge *j);
// Draws until an instance may fit, mending what came nearest; NULL when it does not come to that.
instance *judge_propose(judge *j);
AP_MUST ap_err judge_all(judge *j, instance **list, size_t count);
// The right side of an instance; its stage says when there is none. Every eighth is looked at for loops.
AP_MUST ap_err judge_right(judge *j, instance *x, size_t serial);
const char *worst_condition(const judge *j); // the line that was not true most often; NULL: the pattern

// Cuts the stream of a failed instance down. *x is replaced by the smallest that fails the same way.
AP_MUST ap_err shrink(judge *j, instance **x);
json_t *instance_json(const instance *x, uint64_t seed);
AP_MUST ap_err instance_keep(const instance *x, const char *dir, const char *rule);
// SQNR of the right side with every value rounded to float16; NAN when there is nothing to measure.
AP_MUST ap_err measure_f16(judge *j, instance **list, size_t count, double *db);

#endif
