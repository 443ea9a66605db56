// SPDX-License-Identifier: Apache-2.0
// prove: tests a rule on random instances of its own pattern and precondition, and tests the test.
//
// An instance is a small graph the rule's pattern describes: operators, element types, ranks, dims,
// attributes, constants and values drawn from a stream of small numbers (smaller is simpler, so cutting the
// stream shrinks the instance). The left side is the instance, the right side the same instance with the rule
// applied; both run on the oracle and are compared by the rule's class. A rule is proven when every judged
// instance holds, at least AP_PROVE_INSTANCES of them, each kind of value and each `for` arm among them.
//
// Mutation: with one `where` line taken away the harness must find a counterexample; a line it does not kill
// is dead, or the values are too tame.
//
// What it never does: see a golden run (a rule right only on some model's input fails here), count a disputed
// instance as held, use a rule that is not proven.
#ifndef AP_SURGERY_PROVE_H
#define AP_SURGERY_PROVE_H

#include "base/json.h"
#include "surgery/apply/apply.h"

#define AP_PROVE_VERSION 3 // raised when the harness judges differently; part of every proof's key
#define AP_PROVE_INSTANCES 200

typedef struct ap_prove_options {
    const ap_rules *rules;
    const ap_piece_oracle *oracle;
    // A second opinion on every tenth instance; NULL: none. Instances on which the two differ are disputed.
    const ap_piece_oracle *second;
    ap_dtype compute; // what `compute` means in the rules; NONE: float32
    size_t instances; // 0: AP_PROVE_INSTANCES
    uint64_t seed;
    const ap_rule_step *skip; // mutation: this condition is taken as true
    const char *keep;         // folder that gets the shrunk counterexample as model.onnx, *.npy; NULL
} ap_prove_options;

typedef enum ap_proof_verdict {
    AP_PROOF_HOLDS,
    AP_PROOF_FAILS, // a counterexample
    AP_PROOF_NEVER, // no instance satisfies the precondition; `reason` names the condition that failed most
    AP_PROOF_TYPE,  // the replacement changes a dtype or shape, or cannot be built or run
    AP_PROOF_LOOPS, // applying the rules again and again does not end
    AP_PROOF_UNDECIDED, // too many disputed instances
} ap_proof_verdict;
const char *ap_proof_word(ap_proof_verdict v); // "holds", "fails", ...

typedef struct ap_proof {
    ap_proof_verdict verdict;
    size_t instances, disputed, rejected; // judged; set aside; drawn but outside of the precondition
    double worst;  // in the class's unit: ulp; dB of the worst output for db; 0 for exact
    double db_f16; // dB of the right side computed in float16; NAN when not measured
    uint64_t seed;
    char *reason; // one line, NULL when it holds
    json_t
        *counter; // the shrunk counterexample: {seed, dims, attributes, element, left, right, inputs}; NULL
} ap_proof;
void ap_proof_release(ap_proof *p);

// Errors: those of the oracle's own machinery (worker cannot start, disk); never what a rule does.
AP_MUST ap_err ap_prove(const ap_rule *r, const ap_prove_options *o, ap_proof *out);

// Can the rule hold at all? Asked when a user's rule is loaded, without an oracle: it fits an instance of its
// own pattern, keeps the types there, and ends. False: `why` says what is wrong, in one line. What only an
// oracle can tell is left to the proof.
bool ap_rule_can_hold(const ap_rule *r, const ap_rules *rules, char *why, size_t size);

// One mutant for each where line. killed: a counterexample was found without it.
typedef struct ap_mutant {
    const ap_rule_step *line;
    bool killed;
    // Not killed, and without it the left side has no answer: the oracle crashes, or divides by zero. It
    // claims nothing then and belongs to `when`.
    bool undefined;
    size_t instances; // until the counterexample
} ap_mutant;
AP_MUST ap_err ap_prove_mutants(const ap_rule *r, const ap_prove_options *o, ap_mutant **out, size_t *count);

// {rule, hash, class, verdict, instances, disputed, worst, db_f16, seed, harness, oracle, reason?, counter?}
json_t *ap_proof_json(const ap_rule *r, const ap_proof *p, const char *oracle);

#endif
