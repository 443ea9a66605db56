// SPDX-License-Identifier: Apache-2.0
// surgery: the stage that makes a model fit: passes, then, for a target, repair. `aipc surgery` and
// `aipc deploy` both work through here.
//
// Its result is kept in the store under the hash of all that went in: model, shapes, fixed inputs, passes
// with their versions, and for a target its name, libraries, rules, gates and golden inputs.
//
// What it never does: change the model it is given, ship anything by itself.
#ifndef AP_PLAN_SURGERY_H
#define AP_PLAN_SURGERY_H

#include "device/runtime.h"
#include "plan/surgery/whole.h"
#include "plan/work/store.h"
#include "surgery/pass/clean.h"

typedef struct ap_surgery_stage {
    aipc_context *ctx;
    const ap_model *model; // shapes set
    const char *digest;    // of the file
    const char *file;      // its name, for the plan
    const json_t *shapes;  // {input: dims}
    const json_t *params;  // ap_pass_context.params
    const json_t *inputs;  // hashes of what the oracle is fed with
    const char *const *skip;
    size_t skip_count;
    const ap_surgery_oracle *oracle;
    const ap_runtime *ort, *qnn; // qnn: NULL without a target
    const char *scratch;
    ap_whole_host *host;  // NULL: passes only
    bool embed;           // weights that lie outside go into the one file of the result
    bool tune;            // with a target: also rewrite for speed
    bool sharpen;         // with a target: make it as exact as can be, also when the gates pass
    const json_t *before; // what is known of the model as given, for the record; NULL: the target is asked
    const char *rules;    // folder of the user's rules; NULL: `rules` here, if there is one
    size_t threads;       // workers that probe; 0: one for each processor
    // Of a blurred model that sharpening did not mend: is no node to blame? Then none is looked for. NULL:
    // one may be.
    bool (*blameless)(void *user);
    void *user;
    // What repair, sharpening and tuning may spend each; 0: surgery/repair/budget.h.
    unsigned builds, time_s, piece_time_s;
} ap_surgery_stage;

// The key of the result. Error: the user's rules cannot be read.
AP_MUST ap_err ap_surgery_key(const ap_surgery_stage *s, char key[65]);
// Does the work. *record: {stage: "surgery", plan, repairs, passed, changed, vendor_s}; `repairs` is null
// without a target, else the report of ap_repair and {passes, before, cleaned, after, changes, cleaning,
// sharpening: [stats of ap_sharpened], tuning: report of ap_tuned | null}. Files in
// `dir`: model.onnx and its weights; pieces nothing was found for as left-N.onnx.
AP_MUST ap_err ap_surgery_make(const ap_surgery_stage *s, const char *dir, json_t **record);
// The same through the store; `fresh`: not what is there. *dir lives in `a`.
AP_MUST ap_err ap_surgery_stored(const ap_surgery_stage *s, const ap_store *store, bool fresh, ap_arena *a,
                                 char **dir, json_t **record);

// Did a budget end the work? The next time more is known, so such a result is not taken from the store.
bool ap_surgery_cut_short(const json_t *record);
// Which one, as a note to the error that this led to (may be NULL).
ap_err ap_surgery_note(const json_t *repairs, ap_err err);

// {built, passed, refused, wrong, gates, cost, error}; null where there is nothing.
json_t *ap_whole_json(const ap_whole *w);

// ---- values the user fixes (--fix INPUT=VALUE)
// Adds them to `fixed` in the form of freeze.h. Errors: INPUT_NAME, INPUT_DTYPE, USAGE.
AP_MUST ap_err ap_fixed_read(const ap_model *m, const char *const *args, size_t count, json_t *fixed);
// The user's INPUT=FILE arguments and one for each fixed input, whose value is written into `dir`. The list
// and its texts live in `a`.
AP_MUST ap_err ap_fixed_inputs(const json_t *fixed, const char *dir, const char *const *inputs, size_t count,
                               ap_arena *a, const char *const **out, size_t *out_count);
// INPUT=FILE arguments for inputs of whole numbers that are not fixed: zeros, which index anything. For runs
// that only tell types and constants: random numbers may lie outside of what is indexed by them.
AP_MUST ap_err ap_zero_inputs(const ap_model *m, const json_t *fixed, const char *dir, ap_arena *a,
                              const char *const **out, size_t *out_count);

#endif
