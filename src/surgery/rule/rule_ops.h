// SPDX-License-Identifier: Apache-2.0
// rule_ops: what rules need to know about operators: operands, attributes with their defaults, since when,
// and which output has which element type. One line of text an operator (rule_ops.c).
//
// It is not a complete ONNX schema: an operator that no rule names may be missing, and a rule that names a
// missing one is refused.
#ifndef AP_SURGERY_RULE_OPS_H
#define AP_SURGERY_RULE_OPS_H

#include "base/map.h"
#include "graph/model.h"

typedef enum ap_operand_type {
    AP_OPERAND_T,    // the operator's type variable
    AP_OPERAND_U,    // a second variable
    AP_OPERAND_V,    // a third
    AP_OPERAND_I64,  // int64
    AP_OPERAND_IDX,  // int32 or int64
    AP_OPERAND_BOOL, // bool
    AP_OPERAND_F32,  // float32
    AP_OPERAND_I32,  // int32
    AP_OPERAND_U8,   // uint8
    AP_OPERAND_TO    // output: what attribute `to` says
} ap_operand_type;

typedef struct ap_op_operand {
    const char *attr; // older models have this attribute instead of the operand; NULL
    int64_t since;    // first opset with the operand
    ap_operand_type type;
    bool optional, variadic;
} ap_op_operand;

typedef struct ap_op_attr {
    const char *name;
    char kind;            // i int, f float, s string, I ints, F floats, t tensor, g graph
    const char *fallback; // default as text: "0", "NOTSET", "ones", "zeros", "reverse" (by rank); NULL: none
    bool required;
    int64_t since, to; // opsets it exists in
} ap_op_attr;

typedef struct ap_op_schema {
    const char *domain, *op;
    int64_t since;    // opset of its first version
    bool commutative; // its two operands may be swapped
    bool elementwise; // broadcasting operands, output shape = broadcast shape
    ap_op_operand *inputs, *outputs;
    size_t input_count, output_count;
    ap_op_attr *attrs;
    size_t attr_count;
} ap_op_schema;

typedef struct ap_op_table ap_op_table;
ap_op_table *ap_op_table_new(void);
void ap_op_table_free(ap_op_table *t);                                                     // NULL is fine
const ap_op_schema *ap_op_find(const ap_op_table *t, const char *domain, const char *op);  // NULL: unknown
const char *ap_op_nearest(const ap_op_table *t, const char *op);                           // NULL: none near
const ap_op_attr *ap_op_attr_find(const ap_op_schema *s, const char *name, int64_t opset); // 0: any opset
// The operand at a position; the last one again for variadic operators; NULL beyond.
const ap_op_operand *ap_op_input(const ap_op_schema *s, size_t i);
// The element type of operands that have but one (IDX: int64); NONE where it depends on the node.
ap_dtype ap_operand_dtype(ap_operand_type type);

#endif
