// SPDX-License-Identifier: Apache-2.0
// outside: where a model lies while it is operated on. Every pass packs the model, reads it anew and sends it
// to the oracle; a large one has its weights moved into a file first, which all of these share and nobody
// copies.
#ifndef AP_PLAN_OUTSIDE_H
#define AP_PLAN_OUTSIDE_H

#include "graph/model.h"
#include "plan/work/context.h"

#define AP_OUTSIDE_BYTES ((size_t)256 << 20)

// A fresh folder to work in, which the caller removes. A model with more bytes of weights than the limit is
// written there with its weights beside it and takes the place of *m, as does one whose weights lie outside
// anyhow; on the disk, where the store keeps its work, else in the scratch folder. *embed: its weights were
// inside, and belong there when it is saved.
AP_MUST ap_err ap_table_folder(aipc_context *c, ap_model **m, ap_arena *a, char **dir, bool *embed);

#endif
