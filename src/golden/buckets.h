// SPDX-License-Identifier: Apache-2.0
// buckets: what --shape means when it names several sizes. Every combination is a bucket: the same arguments
// with one size each.
//
//   SIZES  = SIZE {"/" SIZE}           16/32/64
//   SIZE   = N | N ".." N ["+" STEP | "*" FACTOR]     1..4   32..128+32   16..128*2
//   symbol = SIZES, also with commas   batch=1,2,4
//   input  = a list of SIZES           images=1..4,3,320/640,640
#ifndef AP_GOLDEN_BUCKETS_H
#define AP_GOLDEN_BUCKETS_H

#include "graph/model.h"

#define AP_BUCKETS_MAX 32

typedef struct ap_bucket {
    const char *name;          // a file name made of what varies: "images-2x3x320x640"
    const char *const *shapes; // as many as were given; each names one size
} ap_bucket;

// May these arguments name several sizes? A quick look at the text, without the model.
bool ap_buckets_likely(const char *const *shapes, size_t count);
// All buckets, the last argument's sizes next to each other. *n is 1 when nothing varies. Everything lives in
// `a`. Errors: USAGE, INPUT_SHAPE with the argument.
AP_MUST ap_err ap_buckets_of(const ap_model *m, const char *const *shapes, size_t count, ap_arena *a,
                             ap_bucket **out, size_t *n);

#endif
