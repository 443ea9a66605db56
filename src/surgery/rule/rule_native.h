// SPDX-License-Identifier: Apache-2.0
// The rewrites in C that a rule may name in place of `replace`. What they are built with: native/native.h.
#ifndef AP_SURGERY_RULE_NATIVE_H
#define AP_SURGERY_RULE_NATIVE_H

#include "graph/model.h"

struct ap_native_builder;
struct ap_match;

typedef struct ap_native {
    const char *name; // as in `native NAME`
    int version;      // part of the rule's hash: goes up when what it builds changes
    // Builds the replacement. results[i] takes the place of output i of the root (NULL: must be unused); all
    // NULL at first. A case out of reach is refused by ap_native_refuse.
    void (*build)(struct ap_native_builder *b, const struct ap_match *m, ap_value **results);
} ap_native;

extern const ap_native ap_natives[];               // ends with name NULL; filled in native/table.c
const ap_native *ap_native_find(const char *name); // NULL when there is none
const char *ap_native_nearest(const char *name);   // for a hint; NULL when none is near

#endif
