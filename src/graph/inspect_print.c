// SPDX-License-Identifier: Apache-2.0
#include "graph/inspect_priv.h"

#include <string.h>

enum { LIST_SHOWN = 16, FLOATS_SHOWN = 4, TEXT_SHOWN = 64, NAME_SHOWN = 256 };

// Bytes of a well-formed UTF-8 character of two bytes or more at `s`, 0 when there is none. C1 controls count
// as none.
static size_t utf8_length(const unsigned char *s, size_t left) {
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    if (!n || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    bool control = s[0] == 0xc2 && s[1] < 0xa0;
    return overlong || outside || control ? 0 : n;
}

static void put_text(const char *s, size_t len, size_t max_bytes, ap_buf *out) {
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0; i < len;) {
        if (i >= max_bytes) {
            ap_buf_puts(out, "...");
            return;
        }
        size_t n = p[i] >= ' ' && p[i] < 0x7f ? 1 : utf8_length(p + i, len - i);
        if (n)
            ap_buf_append(out, s + i, n);
        else
            ap_buf_putc(out, '?');
        i += n ? n : 1;
    }
}

void ap_inspect_text(const char *s, size_t max_bytes, ap_buf *out) {
    put_text(s, strlen(s), max_bytes, out);
}

void ap_inspect_op(const ap_node *n, ap_buf *out) {
    if (*n->domain) {
        ap_inspect_text(n->domain, NAME_SHOWN, out);
        ap_buf_putc(out, '.');
    }
    ap_inspect_text(n->op, NAME_SHOWN, out);
}

void ap_inspect_type(const ap_value *v, ap_buf *out) {
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_dtype dtype;
    const char *symbols[AP_MAX_RANK];
    const Onnx__TypeProto *type = v->info ? v->info->type : NULL;
    if (ap_value_shape(v, &dtype, dims, &rank, symbols)) {
        ap_buf_printf(out, "%s[", ap_dtype_name(dtype));
        for (size_t i = 0; i < rank; i++) {
            if (i) ap_buf_putc(out, 'x');
            if (dims[i] >= 0)
                ap_buf_printf(out, "%lld", (long long)dims[i]);
            else
                ap_inspect_text(symbols[i] ? symbols[i] : "?", TEXT_SHOWN, out);
        }
        ap_buf_putc(out, ']');
    } else if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
        ap_buf_puts(out, ap_dtype_name((ap_dtype)type->tensor_type->elem_type));
    } else if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE) {
        ap_buf_puts(out, "sequence");
    } else if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_MAP_TYPE) {
        ap_buf_puts(out, "map");
    } else if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) {
        ap_buf_puts(out, "optional");
    }
}

// ---- values

static void put_value(const ap_value *v, bool with_type, ap_buf *out) {
    ap_buf_putc(out, '%');
    ap_inspect_text(v->name, NAME_SHOWN, out);
    if (!with_type) return;
    ap_buf type = {0};
    ap_inspect_type(v, &type);
    if (type.len) ap_buf_printf(out, ":%s", ap_buf_str(&type));
    ap_buf_free(&type);
}

static void put_values(ap_value *const *list, size_t count, bool all_types, ap_buf *out) {
    for (size_t i = 0; i < count; i++) {
        if (i) ap_buf_puts(out, ", ");
        if (!list[i])
            ap_buf_putc(out, '_'); // omitted
        else
            put_value(list[i], all_types || list[i]->init, out);
    }
}

// ---- attributes

static void put_number(const ap_tensor *t, size_t i, ap_buf *out) {
    if (t->dtype == AP_I64) {
        int64_t v;
        memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v); // a double would lose digits
        ap_buf_printf(out, "%lld", (long long)v);
    } else {
        ap_buf_printf(out, "%.9g", ap_tensor_at(t, i));
    }
}

static void put_tensor(ap_model *m, const Onnx__TensorProto *p, ap_buf *out) {
    ap_tensor t = {0};
    ap_err err = ap_model_tensor(m, p, &t);
    if (err) { // texts and types we do not compute with
        ap_buf_printf(out, "%s", ap_dtype_name((ap_dtype)p->data_type));
        ap_err_free(err);
        return;
    }
    ap_buf_printf(out, "%s[", ap_dtype_name(t.dtype));
    for (size_t i = 0; i < t.rank; i++) ap_buf_printf(out, "%s%lld", i ? "x" : "", (long long)t.dims[i]);
    ap_buf_putc(out, ']');
    size_t count = ap_tensor_count(&t);
    if (count > LIST_SHOWN) return;
    ap_buf_puts(out, "{");
    for (size_t i = 0; i < count; i++) {
        if (i) ap_buf_putc(out, ',');
        put_number(&t, i, out);
    }
    ap_buf_puts(out, "}");
}

static void put_bytes(const ProtobufCBinaryData *s, ap_buf *out) {
    ap_buf_putc(out, '"');
    put_text((const char *)s->data, s->len, TEXT_SHOWN, out);
    ap_buf_putc(out, '"');
}

static void put_item(const Onnx__AttributeProto *at, size_t i, ap_buf *out) {
    if (at->n_ints)
        ap_buf_printf(out, "%lld", (long long)at->ints[i]);
    else if (at->n_floats)
        ap_buf_printf(out, "%.9g", (double)at->floats[i]);
    else
        put_bytes(&at->strings[i], out);
}

static void put_list(const Onnx__AttributeProto *at, ap_buf *out) {
    size_t count = at->n_ints ? at->n_ints : at->n_floats ? at->n_floats : at->n_strings;
    ap_buf_putc(out, '[');
    for (size_t i = 0; i < count && i < LIST_SHOWN; i++) {
        if (i) ap_buf_putc(out, ',');
        put_item(at, i, out);
    }
    if (count > LIST_SHOWN) ap_buf_printf(out, ",... %zu in all", count);
    ap_buf_putc(out, ']');
}

static void put_attribute(ap_model *m, const Onnx__AttributeProto *at, ap_buf *out) {
    ap_inspect_text(at->name ? at->name : "?", NAME_SHOWN, out);
    ap_buf_putc(out, '=');
    if (at->ref_attr_name && *at->ref_attr_name) {
        ap_buf_putc(out, '@');
        ap_inspect_text(at->ref_attr_name, NAME_SHOWN, out);
    } else if (at->t) {
        put_tensor(m, at->t, out);
    } else if (at->g || at->n_graphs) {
        ap_buf_puts(out, "graph"); // its nodes follow
    } else if (at->has_s) {
        put_bytes(&at->s, out);
    } else if (at->has_f) {
        ap_buf_printf(out, "%.9g", (double)at->f);
    } else if (at->has_i) {
        ap_buf_printf(out, "%lld", (long long)at->i);
    } else if (at->n_tensors) {
        ap_buf_printf(out, "%zu tensors", at->n_tensors);
    } else if (at->sparse_tensor || at->n_sparse_tensors) {
        ap_buf_puts(out, "sparse");
    } else if (at->tp || at->n_type_protos) {
        ap_buf_puts(out, "type");
    } else {
        put_list(at, out);
    }
}

static void put_attributes(ap_model *m, const ap_node *n, ap_buf *out) {
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        ap_buf_puts(out, i ? ", " : " {");
        put_attribute(m, n->proto->attribute[i], out);
    }
    if (n->proto->n_attribute) ap_buf_putc(out, '}');
}

// ---- a node on a line of its own, as a reader wants it: small constants by value

// Sizes and axes are worth reading, weights are not.
static bool is_small(const Onnx__TensorProto *t) {
    int64_t count = 1, most = ap_dtype_is_float((ap_dtype)t->data_type) ? FLOATS_SHOWN : LIST_SHOWN;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0 || t->dims[i] > most) return false;
        count *= t->dims[i];
        if (count > most) return false;
    }
    return true;
}

static void put_operands(ap_model *m, ap_value *const *list, size_t count, ap_buf *out) {
    for (size_t i = 0; i < count; i++) {
        const ap_value *v = list[i];
        if (i) ap_buf_puts(out, ", ");
        if (!v)
            ap_buf_putc(out, '_'); // omitted
        else if (v->kind == AP_VALUE_INITIALIZER && v->init && is_small(v->init))
            put_tensor(m, v->init, out);
        else
            ap_inspect_text(v->name, NAME_SHOWN, out);
    }
}

void ap_inspect_node(ap_model *m, const ap_node *n, ap_buf *out) {
    ap_inspect_op(n, out);
    ap_buf_putc(out, '(');
    put_operands(m, n->inputs, n->input_count, out);
    ap_buf_putc(out, ')');
    put_attributes(m, n, out);
    ap_buf_puts(out, " -> ");
    put_operands(m, n->outputs, n->output_count, out);
}

// ---- nodes

static void indent(size_t depth, ap_buf *out) {
    for (size_t i = 0; i < depth; i++) ap_buf_puts(out, "  ");
}

static void put_node(const ap_graph *g, const ap_node *n, size_t depth, ap_buf *out) {
    indent(depth, out);
    put_values(n->outputs, n->output_count, true, out);
    ap_buf_puts(out, " = ");
    ap_inspect_op(n, out);
    ap_buf_putc(out, '(');
    put_values(n->inputs, n->input_count, false, out);
    ap_buf_putc(out, ')');
    put_attributes(g->model, n, out);
    ap_buf_puts(out, " # ");
    ap_inspect_text(n->name, NAME_SHOWN, out);
    ap_buf_putc(out, '\n');
}

static void put_graph(const ap_graph *g, size_t depth, ap_buf *out) {
    indent(depth, out);
    ap_buf_puts(out, depth ? "body " : "graph ");
    ap_inspect_text(g->proto->name ? g->proto->name : "", NAME_SHOWN, out);
    ap_buf_putc(out, '(');
    put_values(g->inputs, g->input_count, true, out);
    ap_buf_puts(out, ") -> (");
    put_values(g->outputs, g->output_count, true, out);
    ap_buf_puts(out, ")\n");
    for (size_t i = 0; i < g->node_count; i++) {
        put_node(g, g->nodes[i], depth + 1, out);
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++)
            put_graph(g->nodes[i]->subgraphs[k], depth + 2, out);
    }
}

void ap_model_print(ap_model *m, ap_buf *out) {
    put_graph(m->graph, 0, out);
}
