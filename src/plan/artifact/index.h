// SPDX-License-Identifier: Apache-2.0
// index: what a folder with several deployments holds, one a model and signature or one a shape
// (docs/recordings.md).
#ifndef AP_PLAN_INDEX_H
#define AP_PLAN_INDEX_H

#include "base/json.h"
#include "plan/work/context.h"

#define AP_INDEX "index.json"

// The index of `dir`; *out is NULL when there is none. Error CORRUPT for one this aipc does not read.
AP_MUST ap_err ap_index_load(const char *dir, json_t **out);
// Has `dir` an index of aipc's, of whatever format? A program's folder may hold an index.json of its own.
bool ap_index_is_ours(const char *dir);
// Stays a folder that an index names inside the index's own?
bool ap_index_inside(const char *below);
// Writes the index of what was deployed with `o`. `recording`: the folder it came from; NULL: from none.
// `time`: what all of it took; NULL: not known.
AP_MUST ap_err ap_index_write(const char *dir, const aipc_deploy_options *o, const char *recording,
                              json_t *models, json_t *time, json_t **out);

// The options it was deployed with, targets, tasks and output folder included, as far as they shape the
// artifacts. Texts live in `a`; `index` and `dir` are outlived.
void ap_index_options(const json_t *index, const char *dir, ap_arena *a, aipc_deploy_options *out);

#endif
