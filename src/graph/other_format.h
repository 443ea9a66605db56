// SPDX-License-Identifier: Apache-2.0
// other_format: what a file that is no ONNX model is instead, told by its first bytes.
//
// It knows the formats people have beside ONNX files and pass by mistake. It never parses them: the answer is
// for an error message.
#ifndef AP_GRAPH_OTHER_FORMAT_H
#define AP_GRAPH_OTHER_FORMAT_H

#include <stddef.h>

typedef struct ap_other_format {
    const char *name; // "a PyTorch checkpoint"; ends a sentence
    const char *next; // what to do about it
} ap_other_format;

// NULL: none that is known.
const ap_other_format *ap_other_format_of(const void *bytes, size_t len);

#endif
