// SPDX-License-Identifier: Apache-2.0
// recording: reads what `aipc record` left behind and puts it together (docs/recordings.md).
//
// The folder was written by a program we do not trust, perhaps killed half way: every size is bounded, a file
// that is missing or of another shape takes its sample with it, a log line that is no event ends the log.
#ifndef AP_PLAN_RECORDING_H
#define AP_PLAN_RECORDING_H

#include "base/json.h"

#define AP_RECORDING_FORMAT 1
#define AP_RECORDING_DEPTH 48 // of an argument's description

// The document `recording.json`, made from run.json and what the processes wrote. Errors: RECORDING,
// NOT_FOUND.
AP_MUST ap_err ap_recording_read(const char *dir, json_t **document);

// True when `dir` looks like a recording (has a run.json of the right kind).
bool ap_recording_is(const char *dir);

// The chosen models, or the one named (its name, class or file); new reference to an array of models of the
// document. Error RECORDING naming what there is.
AP_MUST ap_err ap_recording_choose(const json_t *document, const char *name, json_t **models);

// One process folder: appends to `models` and `processes`, adds to `totals`. For ap_recording_read and the
// fuzz target.
AP_MUST ap_err ap_recording_log(const char *text, size_t bytes, const char *process, const uint8_t *counts,
                                size_t count_bytes, json_t *document);

// ---- shared by recording*.c
// Leaves of a call and of its answer as [{name, dtype, dims}]; `metas` are their [dtype, dims] in order,
// `params` the names of a module's positional parameters (NULL: a session, whose keys are the names). NULL
// when the two do not belong together. New references.
json_t *ap_recording_inputs(const json_t *spec, const json_t *metas, const json_t *params);
json_t *ap_recording_outputs(const json_t *spec, const json_t *metas, bool session);
// Names, shares, and what is chosen and why.
void ap_recording_judge(json_t *document);
// Looks at the files of all samples: drops what does not fit, marks constant inputs and repeated samples.
AP_MUST ap_err ap_recording_samples(const char *dir, json_t *document);

// Are these identities of the same model?
bool ap_recording_same(const json_t *a, const json_t *b);

#endif
