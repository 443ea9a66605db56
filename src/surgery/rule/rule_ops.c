// SPDX-License-Identifier: Apache-2.0
#include "surgery/rule/rule_ops.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "Op[@since] [flags] | operands | outputs | attributes", parsed once a library.
//   flags      c two operands may be swapped, e elementwise with broadcasting
//   operand    [attr@since:]type[?|*]   type: T U V variables, i int64, x int32/int64, b bool, f float32,
//              n int32, q uint8, o what `to` says; ? optional, * any number. With attr@since it was that
//              attribute before.
//   attribute  name[@since[-to]]=kind[:default|!]   ! required; defaults by rank: ones zeros reverse; "any":
//   never
//              compared, because it follows from the operands
#define POOL "auto_pad=s:NOTSET ceil_mode=i:0 kernel_shape=I! pads=I:zeros strides=I:ones"
#define CONV "auto_pad=s:NOTSET dilations=I:ones group=i:1 kernel_shape=I:any pads=I:zeros strides=I:ones"
#define KEEP "keepdims=i:1"
#define SOFT "axis@1-12=i:1 axis@13=i:-1"
static const char *const lines[] = {
    "Add c e | T T | T |",
    "Mul c e | T T | T |",
    "Sub e | T T | T |",
    "Div e | T T | T |",
    "Mod@10 e | T T | T | fmod=i:0",
    "Pow e | T U | T |",
    "And c e | b b | b |",
    "Or c e | b b | b |",
    "Xor c e | b b | b |",
    "Not e | b | b |",
    "Equal c e | T T | b |",
    "Less e | T T | b |",
    "Greater e | T T | b |",
    "LessOrEqual@12 e | T T | b |",
    "GreaterOrEqual@12 e | T T | b |",
    "Max c e | T* | T |",
    "Min c e | T* | T |",
    "Sum c e | T* | T |",
    "Mean c e | T* | T |",
    "Neg e | T | T |",
    "Abs e | T | T |",
    "Sign@9 e | T | T |",
    "Sqrt e | T | T |",
    "Exp e | T | T |",
    "Log e | T | T |",
    "Floor e | T | T |",
    "Ceil e | T | T |",
    "Round@11 e | T | T |",
    "Erf@9 e | T | T |",
    "Relu e | T | T |",
    "Sigmoid e | T | T |",
    "Tanh e | T | T |",
    "Sin e | T | T |",
    "Cos e | T | T |",
    "Tan e | T | T |",
    "Asin e | T | T |",
    "Acos e | T | T |",
    "Atan e | T | T |",
    "Sinh@9 e | T | T |",
    "Cosh@9 e | T | T |",
    "Asinh@9 e | T | T |",
    "Acosh@9 e | T | T |",
    "Atanh@9 e | T | T |",
    "Reciprocal e | T | T |",
    "Softplus e | T | T |",
    "Softsign e | T | T |",
    "Identity e | T | T |",
    "HardSwish@14 e | T | T |",
    "Mish@18 e | T | T |",
    "IsNaN@9 e | T | b |",
    "IsInf@10 e | T | b | detect_negative=i:1 detect_positive=i:1",
    "LeakyRelu e | T | T | alpha=f:0.01",
    "Elu e | T | T | alpha=f:1.0",
    "Selu e | T | T | alpha=f:1.67326319217681884765625 gamma=f:1.05070102214813232421875",
    "Celu@12 e | T | T | alpha=f:1.0",
    "ThresholdedRelu@10 e | T | T | alpha=f:1.0",
    "HardSigmoid e | T | T | alpha=f:0.2 beta=f:0.5",
    "Shrink@9 e | T | T | lambd=f:0.5 bias=f:0.0",
    "Gelu@20 e | T | T | approximate=s:none",
    "PRelu e | T T | T |",
    "Clip e | T min@11:T? max@11:T? | T |",
    "Where@9 e | b T T | T |",
    "Cast e | U | o | to=i! saturate@19=i:1 round_mode@24=s:up",
    "CastLike@15 e | U T | T | saturate@19=i:1 round_mode@24=s:up",
    "Dropout e | T V? b? | T b? | ratio@1-11=f:0.5 seed@12=i",
    "Softmax | T | T | " SOFT,
    "LogSoftmax | T | T | " SOFT,
    "Hardmax | T | T | " SOFT,
    "ReduceSum | T axes@13:i? | T | " KEEP " noop_with_empty_axes@13=i:0",
    "ReduceMean | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceMax | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceMin | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceProd | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceL1 | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceL2 | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceSumSquare | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceLogSum | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ReduceLogSumExp | T axes@18:i? | T | " KEEP " noop_with_empty_axes@18=i:0",
    "ArgMax | T | i | axis=i:0 select_last_index@12=i:0 " KEEP,
    "ArgMin | T | i | axis=i:0 select_last_index@12=i:0 " KEEP,
    "CumSum@11 | T x | T | exclusive=i:0 reverse=i:0",
    "Trilu@14 | T i? | T | upper=i:1",
    "Slice | T starts@10:x ends@10:x axes@10:x? steps@10:x? | T |",
    "Pad | T pads@11:i value@11:T? axes@18:x? | T | mode=s:constant",
    "Concat | T* | T | axis=i!",
    "Split | T split@13:i? | T* | axis=i:0 num_outputs@18=i",
    "Squeeze | T axes@13:i? | T |",
    "Unsqueeze | T axes@13:i | T |",
    "Reshape | T i | T | allowzero@14=i:0",
    "Flatten | T | T | axis=i:1",
    "Transpose | T | T | perm=I:reverse",
    "Expand@8 | T i | T |",
    "Tile | T i | T |",
    "Gather | T x | T | axis=i:0",
    "GatherElements@11 | T x | T | axis=i:0",
    "GatherND@11 | T i | T | batch_dims@12=i:0",
    "ScatterElements@11 | T x T | T | axis=i:0 reduction@16=s:none",
    "ScatterND@11 | T i T | T | reduction@16=s:none",
    "Shape | T | i | start@15=i:0 end@15=i",
    "Size | T | i |",
    "NonZero@9 | T | i |",
    "OneHot@9 | U V T | T | axis=i:-1",
    "Range@11 | T T T | T |",
    "ConstantOfShape@9 | i | T | value=t",
    "DepthToSpace | T | T | blocksize=i! mode@11=s:DCR",
    "SpaceToDepth | T | T | blocksize=i!",
    "TopK | T k@10:i | T i | axis=i:-1 largest@11=i:1 sorted@11=i:1",
    "MatMul | T T | T |",
    "Gemm | T T T? | T | alpha=f:1.0 beta=f:1.0 transA=i:0 transB=i:0",
    "Conv | T T T? | T | " CONV,
    "ConvTranspose | T T T? | T | output_padding=I:zeros output_shape=I " CONV,
    "MaxPool | T | T i? | dilations@10=I:ones storage_order@8=i:0 " POOL,
    "AveragePool | T | T | dilations@19=I:ones count_include_pad@7=i:0 " POOL,
    "LpPool | T | T | p=i:2 dilations@18=I:ones " POOL,
    "GlobalAveragePool | T | T |",
    "GlobalMaxPool | T | T |",
    "GlobalLpPool | T | T | p=i:2",
    "LRN | T | T | alpha=f:0.0001 beta=f:0.75 bias=f:1.0 size=i!",
    "BatchNormalization | T U U V V | T V? V? | epsilon=f:1e-05 momentum=f:any training_mode@14=i:0 "
    "spatial@1-8=i:1",
    "InstanceNormalization | T T T | T | epsilon=f:1e-05",
    "LayerNormalization@17 | T T T? | T V? V? | axis=i:-1 epsilon=f:1e-05 stash_type=i:1",
    "GroupNormalization@18 | T T T | T | num_groups=i! epsilon=f:1e-05 stash_type@21=i:1",
    "RMSNormalization@23 | T T | T | axis=i:-1 epsilon=f:1e-05 stash_type=i:1",
    "LpNormalization | T | T | axis=i:-1 p=i:2",
    "MeanVarianceNormalization@9 | T | T | axes=I:[0,2,3]",
    "Resize@11 | T V? f? i? | T | coordinate_transformation_mode=s:half_pixel cubic_coeff_a=f:-0.75 "
    "exclude_outside=i:0 extrapolation_value=f:0.0 mode=s:nearest nearest_mode=s:round_prefer_floor "
    "antialias@18=i:0 axes@18=I keep_aspect_ratio_policy@18=s:stretch",
    "Upsample | T scales@9:f | T | mode=s:nearest",
    "Einsum@12 | T* | T | equation=s!",
    "EyeLike@9 | U | o | dtype=i k=i:0",
    "Det@11 | T | T |",
    "QuantizeLinear@10 | T T U? | U | axis@13=i:1 saturate@19=i:1 block_size@21=i:0 output_dtype@21=i:0",
    "DequantizeLinear@10 | U T U? | T | axis@13=i:1 block_size@21=i:0",
    "BitShift@11 e | T T | T | direction=s!",
    "BitwiseAnd@18 c e | T T | T |",
    "BitwiseOr@18 c e | T T | T |",
    "BitwiseXor@18 c e | T T | T |",
    "BitwiseNot@18 e | T | T |",
    "MatMulInteger@10 | T U T? U? | n |",
    "ConvInteger@10 | T U T? U? | n | " CONV,
    "DynamicQuantizeLinear@11 | T | q f q |",
    "DeformConv@19 | T T T T? T? | T | dilations=I:ones group=i:1 kernel_shape=I:any offset_group=i:1 "
    "pads=I:zeros strides=I:ones",
    "MaxUnpool@9 | T i i? | T | kernel_shape=I! pads=I:zeros strides=I:ones",
    "MaxRoiPool | T T | T | pooled_shape=I! spatial_scale=f:1.0",
    "RoiAlign@10 | T T i | T | coordinate_transformation_mode@16=s:half_pixel mode=s:avg output_height=i:1 "
    "output_width=i:1 sampling_ratio=i:0 spatial_scale=f:1.0",
    "GridSample@16 | T U | T | align_corners=i:0 mode@16-19=s:bilinear mode@20=s:linear padding_mode=s:zeros",
    "AffineGrid@20 | T i | T | align_corners=i:0",
    "Scatter@9 | T x T | T | axis=i:0",
    "TensorScatter@24 | T T i? | T | axis=i:-2 mode=s:linear",
    "Compress@9 | T b | T | axis=i",
    "ReverseSequence@10 | T i | T | batch_axis=i:1 time_axis=i:0",
    "DFT@17 | T i? axis@20:i? | T | inverse=i:0 onesided=i:0",
    "STFT@17 | T i T? i? | T | onesided=i:1",
    "RNN | T T T T? n? T? | T? T? | activation_alpha=F activation_beta=F activations=S clip=f "
    "direction=s:forward hidden_size=i layout@14=i:0",
    "GRU | T T T T? n? T? | T? T? | activation_alpha=F activation_beta=F activations=S clip=f "
    "direction=s:forward hidden_size=i layout@14=i:0 linear_before_reset@3=i:0",
    "LSTM | T T T T? n? T? T? T? | T? T? T? | activation_alpha=F activation_beta=F activations=S clip=f "
    "direction=s:forward hidden_size=i layout@14=i:0 input_forget=i:0",
    "RotaryEmbedding@23 | T T T i? | T | interleaved=i:0 num_heads=i:0 rotary_embedding_dim=i:0",
    "SimplifiedLayerNormalization | T T | T V? | axis=i:-1 epsilon=f:1e-05 stash_type=i:1",
    "com.microsoft::QuantizeLinear | T T U? | U | axis=i:1",
    "com.microsoft::DequantizeLinear | U T U? | T | axis=i:1",
    "com.microsoft::BiasGelu | T T | T |",
    "com.microsoft::Inverse | T | T |",
    "com.microsoft::SkipLayerNormalization | T T T T? T? | T V? V? T? | epsilon=f:1e-12",
    "com.microsoft::SkipSimplifiedLayerNormalization | T T T T? | T V? V? T? | epsilon=f:1e-12",
    "com.microsoft::RotaryEmbedding | T i T T | T | interleaved=i:0 is_packed_batching=i:0 num_heads=i:0 "
    "rotary_embedding_dim=i:0 scale=f:1.0",
    "com.microsoft::MultiHeadAttention | T T? T? T? V? T? T? T? | T T? T? | mask_filter_value=f:-10000.0 "
    "num_heads=i! scale=f unidirectional=i:0",
    "com.microsoft::MatMulNBits | T U T? V? V? T? | T | K=i! N=i! bits=i:4 block_size=i! "
    "accuracy_level=i:0",
    "com.microsoft::Gelu e | T | T |",
    "com.microsoft::FastGelu e | T T? | T |",
    "com.microsoft::QuickGelu e | T | T | alpha=f:1.702",
};

struct ap_op_table {
    ap_arena arena;
    ap_map map; // "domain::Op" → schema
    const char **names;
    size_t count;
};

// The next word of a section; NULL at its end. Words end at spaces and "|".
static char *next_word(ap_arena *a, const char **p) {
    while (**p == ' ') (*p)++;
    if (!**p || **p == '|') return NULL;
    const char *from = *p;
    while (**p && **p != ' ' && **p != '|') (*p)++;
    return ap_arena_strndup(a, from, (size_t)(*p - from));
}

static void next_section(const char **p) {
    while (**p && **p != '|') (*p)++;
    if (**p) (*p)++;
}

static ap_operand_type operand_type(char c) {
    switch (c) {
    case 'U': return AP_OPERAND_U;
    case 'V': return AP_OPERAND_V;
    case 'i': return AP_OPERAND_I64;
    case 'x': return AP_OPERAND_IDX;
    case 'b': return AP_OPERAND_BOOL;
    case 'f': return AP_OPERAND_F32;
    case 'n': return AP_OPERAND_I32;
    case 'q': return AP_OPERAND_U8;
    case 'o': return AP_OPERAND_TO;
    default: return AP_OPERAND_T;
    }
}

static ap_op_operand read_operand(char *word) {
    ap_op_operand o = {0};
    char *at = strchr(word, '@'), *colon = strchr(word, ':');
    if (at && colon) {
        *at = 0;
        o.attr = word;
        o.since = strtoll(at + 1, NULL, 10);
        word = colon + 1;
    }
    o.type = operand_type(*word);
    o.optional = word[1] == '?';
    o.variadic = word[1] == '*';
    return o;
}

static ap_op_operand *read_operands(ap_arena *a, const char **p, size_t *count) {
    enum { MOST = 8 };
    ap_op_operand *list = ap_arena_calloc(a, MOST, sizeof *list);
    for (char *word; *count < MOST && (word = next_word(a, p));) list[(*count)++] = read_operand(word);
    next_section(p);
    return list;
}

static ap_op_attr read_attr(char *word) {
    ap_op_attr at = {.name = word, .since = 1, .to = INT64_MAX};
    char *eq = strchr(word, '='), *version = strchr(word, '@');
    *eq = 0;
    if (version) {
        char *end;
        *version = 0;
        at.since = strtoll(version + 1, &end, 10);
        if (*end == '-') at.to = strtoll(end + 1, NULL, 10);
    }
    at.kind = eq[1];
    at.required = eq[2] == '!';
    if (eq[2] == ':') at.fallback = eq + 3;
    return at;
}

static void read_head(ap_op_table *t, ap_op_schema *s, const char **p) {
    char *name = next_word(&t->arena, p), *at = strchr(name, '@'), *domain = strstr(name, "::");
    s->since = 1;
    if (at) {
        *at = 0;
        s->since = strtoll(at + 1, NULL, 10);
    }
    s->domain = "";
    s->op = name;
    if (domain) {
        *domain = 0;
        s->domain = name;
        s->op = domain + 2;
    }
    for (char *flag; (flag = next_word(&t->arena, p));) {
        if (*flag == 'c') s->commutative = true;
        if (*flag == 'e') s->elementwise = true;
    }
    next_section(p);
}

static void read_line(ap_op_table *t, const char *p) {
    enum { MOST = 16 };
    ap_op_schema *s = ap_arena_calloc(&t->arena, 1, sizeof *s);
    read_head(t, s, &p);
    s->inputs = read_operands(&t->arena, &p, &s->input_count);
    s->outputs = read_operands(&t->arena, &p, &s->output_count);
    s->attrs = ap_arena_calloc(&t->arena, MOST, sizeof *s->attrs);
    for (char *word; s->attr_count < MOST && (word = next_word(&t->arena, &p));)
        s->attrs[s->attr_count++] = read_attr(word);
    t->names[t->count++] = s->op;
    ap_map_set(&t->map, ap_arena_printf(&t->arena, "%s::%s", s->domain, s->op), s);
}

ap_op_table *ap_op_table_new(void) {
    size_t n = sizeof lines / sizeof *lines;
    ap_op_table *t = ap_calloc(1, sizeof *t);
    t->names = ap_calloc(n, sizeof *t->names);
    for (size_t i = 0; i < n; i++) read_line(t, lines[i]);
    return t;
}

void ap_op_table_free(ap_op_table *t) {
    if (!t) return;
    ap_map_free(&t->map);
    ap_arena_release(&t->arena);
    free(t->names);
    free(t);
}

const ap_op_schema *ap_op_find(const ap_op_table *t, const char *domain, const char *op) {
    char key[160];
    int n = snprintf(key, sizeof key, "%s::%s", domain, op);
    return n > 0 && (size_t)n < sizeof key ? ap_map_get(&t->map, key) : NULL;
}

const char *ap_op_nearest(const ap_op_table *t, const char *op) {
    return ap_nearest(op, t->names, t->count);
}

const ap_op_attr *ap_op_attr_find(const ap_op_schema *s, const char *name, int64_t opset) {
    for (size_t i = 0; i < s->attr_count; i++) {
        const ap_op_attr *at = &s->attrs[i];
        if (!strcmp(at->name, name) && (!opset || (opset >= at->since && opset <= at->to))) return at;
    }
    return NULL;
}

const ap_op_operand *ap_op_input(const ap_op_schema *s, size_t i) {
    if (i < s->input_count) return &s->inputs[i];
    return s->input_count && s->inputs[s->input_count - 1].variadic ? &s->inputs[s->input_count - 1] : NULL;
}

ap_dtype ap_operand_dtype(ap_operand_type type) {
    switch (type) {
    case AP_OPERAND_I64:
    case AP_OPERAND_IDX: return AP_I64;
    case AP_OPERAND_BOOL: return AP_BOOL;
    case AP_OPERAND_F32: return AP_F32;
    case AP_OPERAND_I32: return AP_I32;
    case AP_OPERAND_U8: return AP_U8;
    default: return AP_DTYPE_NONE;
    }
}
