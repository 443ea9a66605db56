// SPDX-License-Identifier: Apache-2.0
// Writes the models of the error tests: `make_models DIR`. One good model, and copies of it with one thing
// wrong each.
//
// They are made from the graph room's own messages, without its checks: what they hold could come from
// anywhere.
#include "base/file.h"
#include "base/hash.h"
#include "onnx_subset.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 4, MAX_DIMS = 4, FLOAT = 1 };

// One model, all of its messages in place: y = Relu(x · w + b).
typedef struct net {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset[MAX_ITEMS], *opset_list[MAX_ITEMS];
    Onnx__NodeProto node[MAX_ITEMS], *node_list[MAX_ITEMS];
    char *node_in[MAX_ITEMS][MAX_ITEMS], *node_out[MAX_ITEMS][MAX_ITEMS];
    Onnx__TensorProto init[MAX_ITEMS], *init_list[MAX_ITEMS];
    int64_t init_dims[MAX_ITEMS][MAX_DIMS];
    Onnx__StringStringEntryProto ext[MAX_ITEMS], *ext_list[MAX_ITEMS];
    struct io {
        Onnx__ValueInfoProto info;
        Onnx__TypeProto type;
        Onnx__TypeProto__Tensor tensor;
        Onnx__TensorShapeProto shape;
        Onnx__TensorShapeProto__Dimension dim[MAX_DIMS], *dim_list[MAX_DIMS];
    } io[MAX_ITEMS];
    Onnx__ValueInfoProto *in_list[MAX_ITEMS], *out_list[MAX_ITEMS];
    size_t io_count, ext_count;
} net;

static const char *folder;
static float weights[12] = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12}, bias[3] = {0.5f, -0.25f, 4};

static _Noreturn void die(ap_err e) {
    fprintf(stderr, "make_models: %s\n", ap_err_message(e));
    exit(1);
}

static char *path_of(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t bytes) {
    ap_err e = ap_file_write(path_of(name), data, bytes);
    if (e) die(e);
}

static Onnx__NodeProto *add_node(net *n, const char *op, const char *name, const char *in0, const char *in1,
                                 const char *out) {
    size_t i = n->graph.n_node++;
    Onnx__NodeProto *p = n->node_list[i] = &n->node[i];
    onnx__node_proto__init(p);
    p->op_type = (char *)(uintptr_t)op;
    p->name = (char *)(uintptr_t)name;
    p->input = n->node_in[i];
    p->output = n->node_out[i];
    p->input[p->n_input++] = (char *)(uintptr_t)in0;
    if (in1) p->input[p->n_input++] = (char *)(uintptr_t)in1;
    p->output[p->n_output++] = (char *)(uintptr_t)out;
    return p;
}

static Onnx__TensorProto *add_init(net *n, const char *name, const void *data, size_t bytes, int64_t d0,
                                   int64_t d1) {
    size_t i = n->graph.n_initializer++;
    Onnx__TensorProto *t = n->init_list[i] = &n->init[i];
    onnx__tensor_proto__init(t);
    t->name = (char *)(uintptr_t)name;
    t->has_data_type = 1;
    t->data_type = FLOAT;
    t->dims = n->init_dims[i];
    t->dims[t->n_dims++] = d0;
    if (d1) t->dims[t->n_dims++] = d1;
    t->has_raw_data = data != NULL;
    t->raw_data.data = (uint8_t *)(uintptr_t)data;
    t->raw_data.len = bytes;
    return t;
}

// A dim that starts with a digit or '-' is a number, "?" is one without a name, all else a symbol.
static void add_io(net *n, bool input, const char *name, const char *const dims[], size_t rank) {
    struct io *io = &n->io[n->io_count++];
    onnx__value_info_proto__init(&io->info);
    onnx__type_proto__init(&io->type);
    onnx__type_proto__tensor__init(&io->tensor);
    onnx__tensor_shape_proto__init(&io->shape);
    io->info.name = (char *)(uintptr_t)name;
    io->info.type = &io->type;
    io->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    io->type.tensor_type = &io->tensor;
    io->tensor.has_elem_type = 1;
    io->tensor.elem_type = FLOAT;
    io->tensor.shape = &io->shape;
    io->shape.dim = io->dim_list;
    io->shape.n_dim = rank;
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = io->dim_list[i] = &io->dim[i];
        onnx__tensor_shape_proto__dimension__init(d);
        if (strchr("-0123456789", dims[i][0])) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = strtoll(dims[i], NULL, 10);
        } else if (dims[i][0] != '?') {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = (char *)(uintptr_t)dims[i];
        }
    }
    if (input)
        n->in_list[n->graph.n_input++] = &io->info;
    else
        n->out_list[n->graph.n_output++] = &io->info;
}
#define IO(n, input, name, ...)                                                                              \
    add_io(n, input, name, (const char *const[]){__VA_ARGS__},                                               \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void add_opset(net *n, const char *domain, int64_t version) {
    size_t i = n->model.n_opset_import++;
    Onnx__OperatorSetIdProto *o = n->opset_list[i] = &n->opset[i];
    onnx__operator_set_id_proto__init(o);
    o->domain = (char *)(uintptr_t)domain;
    o->has_version = 1;
    o->version = version;
}

static void start(net *n) {
    memset(n, 0, sizeof *n);
    onnx__model_proto__init(&n->model);
    onnx__graph_proto__init(&n->graph);
    n->model.has_ir_version = 1;
    n->model.ir_version = 8;
    n->model.graph = &n->graph;
    n->model.opset_import = n->opset_list;
    n->graph.name = (char *)(uintptr_t) "g";
    n->graph.node = n->node_list;
    n->graph.initializer = n->init_list;
    n->graph.input = n->in_list;
    n->graph.output = n->out_list;
    add_opset(n, "", 13);
}

static void body(net *n) {
    add_node(n, "MatMul", "mul", "x", "w", "xw");
    add_node(n, "Add", "add", "xw", "b", "sum");
    add_node(n, "Relu", "relu", "sum", NULL, "y");
}

static net *good(void) {
    static net n;
    start(&n);
    body(&n);
    add_init(&n, "w", weights, sizeof weights, 4, 3);
    add_init(&n, "b", bias, sizeof bias, 3, 0);
    IO(&n, true, "x", "1", "4");
    IO(&n, false, "y", "1", "3");
    return &n;
}

static void save(const net *n, const char *name) {
    size_t bytes = onnx__model_proto__get_packed_size(&n->model);
    uint8_t *data = malloc(bytes ? bytes : 1);
    if (!data) exit(1);
    onnx__model_proto__pack(&n->model, data);
    write_file(name, data, bytes);
    free(data);
}

static void set_ext(net *n, const char *key, const char *value) {
    size_t i = n->ext_count++;
    Onnx__StringStringEntryProto *e = n->ext_list[i] = &n->ext[i];
    onnx__string_string_entry_proto__init(e);
    e->key = (char *)(uintptr_t)key;
    e->value = (char *)(uintptr_t)value;
    n->init[0].n_external_data = n->ext_count;
}

// "w" lies in another file.
static void external(const char *name, const char *location, const char *offset) {
    net *n = good();
    Onnx__TensorProto *w = &n->init[0];
    w->has_raw_data = 0;
    w->has_data_location = 1;
    w->data_location = ONNX__TENSOR_PROTO__LOCATION__EXTERNAL;
    w->external_data = n->ext_list;
    set_ext(n, "location", location);
    if (offset) set_ext(n, "offset", offset);
    save(n, name);
}

static void external_models(void) {
    external("ext_good.onnx", "weights.bin", NULL);
    external("ext_empty.onnx", "empty.bin", NULL);
    external("ext_dotdot.onnx", "../secret.bin", NULL);
    external("ext_dotdot_inside.onnx", "sub/../weights.bin", NULL);
    external("ext_absolute.onnx", "/etc/passwd", NULL);
    external("ext_link.onnx", "link.bin", NULL); // the script makes the link
    external("ext_link_dir.onnx", "away/weights.bin", NULL);
    external("ext_missing.onnx", "nowhere.bin", NULL);
    external("ext_folder.onnx", "sub", NULL);
    external("ext_beyond.onnx", "weights.bin", "16");
    external("ext_offset.onnx", "weights.bin", "-4");
    external("ext_overflow.onnx", "weights.bin", "18446744073709551600");
    write_file("weights.bin", weights, sizeof weights);
    write_file("empty.bin", "", 0);
}

static void dim_models(void) {
    net *n = good();
    n->init_dims[0][0] = n->init_dims[0][1] = (int64_t)1 << 33;
    save(n, "dims_overflow.onnx");
    n = good();
    n->init_dims[0][0] = -4;
    save(n, "dims_negative.onnx");
    n = good();
    n->init_dims[0][0] = 5;
    save(n, "dims_too_few_bytes.onnx");
    n = good();
    n->io[0].dim[0].dim_value = n->io[0].dim[1].dim_value = (int64_t)1 << 40;
    save(n, "input_overflow.onnx");
    n = good();
    n->io[0].dim[0].dim_value = -2;
    save(n, "input_negative.onnx");
    n = good();
    n->io[0].dim[0].dim_value = (int64_t)1 << 40; // fits the arithmetic, not the machine
    save(n, "input_huge.onnx");
}

static void graph_models(void) {
    net *n = good();
    n->node_in[0][0] = (char *)(uintptr_t) "y";
    save(n, "cycle.onnx");
    n = good();
    n->node_in[1][1] = (char *)(uintptr_t) "sum";
    save(n, "cycle_self.onnx");
    n = good();
    n->graph.n_initializer = 1;
    save(n, "missing_initializer.onnx");
    n = good();
    n->node_out[1][0] = (char *)(uintptr_t) "xw";
    save(n, "two_makers.onnx");
    n = good();
    n->node[2].op_type = (char *)(uintptr_t) "Frobnicate";
    save(n, "unknown_op.onnx");
    n = good();
    n->node[2].domain = (char *)(uintptr_t) "com.acme";
    save(n, "unknown_domain.onnx");
    add_opset(n, "com.acme", 1);
    save(n, "unknown_domain_imported.onnx");
    n = good();
    n->opset[0].version = 99;
    save(n, "opset_99.onnx");
    n = good();
    n->graph.n_output = 0;
    save(n, "no_output.onnx");
    n = good();
    n->init[0].data_type = 99;
    save(n, "unknown_dtype.onnx");
}

static void symbolic_models(void) {
    static net n;
    start(&n);
    add_node(&n, "Add", "add", "left", "right", "y");
    IO(&n, true, "left", "batch", "3", "height", "width");
    IO(&n, true, "right", "batch", "3", "?", "width");
    IO(&n, false, "y", "batch", "3", "height", "width");
    save(&n, "symbolic.onnx");
}

// .npy files that do not fit the good model's x[1,4] float32, and one that does.
static void npy(const char *name, const char *descr, const char *shape, const void *data, size_t bytes) {
    char all[256 + 64] = "\x93NUMPY\x01";
    char head[128];
    int n =
        snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    memset(all + 10, ' ', 118);
    memcpy(all + 10, head, (size_t)n);
    all[7] = 0;
    all[8] = 118;
    all[9] = 0;
    all[127] = '\n';
    memcpy(all + 128, data, bytes);
    write_file(name, all, 128 + bytes);
}

static void inputs(void) {
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    double d[4] = {1, 2, 3, 4};
    npy("x.npy", "<f4", "(1, 4)", x, 16);
    npy("x_shape.npy", "<f4", "(2, 4)", x, 32);
    npy("x_rank.npy", "<f4", "(4,)", x, 16);
    npy("x_double.npy", "<f8", "(1, 4)", d, sizeof d);
    npy("x_short.npy", "<f4", "(1, 4)", x, 12);
    npy("x_overflow.npy", "<f4", "(4611686018427387904, 4)", x, 16);
    npy("x_object.npy", "|O", "(1, 4)", x, 16);
    x[2] = strtof("nan", NULL);
    npy("x_nan.npy", "<f4", "(1, 4)", x, 16);
    x[2] = 3;
    x[3] = -strtof("inf", NULL);
    npy("x_inf.npy", "<f4", "(1, 4)", x, 16);
    write_file("x_short.raw", x, 12);
    write_file("x_text.npy", "this is no numpy file\n", 22);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_models DIR\n");
        return 2;
    }
    folder = argv[1];
    ap_err e = ap_mkdirs(folder);
    if (!e) e = ap_mkdirs(path_of("sub"));
    if (e) die(e);
    save(good(), "good.onnx");
    external_models();
    dim_models();
    graph_models();
    symbolic_models();
    inputs();
    write_file("empty.onnx", "", 0);
    write_file("checkpoint.pt", "PK\3\4\0\0\10\10\0\0archive/data.pkl", 26);
    write_file("weights.safetensors", "\20\0\0\0\0\0\0\0{\"w\":{}}        ", 24);
    write_file("pointer.onnx", "version https://example.org/spec/v1\noid sha256:0\n", 49);
    write_file("text.onnx", "Dear reader,\nthis is a letter and not a model.\n", 47);
    return 0;
}
