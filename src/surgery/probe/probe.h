// SPDX-License-Identifier: Apache-2.0
// probe: asks a backend about small pieces of a graph instead of trusting a list.
//
// A probe is one node (or a small pattern) with the real types, shapes, attributes and constants. It is
// compiled by the target, run twice on two sets of values, and compared with the oracle. Probes go out in
// batches: independent pieces in one graph, because a session costs more than a small node. A batch that
// crashes, hangs or fails is split until one probe is left, so a bad probe costs itself only.
//
// What it knows: pieces, values, verdicts, the cache. What it never does: change a model, start a vendor
// library in this process, decide what to do about a verdict.
#ifndef AP_SURGERY_PROBE_H
#define AP_SURGERY_PROBE_H

#include "base/json.h"
#include "graph/model.h"
#include "worker/worker.h"

// X(enum suffix, word, what it says)
#define AP_PROBE_VERDICTS(X)                                                                                 \
    X(UNASKED, "unasked", "not asked; the reason says why")                                                  \
    X(ACCEPTED, "accepted", "runs on the target and computes what the oracle computes")                      \
    X(REFUSED, "refused", "the target does not take it; the reason is its own words")                        \
    X(WRONG, "wrong", "the target takes it and computes something else")                                     \
    X(UNSTABLE, "unstable", "two runs on the same values differ")                                            \
    X(CRASHED, "crashed", "the vendor library died of it")                                                   \
    X(HUNG, "hung", "the vendor library did not answer in time")                                             \
    X(INVALID, "invalid", "the oracle cannot run it, so nothing can be said")

typedef enum ap_probe_verdict {
#define AP_PROBE_ENUM(name, word, text) AP_PROBE_##name,
    AP_PROBE_VERDICTS(AP_PROBE_ENUM)
#undef AP_PROBE_ENUM
        AP_PROBE_VERDICT_COUNT
} ap_probe_verdict;
const char *ap_probe_verdict_word(ap_probe_verdict v);
ap_probe_verdict ap_probe_verdict_from(const char *word); // UNASKED when unknown

// How numbers are made. Floats of the random kinds are representable in float16: an error is then the op's
// own.
typedef enum ap_probe_values_kind {
    AP_PROBE_VALUES_NORMAL,   // a: scale, b: added on the diagonal of the last two axes
    AP_PROBE_VALUES_UNIFORM,  // [a, b)
    AP_PROBE_VALUES_INTS,     // whole numbers in [a, b)
    AP_PROBE_VALUES_BOOL,     // fair coin
    AP_PROBE_VALUES_DISTINCT, // a permutation of count multiples of 1/8 (of smaller steps when float16 runs
                              // out)
    AP_PROBE_VALUES_LINES,    // whole numbers in [a, b) that differ along `axis`
    AP_PROBE_VALUES_COUNT,    // a, a+1, a+2 … wrapping within 8-bit types
    AP_PROBE_VALUES_FILL,     // a everywhere
    AP_PROBE_VALUES_LIST      // list, repeated when shorter
} ap_probe_values_kind;
typedef struct ap_probe_values {
    ap_probe_values_kind kind;
    double a, b;
    const double *list; // borrowed
    size_t count;
    size_t axis;
} ap_probe_values;

typedef struct ap_probe_input {
    const char *name;
    ap_value_type type;
    ap_probe_values values;
} ap_probe_input;

typedef struct ap_probe {
    const char *op, *domain; // of the first node; "PATTERN" for a pattern of the table
    const char *variant;     // in words; the node's name when it comes from a model
    Onnx__GraphProto *graph; // the piece: nodes, constants with raw data, inputs, outputs
    Onnx__GraphProto
        *reference; // what the oracle runs in its place: the same inputs and outputs; NULL: `graph`
    Onnx__OperatorSetIdProto **opsets;
    size_t opset_count;
    ap_probe_input *inputs;
    size_t input_count;
    bool random;           // its outputs are random: only their shape is compared
    bool alone;            // known to break others: gets a batch of its own
    uint64_t seed;         // of its numbers, besides what it is; 0: the table's own
    size_t place;          // of its variant in the table, counted from 1, and
    unsigned attempt;      // how its shapes were changed: of probes made by ap_probe_add_varied
    size_t bytes;          // of inputs and constants
    const char *signature; // canonical JSON
    char key[65];          // its SHA-256
    // The answer.
    ap_probe_verdict verdict;
    const char *reason;    // NULL when there is nothing to say
    const size_t *refused; // which of the graph's nodes the target left out, as far as it said; in the set's
    size_t refused_count;  // arena
    double error;          // worst: relative to max|ref| for floats, share of wrong elements for the rest
    bool folded;           // a constant: nothing of it reaches the target
    bool inexact;          // accepted with an error above the tolerance, but near it
    bool cached;
} ap_probe;

typedef struct ap_probe_set {
    ap_arena arena;
    ap_probe *list;
    size_t count, cap;
} ap_probe_set;
void ap_probe_set_release(ap_probe_set *s); // zeroed is fine

// Adds the probe of one node. `type_of` tells measured types (shapes, dtypes) of values; what is constant
// (initializer, Constant node) goes in with its data, which stays the model's. A node that cannot stand alone
// (bodies, unknown types, inputs that are no tensors) is added with verdict UNASKED and the reason. Error:
// what reading a constant says.
typedef bool (*ap_probe_type_fn)(void *user, const char *value, ap_value_type *out);
AP_MUST ap_err ap_probe_add_node(ap_probe_set *s, ap_model *m, const ap_node *n, ap_probe_type_fn type_of,
                                 void *user);
// Adds a piece of several nodes: the target gets `m`, the oracle `reference` (may be the same model), which
// has the same inputs and outputs. `facts` ({input: ap_fact_json, with "values": a draw of the table's form
// where one is wanted}; NULL: none) is what the drawn values obey. Both models must outlive the set. A piece
// that cannot be asked about is added with verdict UNASKED and the reason.
AP_MUST ap_err ap_probe_add_piece(ap_probe_set *s, ap_model *m, ap_model *reference, const json_t *facts,
                                  const char *label);
// Adds one variant in the form of data/probe_variants.json. Error CORRUPT naming the variant.
AP_MUST ap_err ap_probe_add_variant(ap_probe_set *s, const json_t *variant, int64_t default_opset);
// Adds the built-in table's variants of `op` (any case; NULL: all). *added counts them.
AP_MUST ap_err ap_probe_add_table(ap_probe_set *s, const char *op, size_t *added);
// The same with other numbers and, if wanted, other shapes, all drawn from the seed.
typedef struct ap_probe_variation {
    uint64_t seed;
    bool shapes;
} ap_probe_variation;
AP_MUST ap_err ap_probe_add_varied(ap_probe_set *s, const char *op, const ap_probe_variation *v,
                                   size_t *added);
// After a run: variants the oracle could not run get shapes that are nearer to the table's, and no verdict.
// *again: how many; none, when each of them stands as in the table.
AP_MUST ap_err ap_probe_vary_again(ap_probe_set *s, const ap_probe_variation *v, size_t *again);
// The nearest op of the table, for a hint; lives in `arena`; NULL when none is near.
const char *ap_probe_nearest_op(const char *word, ap_arena *arena);

// The values input `input` gets in value set `set`; an allocated tensor.
AP_MUST ap_err ap_probe_draw(const ap_probe *p, size_t input, size_t set, ap_tensor *out);

// ---- asking
typedef struct ap_probe_cache ap_probe_cache;
// Opens (makes) the database. A damaged one is thrown away and made anew; `warn` (may be NULL) is told.
AP_MUST ap_err ap_probe_cache_open(const char *path, const char *backend,
                                   void (*warn)(void *user, const char *text), void *user,
                                   ap_probe_cache **out);
void ap_probe_cache_close(ap_probe_cache *c); // NULL is fine
// Fills the answer when it is known. Microseconds. `arena` gets the reason.
bool ap_probe_cache_get(ap_probe_cache *c, ap_probe *p, ap_arena *arena);
// Keeps the answers of these probes in one transaction. UNASKED and HUNG are not kept: a hang may have been a
// busy machine's. Trouble with the database is a warning, never an error.
void ap_probe_cache_put(ap_probe_cache *c, ap_probe *const *list, size_t count);

typedef struct ap_probe_host {
    // Starts the worker of the oracle or of the target on processor `slot`. Called in the thread that uses
    // and stops it.
    ap_err (*start)(void *user, bool oracle, size_t slot, ap_worker **out);
    void (*progress)(void *user, size_t done, size_t total); // from any thread, one at a time; NULL
    // After a call of a worker that spent `us` in its library. From any thread; NULL: nobody keeps time.
    void (*spent)(void *user, bool oracle, uint64_t us);
    void *user;
    const char *scratch; // folder for tensors, ours alone
    size_t threads;      // pairs of workers; 0: 1
    size_t batch;        // most probes a graph; 0: the default
    double tolerance;    // 0: the default, 0.01 of max|ref|
} ap_probe_host;

typedef struct ap_probe_stats {
    size_t asked, cached, batches, restarts;
    double seconds;
} ap_probe_stats;

// Answers every probe that has no verdict yet. `cache` and `stats` may be NULL. Errors: a worker that cannot
// be started, disk errors; never what a backend does.
AP_MUST ap_err ap_probe_run(ap_probe_set *s, ap_probe_cache *cache, const ap_probe_host *host,
                            ap_probe_stats *stats);

// ---- showing
// The `probe` document (docs/documents.md) without its head: {summary, probes}.
json_t *ap_probe_document(const ap_probe_set *s, const ap_probe_stats *stats);
void ap_probe_csv(const json_t *document, ap_buf *out);
void ap_probe_html(const json_t *document, ap_buf *out);

#endif
