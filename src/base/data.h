// SPDX-License-Identifier: Apache-2.0
// data: the files of data/ (SoC table, runtime pins, thresholds) and rules/, compiled into the program so
// that one binary is enough and nothing is looked up in a share folder. tools/embed_data.sh writes the
// implementation.
//
// What it knows: names and bytes. What it never does: parse them.
#ifndef AP_BASE_DATA_H
#define AP_BASE_DATA_H

#include <stddef.h>

// The text of data/NAME ("soc.json"), NUL-ended, valid for ever. `len` (may be NULL) gets its length without
// the NUL. NULL when this build has no such file; len is then untouched.
const char *ap_data_get(const char *name, size_t *len);

// The names of all files, ended by NULL.
const char *const *ap_data_names(void);

#endif
