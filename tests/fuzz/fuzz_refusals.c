// SPDX-License-Identifier: Apache-2.0
// Log lines of a vendor library, hostile: a list of named nodes, each once.
#include "target/refusals.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = ap_strndup((const char *)data, size), *rest = NULL;
    const char *lines[LINES_MAX];
    size_t count = 0;
    // A log entry may hold line feeds of its own; \1 ends one here.
    for (char *l = strtok_r(text, "\1", &rest); l && count < LINES_MAX; l = strtok_r(NULL, "\1", &rest))
        lines[count++] = l;
    json_t *list = ap_refusals_parse(lines, count), *entry;
    if (json_array_size(list) > count) abort();
    size_t i;
    json_array_foreach(list, i, entry) {
        char plain[64];
        const char *node = ap_json_str(entry, "node", NULL);
        if (!node || !ap_json_str(entry, "op", NULL) || !ap_json_str(entry, "reason", NULL)) abort();
        ap_refusals_plain_name(node, plain, sizeof plain);
        if (strlen(plain) >= sizeof plain) abort();
    }
    json_decref(list);
    free(text);
    return 0;
}
