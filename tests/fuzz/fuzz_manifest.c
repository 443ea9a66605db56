// SPDX-License-Identifier: Apache-2.0
// manifest.json from hostile text: a CORRUPT error, or a document that is read the same way when written
// again.
#include "plan/artifact/artifact.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *first = NULL, *second = NULL;
    ap_err err = ap_manifest_parse((const char *)data, size, &first);
    if (err) {
        if (ap_err_code(err) != AP_ERR_CORRUPT || first) abort();
        ap_err_free(err);
        return 0;
    }
    char *text = ap_json_text(first, true);
    err = ap_manifest_parse(text, strlen(text), &second);
    if (err || !json_equal(first, second)) abort();
    free(text);
    json_decref(first);
    json_decref(second);
    return 0;
}
