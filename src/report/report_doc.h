// SPDX-License-Identifier: Apache-2.0
// report_doc: reads the deploy document for both writers (HTML and Markdown): lenient getters, numbers as
// people read them, and the few facts the summary is made of.
//
// Nothing here fails: what is absent or odd is simply not there (NULL, false, "").
#ifndef AP_REPORT_DOC_H
#define AP_REPORT_DOC_H

#include "base/json.h"

// A short formatted text, returned by value: ap_rd_bytes(x).s
typedef struct ap_rd_text {
    char s[64];
} ap_rd_text;

// Getters; `o` may be NULL or of any type.
const json_t *ap_rd_obj(const json_t *o, const char *key); // NULL unless an object with members
const json_t *ap_rd_arr(const json_t *o, const char *key); // NULL unless an array with elements
const char *ap_rd_str(const json_t *o, const char *key);   // NULL unless a non-empty string
const char *ap_rd_str_or(const json_t *o, const char *key, const char *fallback);
// A number, or one of the strings "nan", "inf", "-inf". False (and *out untouched) otherwise.
bool ap_rd_real(const json_t *v, double *out);
bool ap_rd_num(const json_t *o, const char *key, double *out);
// As above, but only finite values of 0 and more: counts, bytes, seconds.
bool ap_rd_amount(const json_t *o, const char *key, double *out);

// Formatting. All accept any double.
ap_rd_text ap_rd_g(double v); // 4 significant digits; ∞, −∞, NaN
ap_rd_text ap_rd_fixed(double v, int digits);
ap_rd_text ap_rd_count(double v);       // 12127673 → "12.1 M"
ap_rd_text ap_rd_integer(double v);     // 12127673 → "12 127 673" with thin spaces
ap_rd_text ap_rd_bytes(double v);       // "6.37 MiB"
ap_rd_text ap_rd_seconds(double v);     // "0.41 s", "12 ms"
ap_rd_text ap_rd_ms(double v);          // "1.24 ms", "37 µs"
ap_rd_text ap_rd_db(double v);          // "48.0 dB", "exact" for +inf
ap_rd_text ap_rd_percent(double share); // 0.9958 → "99.6 %"; never rounds up to 100
// Part of a whole in percent, always within 0..100, 0 for nonsense.
double ap_rd_part(double part, double whole);
// [1,3,320,320] → "1 × 3 × 320 × 320"; symbols stay; "scalar" for []; nothing when not an array.
void ap_rd_dims(const json_t *dims, ap_buf *out);
// Any value as one line of text: strings as they are, numbers formatted, objects as JSON.
void ap_rd_value(const json_t *v, ap_buf *out);

typedef enum ap_verdict {
    AP_VERDICT_NONE,
    AP_VERDICT_PASS,
    AP_VERDICT_FAIL,
    AP_VERDICT_INFO,
    AP_VERDICT_SKIPPED
} ap_verdict;
ap_verdict ap_rd_verdict(const json_t *o);  // of the key "verdict"
const char *ap_verdict_word(ap_verdict v);  // "PASS"; "" for NONE
const char *ap_verdict_class(ap_verdict v); // "pass"

// What a gate metric is.
typedef struct ap_metric_text {
    const char *key, *label, *meaning;
} ap_metric_text;
const ap_metric_text *ap_rd_metric(const char *key); // NULL when unknown
// A gate's value or threshold as text: "48.0 dB", "100 %", "yes".
void ap_rd_gate_value(const char *metric, const json_t *v, ap_buf *out);
// "≥", "≤", "="; "" without a threshold and for yes/no checks, whose threshold says it all.
const char *ap_rd_gate_op(const json_t *gate);

// The numbers a reader asks for first, of one target.
typedef struct ap_rd_facts {
    bool has_nodes, has_sqnr, has_threshold, has_binary, has_estimate, npu;
    double total, on_target;
    double sqnr_db, threshold_db;
    const char *sqnr_output; // may be NULL
    double binary_bytes;
    const char *binary_file; // may be NULL
    double estimate_ms;
    size_t gates_passed, gates_failed;
} ap_rd_facts;
ap_rd_facts ap_rd_target_facts(const json_t *target);

void ap_rd_target_name(const json_t *target, ap_buf *out); // "Snapdragon 8 Gen 3 (HTP v75)"
void ap_rd_title(const json_t *doc, ap_buf *out);          // "320n.onnx on Snapdragon 8 Gen 3 (HTP v75)"
void ap_rd_lede(const json_t *doc, ap_buf *out);           // the result in one or two sentences
// True when the profile may be shown: a measured time, not an emulator's cycle count.
bool ap_rd_profile_shown(const json_t *target);
bool ap_rd_node_on_target(const json_t *target, const json_t *node);

// Array elements with a sort key. Free with free().
typedef struct ap_rd_ranked {
    const json_t *item;
    double key;
    size_t position; // in the document
} ap_rd_ranked;
// Objects of `array` by the number under `key`, highest (or lowest) first; elements without one come last and
// NaN counts as worst. NULL with *count 0 when there are none.
ap_rd_ranked *ap_rd_rank(const json_t *array, const char *key, bool highest_first, size_t *count);

// ---- what surgery did (report_repairs.c). Those that append: one line of text, nothing when nothing is
// known.
void ap_rd_join(const json_t *strings, const char *between, size_t most, ap_buf *out); // "a, b and 3 more"
// Repairs that differ only in the place, in one row: the nodes of all. New reference.
json_t *ap_rd_repair_rows(const json_t *repairs);
void ap_rd_repair_proof(const json_t *repair, ap_buf *out); // "mod_int (exact): 201 random instances, ..."
void ap_rd_repair_effect(const json_t *repair,
                         ap_buf *out); // "nodes 1 → 5; whole model: 12.1 dB → 48.0 dB, ..."
// The whole: how many passes, nodes rewritten and left by verdict, on the CPU, chains rolled back.
void ap_rd_repairs_lede(const json_t *repairs, ap_buf *out);
void ap_rd_repairs_whole(const json_t *repairs, ap_buf *out); // its numbers before and after
// "1.20 ms → 1.10 ms (estimate)" of a pair of costs of tuning.
void ap_rd_tuning_times(const json_t *repairs, const json_t *pair, ap_buf *out);
const char *ap_rd_left_why(const json_t *left); // why nothing was found

#endif
