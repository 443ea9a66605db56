// SPDX-License-Identifier: Apache-2.0
// sharpen: makes a model that runs more exact. Some operators a target takes and computes within what a
// single one may err, and still worse than it has to (HTP's Sigmoid: twice float16's own rounding); many of
// them in a row fail a gate no node is to blame for. Rules marked `helps "accuracy: ..."` say the same in
// operators the target is better at. Each is tried at all its places at once and stays when the numbers of
// the whole model get better: by 1 dB, or by 0.1 dB where the cost stays what it was.
//
// What it never does: use a rule that is not proven, judge numbers by itself (the host's gates do), keep an
// edit no step records, look for the node at fault (repair does).
#ifndef AP_SURGERY_SHARPEN_H
#define AP_SURGERY_SHARPEN_H

#include "surgery/repair/attempt.h"

typedef struct ap_sharpen_options {
    ap_attempt_tools tools;
    bool all; // try every rule, also when the gates pass already; else stop as soon as they do
    ap_budget budget;
} ap_sharpen_options;

typedef struct ap_sharpened {
    ap_rewritten made;
    // As in the report of ap_repaired; their verdict is "inexact".
    json_t *repairs, *rolled_back;
    json_t *stats; // {tries, seconds, ended: which budget ended it before every rule was tried | null}
} ap_sharpened;
void ap_sharpened_release(ap_sharpened *s);

// Can more exact operators help here? The gates fail, and not because something is plainly wrong: every
// output is at least 15 dB from noise, nothing is NaN or infinite that should not be.
bool ap_is_blurred(const ap_whole *w);
// `first` is what the target says of `m`. Errors: machinery only.
AP_MUST ap_err ap_sharpen(const ap_model *m, const ap_whole *first, const ap_sharpen_options *o,
                          ap_sharpened *out);

#endif
