// SPDX-License-Identifier: Apache-2.0
// A record of the journal from hostile text: a CORRUPT error, or a record whose files all lie in its own
// folder.
#include "plan/work/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *record = NULL, *f;
    size_t i;
    ap_err err = ap_record_parse((const char *)data, size, &record);
    if (err) {
        if (ap_err_code(err) != AP_ERR_CORRUPT || record) abort();
        ap_err_free(err);
        return 0;
    }
    json_array_foreach(json_object_get(record, "files"), i, f) {
        const char *name = ap_json_str(f, "file", "");
        if (!*name || strchr(name, '/') || strcmp(name, "..") == 0 || ap_json_int(f, "bytes", -1) < 0)
            abort();
    }
    // What is done to the lists of tensors of a record, whatever they hold.
    json_t *tensors = json_object_get(record, "outputs");
    ap_tensors_to_paths(tensors, "folder");
    ap_tensors_to_names(tensors);
    char hex[65];
    ap_store_key(record, hex);
    if (strlen(hex) != 64) abort();
    json_decref(record);
    return 0;
}
