// SPDX-License-Identifier: Apache-2.0
// What the files of the public interface share.
#ifndef AP_API_API_PRIV_H
#define AP_API_API_PRIV_H

#include "aipc/aipc.h"
#include "base/json.h"

// The caller's options, whose first field is their size: those of a program built against an older header are
// shorter than ours, those of a newer one longer. Takes what both have; the rest is zero. `given` may be
// NULL. `full` is whole from here on, its size ours.
void api_take(void *full, size_t size, const void *given);
// A document leaves as text: *out is NULL when there is none. `out` may be NULL. Takes the reference.
void api_give(json_t *document, char **out);

#endif
