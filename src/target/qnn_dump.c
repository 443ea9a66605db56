// SPDX-License-Identifier: Apache-2.0
#include "target/qnn_dump.h"

#include "base/map.h"

#include <ctype.h>
#include <string.h>

#define TENSOR_STATIC 4
#define MAX_DIMS 16

typedef struct dump {
    const json_t *nodes, *tensors;
    ap_map maker; // tensor → json node
    ap_arena *arena;
    ap_qnn_layer *list;
    size_t count, cap;
    ap_map state; // node name → visiting / done
} dump;

static ap_err dims_of(const dump *d, const char *tensor, int64_t dims[MAX_DIMS], size_t *rank,
                      int64_t *elements) {
    const json_t *list = json_object_get(json_object_get(d->tensors, tensor), "dims");
    size_t n = json_array_size(list);
    int64_t total = 1;
    if (n > MAX_DIMS) return ap_err_new(AP_ERR_VENDOR, "QNN graph: tensor '%s' has rank %zu", tensor, n);
    for (size_t i = 0; i < n; i++) {
        dims[i] = json_integer_value(json_array_get(list, i));
        if (dims[i] < 0 || __builtin_mul_overflow(total, dims[i], &total))
            return ap_err_new(AP_ERR_VENDOR, "QNN graph: tensor '%s' has an impossible size", tensor);
    }
    *rank = n;
    *elements = total;
    return NULL;
}

// Bytes an element takes on the device. The low byte of a QNN type is its width as two decimal-looking hex
// digits (0x0408 = 8, 0x0416 = 16, 0x0232 = 32); the high byte 0x02 is floating point, which HTP keeps in 16
// bits.
static int64_t element_bytes(int64_t type) {
    int64_t bits = ((type >> 4) & 0xf) * 10 + (type & 0xf);
    if ((type >> 8) == 2) return 2;
    return bits >= 8 ? bits / 8 : 1;
}

static ap_err tensor_bytes(const dump *d, const char *name, int64_t *bytes, bool *is_static) {
    const json_t *t = json_object_get(d->tensors, name);
    int64_t dims[MAX_DIMS], n = 0;
    size_t rank = 0;
    ap_err err = dims_of(d, name, dims, &rank, &n);
    if (err) return err;
    if (__builtin_mul_overflow(n, element_bytes(ap_json_int(t, "data_type", 0x0232)), bytes))
        return ap_err_new(AP_ERR_VENDOR, "QNN graph: tensor '%s' has an impossible size", name);
    *is_static = ap_json_int(t, "type", 3) == TENSOR_STATIC;
    return NULL;
}

static const char *tensor_at(const json_t *node, const char *list, size_t i) {
    const char *s = json_string_value(json_array_get(json_object_get(node, list), i));
    return s ? s : "";
}

// MACs by QNN's definition of the op. Convolution weights are [kernel…, in/group, out], a transposed one
// works the other way round: every input element meets every kernel element of every output channel of its
// group.
static ap_err count_macs(const dump *d, const json_t *node, int64_t *macs) {
    const char *op = ap_json_str(node, "type", "");
    int64_t in[MAX_DIMS], w[MAX_DIMS], out[MAX_DIMS], n_in = 0, n_w = 0, n_out = 0, per = 0;
    size_t r_in = 0, r_w = 0, r_out = 0;
    ap_err err = NULL;
    *macs = 0;
    bool transposed = strncmp(op, "TransposeConv", 13) == 0;
    // Conv2d, Conv3d; not Convert
    bool conv = (strncmp(op, "Conv", 4) == 0 && isdigit((unsigned char)op[4])) ||
                strncmp(op, "DepthWiseConv", 13) == 0;
    bool matmul = strcmp(op, "MatMul") == 0 || strcmp(op, "FullyConnected") == 0;
    if (!conv && !transposed && !matmul) return NULL;
    AP_TRY(dims_of(d, tensor_at(node, "input_names", 0), in, &r_in, &n_in));
    AP_TRY(dims_of(d, tensor_at(node, "input_names", 1), w, &r_w, &n_w));
    AP_TRY(dims_of(d, tensor_at(node, "output_names", 0), out, &r_out, &n_out));
    int64_t base = n_out;
    if (conv && r_w > 0 && w[r_w - 1] > 0) per = n_w / w[r_w - 1];
    if (transposed && r_w > 1 && w[r_w - 2] > 0) per = n_w / w[r_w - 2], base = n_in;
    if (matmul && r_out > 0 && r_w > 0 && out[r_out - 1] > 0) {
        // The inner size: what is left of B when its share of the output's last dim is taken away.
        int64_t last = out[r_out - 1];
        per = r_w >= 2 ? (w[r_w - 1] == last ? w[r_w - 2] : w[r_w - 1]) : w[0];
    }
    if (__builtin_mul_overflow(base, per, macs))
        AP_FAIL(AP_ERR_VENDOR, "QNN graph: too many operations in '%s'", op);
done:
    return err;
}

static ap_err add_bytes(const dump *d, const json_t *node, const char *which, ap_qnn_layer *l) {
    const json_t *list = json_object_get(node, which);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t bytes = 0;
        bool is_static = false;
        ap_err err = tensor_bytes(d, tensor_at(node, which, i), &bytes, &is_static);
        if (err) return err;
        int64_t *sum = is_static ? &l->weight_bytes : &l->activation_bytes;
        if (__builtin_add_overflow(*sum, bytes, sum))
            return ap_err_new(AP_ERR_VENDOR, "QNN graph: sizes overflow");
    }
    return NULL;
}

static ap_err add_layer(dump *d, const char *name, const json_t *node) {
    ap_qnn_layer *l = &d->list[d->count];
    *l = (ap_qnn_layer){.name = name, .op = ap_json_str(node, "type", "?")};
    ap_err err = count_macs(d, node, &l->macs);
    if (!err) err = add_bytes(d, node, "input_names", l);
    if (!err) err = add_bytes(d, node, "output_names", l);
    if (!err) d->count++;
    return err;
}

// Depth-first over makers with a stack of its own: graphs are deep.
static ap_err visit(dump *d, const char *start, const char **stack, char *marks) {
    size_t depth = 0;
    ap_err err = NULL;
    stack[depth++] = start;
    while (depth > 0 && !err) {
        const char *name = stack[depth - 1];
        const json_t *node = json_object_get(d->nodes, name);
        int64_t i = ap_map_get_index(&d->state, name);
        if (marks[i] == 2) {
            depth--;
            continue;
        }
        bool ready = true;
        const json_t *inputs = json_object_get(node, "input_names");
        for (size_t k = 0; marks[i] == 0 && k < json_array_size(inputs); k++) {
            const char *maker = ap_map_get(&d->maker, tensor_at(node, "input_names", k));
            int64_t j = maker ? ap_map_get_index(&d->state, maker) : -1;
            if (j < 0 || marks[j] != 0 || j == i) continue;
            // A node enters the stack at most once per consumer that is being opened, and is opened only
            // once.
            if (depth >= d->cap) return ap_err_new(AP_ERR_VENDOR, "QNN graph: too many edges");
            stack[depth++] = maker;
            ready = false;
        }
        if (ready || marks[i] == 1) {
            err = add_layer(d, name, node);
            marks[i] = 2;
            depth--;
        } else {
            marks[i] = 1;
        }
    }
    return err;
}

ap_err ap_qnn_dump_layers(const json_t *j, ap_arena *arena, ap_qnn_layer **out, size_t *count) {
    dump d = {.arena = arena};
    const char *key;
    json_t *node, *graph = NULL, *nodes = NULL, *tensors = NULL;
    size_t edges = 1;
    ap_err err = NULL;
    AP_TRY(ap_json_get_obj(j, "graph", "QNN graph", AP_ERR_VENDOR, &graph));
    AP_TRY(ap_json_get_obj(graph, "nodes", "QNN graph", AP_ERR_VENDOR, &nodes));
    AP_TRY(ap_json_get_obj(graph, "tensors", "QNN graph", AP_ERR_VENDOR, &tensors));
    d.nodes = nodes;
    d.tensors = tensors;
    json_object_foreach(nodes, key, node) {
        ap_map_set_index(&d.state, key, d.state.count);
        const json_t *outputs = json_object_get(node, "output_names");
        for (size_t i = 0; i < json_array_size(outputs); i++)
            ap_map_set(&d.maker, tensor_at(node, "output_names", i), (void *)(uintptr_t)key);
        edges += json_array_size(json_object_get(node, "input_names")) + 1;
    }
    d.cap = edges;
    d.list = ap_arena_calloc(arena, d.state.count + 1, sizeof *d.list);
    const char **stack = ap_arena_calloc(arena, edges, sizeof *stack);
    char *marks = ap_arena_calloc(arena, d.state.count + 1, 1);
    json_object_foreach(nodes, key, node) AP_TRY(visit(&d, key, stack, marks));
    *out = d.list;
    *count = d.count;
done:
    ap_map_free(&d.maker);
    ap_map_free(&d.state);
    return err;
}
