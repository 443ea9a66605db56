// SPDX-License-Identifier: Apache-2.0
// counts: what was served, written when it happens, for `aipc exec` (docs/recordings.md, "Serving"). Does
// nothing without $AIPC_HOOK_DIR.
#ifndef DROPIN_COUNTS_H
#define DROPIN_COUNTS_H

// A call of `model`: served by `artifact`, or not (NULL) and why.
void counts_add(const char *model, const char *artifact, const char *why);

#endif
