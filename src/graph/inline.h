// SPDX-License-Identifier: Apache-2.0
// inline: the body of a control-flow node becomes nodes of the graph around it.
//
// Works on the messages and indexes the model anew: every ap_value, ap_node and ap_graph pointer of the model
// is stale afterwards. What it never does: decide whether a body may be inlined; evaluate a condition.
#ifndef AP_GRAPH_INLINE_H
#define AP_GRAPH_INLINE_H

#include "graph/model.h"

// A replacement of one node of the main graph, made of copies of bodies and of plain nodes.
typedef struct ap_splice ap_splice;

AP_MUST ap_err ap_splice_begin(ap_model *m, ap_node *replaced, ap_splice **out);
// Copies all nodes and constants of `body`. Its inputs read `inputs` (names of the main graph, as many as it
// has). *outputs gets the main graph's names of the body's outputs (in the model's arena); an output that is
// an input of the body or a captured value is that value's own name. Error MODEL_INVALID for a sparse
// constant in the body.
AP_MUST ap_err ap_splice_body(ap_splice *s, const ap_graph *body, const char *const *inputs,
                              const char ***outputs);
// A constant; bytes are copied. Returns its name.
const char *ap_splice_constant(ap_splice *s, const char *base, const ap_tensor *t);
// A node of ai.onnx with one output. `output` NULL: a free name is made from `base`. Returns the output's
// name. `attr` (NULL: none) is from an ap_attr_* function of graph/nodes.h.
const char *ap_splice_node(ap_splice *s, const char *op, const char *const *inputs, size_t input_count,
                           Onnx__AttributeProto *attr, const char *base, const char *output);
// Puts the new nodes where the replaced one stood and indexes the model anew. Names the replaced node made
// must have been made by the new ones. Frees `s`, also on failure; after an error the model must be thrown
// away.
AP_MUST ap_err ap_splice_end(ap_splice *s);
void ap_splice_drop(ap_splice *s); // the model is unchanged; NULL is fine

// Every read of a value `names` holds, in nodes of the main graph and in bodies, reads the value of the name
// it is mapped to instead (char *, in the model's arena). Graph outputs stay. Indexes anew, as above.
AP_MUST ap_err ap_model_redirect(ap_model *m, const ap_map *names);

// Indexes the messages anew, after an edit of the messages themselves. Error: what a file of this content
// would give; the model must then be thrown away.
AP_MUST ap_err ap_model_reindex(ap_model *m);

#endif
