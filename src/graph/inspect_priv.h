// SPDX-License-Identifier: Apache-2.0
// What the inspect files share.
#ifndef AP_GRAPH_INSPECT_PRIV_H
#define AP_GRAPH_INSPECT_PRIV_H

#include "graph/inspect.h"

// "float32[1x3xheight]", "float32" without a shape, "sequence", "" when nothing is known.
void ap_inspect_type(const ap_value *v, ap_buf *out);
// A name from a file: control characters and bytes above 126 that are not UTF-8 text never reach a terminal.
void ap_inspect_text(const char *s, size_t max_bytes, ap_buf *out);
// "Conv", "com.microsoft.Gelu".
void ap_inspect_op(const ap_node *n, ap_buf *out);
// "MaxPool(x) {kernel_shape=[2,2]} -> y"; constants of a few elements stand there by value:
// "Reshape(x, int64[2]{1,64}) -> y".
void ap_inspect_node(ap_model *m, const ap_node *n, ap_buf *out);

#endif
