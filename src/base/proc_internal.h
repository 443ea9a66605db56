// SPDX-License-Identifier: Apache-2.0
// Between proc.c and proc_start.c. Not for other rooms.
#ifndef AP_BASE_PROC_INTERNAL_H
#define AP_BASE_PROC_INTERNAL_H

#include "base/proc.h"

// Starts a child. With `read_end`, the child's stdout is a pipe and *read_end its non-blocking reading end.
AP_MUST ap_err ap_proc_spawn(const ap_proc_options *o, int *read_end, ap_proc *out);

#endif
