// SPDX-License-Identifier: Apache-2.0
// Layouts below are our own declarations of what libQnnSystem.so (system API 1.15) hands out, LP64. They were
// measured on binaries for SoC 57 and 69, on one with two graphs and on one with quantized inputs.
#include "target/qnn_system.h"

#include "base/dylib.h"
#include "base/file.h"
#include "tensor/tensor.h"

#include <stddef.h>

#define MAX_GRAPHS 1024u
#define MAX_TENSORS 65536u
#define BINARY_INFO_VERSION 3u

typedef struct sys_provider {
    uint32_t backend_id;
    const char *name; // "SYSTEM_QTI_AISW"
    uint32_t version[3];
    uint64_t (*context_create)(void **out);
    void *get_binary_info; // older form of the next one
    uint64_t (*get_metadata)(void *ctx, const void *binary, uint64_t bytes, const void **out);
    uint64_t (*context_free)(void *ctx);
} sys_provider;

typedef struct sys_tensor {
    uint32_t version, pad0, id;
    const char *name;
    uint32_t type, format, datatype, quant_defined, quant_encoding;
    uint64_t quant[4];
    uint32_t rank;
    const uint32_t *dims;
    uint64_t rest[6];
} sys_tensor;

typedef struct sys_graph {
    uint32_t version;
    const char *name;
    uint32_t num_inputs;
    const sys_tensor *inputs;
    uint32_t num_outputs;
    const sys_tensor *outputs;
    uint64_t rest[5];
} sys_graph;

typedef struct sys_binary {
    uint32_t version, pad0, backend_id, pad1;
    const char *build_id;
    uint32_t core_api[3], backend_api[3];
    uint64_t unknown[6];
    uint32_t num_graphs;
    const sys_graph *graphs;
    uint64_t unknown2[3];
    uint32_t soc_model;
} sys_binary;

_Static_assert(sizeof(void *) != 8 ||
                   (sizeof(sys_tensor) == 144 && sizeof(sys_graph) == 88 &&
                    offsetof(sys_binary, num_graphs) == 96 && offsetof(sys_binary, soc_model) == 136),
               "layout of libQnnSystem's structures");

// QNN data type: kind in the high byte, bits as two hex digits in the low one (0x0232 = float 32). X(QNN,
// ours)
static const struct {
    uint32_t qnn;
    ap_dtype dtype;
} dtypes[] = {
    {0x0232, AP_F32}, {0x0216, AP_F16}, {0x0132, AP_U32},  {0x0032, AP_I32},
    {0x0064, AP_I64}, {0x0164, AP_U64}, {0x0108, AP_U8},   {0x0008, AP_I8},
    {0x0116, AP_U16}, {0x0016, AP_I16}, {0x0508, AP_BOOL}, {0x0408, AP_U8},
    {0x0308, AP_I8},  {0x0416, AP_U16}, {0x0316, AP_I16},  {0x0332, AP_I32},
};

static const char *dtype_name(uint32_t qnn) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].qnn == qnn) return ap_dtype_name(dtypes[i].dtype);
    return "unknown";
}

static ap_err tensors_json(const sys_tensor *list, uint32_t count, json_t **out) {
    if (count > MAX_TENSORS || (count > 0 && !list))
        return ap_err_new(AP_ERR_CORRUPT, "a context binary with %u graph tensors", count);
    json_t *all = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].rank > AP_MAX_RANK) {
            json_decref(all);
            return ap_err_new(AP_ERR_CORRUPT, "a graph tensor of rank %u in a context binary", list[i].rank);
        }
        json_t *dims = json_array();
        for (uint32_t d = 0; d < list[i].rank; d++)
            json_array_append_new(dims, json_integer((json_int_t)list[i].dims[d]));
        json_array_append_new(all, json_pack("{so,ss,so}", "name", ap_json_string(list[i].name), "dtype",
                                             dtype_name(list[i].datatype), "dims", dims));
    }
    *out = all;
    return NULL;
}

static ap_err graphs_json(const sys_binary *b, json_t **out) {
    json_t *all = json_array(), *in = NULL, *outs = NULL;
    ap_err err = NULL;
    if (b->num_graphs > MAX_GRAPHS) AP_FAIL(AP_ERR_CORRUPT, "a context binary with %u graphs", b->num_graphs);
    for (uint32_t i = 0; i < b->num_graphs; i++) {
        const sys_graph *g = &b->graphs[i];
        in = outs = NULL;
        AP_TRY(tensors_json(g->inputs, g->num_inputs, &in));
        AP_TRY(tensors_json(g->outputs, g->num_outputs, &outs));
        json_array_append_new(
            all, json_pack("{so,so,so}", "name", ap_json_string(g->name), "inputs", in, "outputs", outs));
        in = outs = NULL;
    }
    *out = all;
    all = NULL;
done:
    json_decref(in);
    json_decref(outs);
    json_decref(all);
    return err;
}

static ap_err describe_binary(const sys_binary *b, json_t **out) {
    json_t *graphs = NULL;
    if (b->version != BINARY_INFO_VERSION)
        return ap_err_new(AP_ERR_VENDOR,
                          "libQnnSystem describes the binary in layout %u, this aipc knows layout %u",
                          b->version, BINARY_INFO_VERSION);
    ap_err err = graphs_json(b, &graphs);
    if (err) return err;
    ap_buf core = {0}, backend = {0};
    ap_buf_printf(&core, "%u.%u.%u", b->core_api[0], b->core_api[1], b->core_api[2]);
    ap_buf_printf(&backend, "%u.%u.%u", b->backend_api[0], b->backend_api[1], b->backend_api[2]);
    *out = json_pack("{sI,so,sI,ss,ss,so}", "soc_model", (json_int_t)b->soc_model, "build_id",
                     ap_json_string(b->build_id), "backend_id", (json_int_t)b->backend_id, "core_api",
                     ap_buf_str(&core), "backend_api", ap_buf_str(&backend), "graphs", graphs);
    ap_buf_free(&core);
    ap_buf_free(&backend);
    return NULL;
}

static ap_err find_provider(void *lib, const char *path, const sys_provider **out) {
    uint64_t (*get)(const sys_provider ***, uint32_t *) = NULL;
    ap_err err = ap_dylib_function(lib, "QnnSystemInterface_getProviders", &get);
    if (err) return ap_err_subject(err, path);
    const sys_provider **providers = NULL;
    uint32_t count = 0;
    if (get(&providers, &count) != 0 || count == 0)
        return ap_err_new(AP_ERR_RUNTIME_LOAD, "%s offers no provider", path);
    *out = providers[0];
    return NULL;
}

ap_err ap_qnn_readback(const char *system_lib, const char *binary_path, json_t **out) {
    ap_filemap file = {0};
    const sys_provider *p = NULL;
    const void *info = NULL;
    void *ctx = NULL;
    void *lib = NULL;
    ap_err err = NULL;
    AP_TRY(ap_dylib_open(system_lib, &lib));
    AP_TRY(find_provider(lib, system_lib, &p));
    AP_TRY(ap_filemap_open(binary_path, &file));
    uint64_t rc = p->context_create(&ctx);
    if (rc != 0)
        AP_FAIL(AP_ERR_VENDOR, "QnnSystem cannot make a context (error %llu)", (unsigned long long)rc);
    rc = p->get_metadata(ctx, file.data, file.bytes, &info);
    if (rc != 0 || !info)
        AP_FAIL(AP_ERR_VENDOR, "QnnSystem refuses %s (error %llu): no context binary, or damaged",
                binary_path, (unsigned long long)rc);
    AP_TRY(describe_binary(info, out));
done:
    if (ctx) (void)p->context_free(ctx); // everything above borrowed from it
    ap_filemap_close(&file);
    ap_dylib_close(lib);
    return ap_err_subject(err, binary_path);
}
