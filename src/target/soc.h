// SPDX-License-Identifier: Apache-2.0
// soc: what a target is called, and the table of SoCs that have a Hexagon Tensor Processor (HTP).
//
// The table is data/soc.json and data/htp.json, compiled in, read once and never changed after that: pointers
// to its rows are valid for ever and may be shared by threads. What it knows: names, numbers, where each
// number comes from. What it never does: ask a vendor library.
#ifndef AP_TARGET_SOC_H
#define AP_TARGET_SOC_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// Answer to a question that may not have been asked yet.
typedef enum ap_known { AP_UNKNOWN = -1, AP_NO = 0, AP_YES = 1 } ap_known;

// One number of the cost estimate. `value` 0: nothing is known, no estimate can be made.
typedef struct ap_figure {
    double value;
    bool assumed;       // not a published figure of this very NPU
    const char *source; // where it comes from; "" when value is 0
} ap_figure;

typedef struct ap_soc {
    const char *name; // "SM8650"
    const char *id;   // "sm8650", as in htp:sm8650
    const char *const *aliases;
    size_t alias_count;
    int soc_model;   // QNN's number, 57
    int htp_version; // 75
    int vtcm_mib;
    const char *product;
    ap_known fp16; // floats run as fp16 (measured in the emulator)
    ap_known bf16;
    const char *const *features; // "int8", "int16", "fp16", "bf16"
    size_t feature_count;
    const char *source;
    bool verified;
    const char *note;      // why not verified; NULL
    ap_figure int8_tops;   // 10^12 operations a second, a MAC is two
    ap_figure fp16_tflops; // same unit; 0 where floats do not run as fp16
    ap_figure dram_gbps;   // 10^9 bytes a second, the whole memory bus
} ap_soc;

size_t ap_soc_count(void); // 0 only when the data of this build is broken (a test sees to it)
const ap_soc *ap_soc_at(size_t i);
// By name or alias ("8 Gen 3", "sm-8650"), by number ("57", "soc_model=57"). Case, '-', '_' and ' ' do not
// count. NULL when there is none.
const ap_soc *ap_soc_find(const char *text);
const ap_soc *ap_soc_by_model(int64_t soc_model); // NULL when there is none

typedef struct ap_target_id {
    char kind[8];      // "cpu", "htp"
    char text[32];     // canonical: "cpu", "htp:sm8650"
    char folder[32];   // name of its folder in an artifact: "cpu", "htp-sm8650"
    const ap_soc *soc; // NULL for cpu
} ap_target_id;

// Reads what a user wrote: "cpu", "htp:SOC" (see ap_soc_find). Errors: TARGET_UNKNOWN, also for plain "htp";
// SOC_UNKNOWN. Both carry a hint with the nearest name.
AP_MUST ap_err ap_target_parse(const char *text, ap_target_id *out);

// The `targets` document (docs/documents.md); a new reference.
json_t *ap_soc_table_json(void);
// One SoC as it stands in the deploy and targets documents; a new reference. NULL gives JSON null.
json_t *ap_soc_json(const ap_soc *soc);

#endif
