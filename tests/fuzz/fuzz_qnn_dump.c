// SPDX-License-Identifier: Apache-2.0
// The vendor's JSON form of a graph, hostile: a VENDOR error, or layers with sizes that make sense.
#include "target/qnn_dump.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *dump = NULL;
    ap_qnn_layer *layers = NULL;
    size_t count = 0;
    ap_arena arena = {0};
    ap_err err = ap_json_parse((const char *)data, size, "QNN graph", AP_ERR_VENDOR, &dump);
    if (!err) err = ap_qnn_dump_layers(dump, &arena, &layers, &count);
    if (err && ap_err_code(err) != AP_ERR_VENDOR) abort();
    for (size_t i = 0; !err && i < count; i++)
        if (!layers[i].name || !layers[i].op || layers[i].macs < 0 || layers[i].weight_bytes < 0 ||
            layers[i].activation_bytes < 0)
            abort();
    ap_err_free(err);
    ap_arena_release(&arena);
    json_decref(dump);
    return 0;
}
