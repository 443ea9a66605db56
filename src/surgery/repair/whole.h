// SPDX-License-Identifier: Apache-2.0
// whole: a model as a whole: what the target says of it, who is asked, and what it became. Repair, sharpening
// and tuning share it.
#ifndef AP_SURGERY_WHOLE_H
#define AP_SURGERY_WHOLE_H

#include "base/json.h"
#include "surgery/facts/facts.h"

// What the whole model does on the target. Nodes that may stay on the CPU (allow_cpu) stand in `refused` of a
// model that was built all the same.
typedef struct ap_whole {
    bool built, passed; // gates were run and passed
    json_t *refused;    // [{node, op, reason}]; NULL: none
    // [{node, op, reason, values}] the first node whose numbers are off, when a gate failed; NULL. values:
    // {tensor: draw of the form of probe.h} on which they are, as far as known.
    json_t *wrong;
    json_t *gates; // what was measured: gates of golden/gates.h; NULL when not built
    json_t *cost;  // {estimate_ms | measured_ms, nodes}; NULL when not built
    char *error;   // why it could not be built when no node is to blame; NULL
} ap_whole;
void ap_whole_release(ap_whole *w);
// How many of its gates fail; *worst_db: the lowest SQNR of its outputs, infinite when there is none.
size_t ap_whole_failed_gates(const ap_whole *w, double *worst_db);
double ap_whole_cost(const ap_whole *w); // ms, measured where it was, else estimated; NaN: not known

// Who is asked about whole models.
typedef struct ap_whole_asker {
    // Measured types of all values of this model; called after every change. The source lives until the next
    // call.
    ap_err (*types)(void *user, ap_model *m, ap_type_source *out);
    // Builds the model on the target, runs it on the golden inputs, judges it.
    ap_err (*judge)(void *user, ap_model *m, ap_whole *out);
    void (*progress)(void *user, const char *text); // NULL: none
    void *user;
} ap_whole_asker;
void ap_whole_say(const ap_whole_asker *a, const char *fmt, ...) AP_PRINTF(2, 3); // to `progress`

// What became of a model.
typedef struct ap_rewritten {
    ap_model *model; // NULL when nothing was kept
    ap_buf bytes;    // what the model was read from
    ap_whole whole;  // what the target says of it
    json_t *steps;   // of kind "rule", for plan.json
} ap_rewritten;
void ap_rewritten_release(ap_rewritten *r);

#endif
