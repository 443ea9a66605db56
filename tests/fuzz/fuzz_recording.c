// SPDX-License-Identifier: Apache-2.0
// The log of a recorded process from hostile text: whatever it says, the document that comes of it can be
// judged and written, sums do not overflow, and no file outside the process's folder is named.
#include "plan/recording/recording.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_files(const json_t *files) {
    size_t i;
    json_t *one;
    json_array_foreach(files, i, one) {
        const char *name = json_string_value(one);
        if (!name || strncmp(name, "p1-a/", 5) != 0 || strchr(name + 5, '/') || strstr(name, "..")) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = memchr(data, 0, size); // the counters stand behind the first NUL
    size_t text = nul ? (size_t)(nul - data) : size;
    json_t *doc = json_pack("{s[],s[],s[],sf,sf,sf}", "processes", "models", "notes", "recorded_s", 0.0,
                            "copies_s", 0.0, "overhead_s", 0.0);
    ap_err_free(ap_recording_log((const char *)data, text, "p1-a", data + text, size - text, doc));
    size_t i, k, n;
    json_t *m, *sig, *sample;
    json_array_foreach(json_object_get(doc, "models"), i, m) {
        json_array_foreach(json_object_get(m, "signatures"), k, sig) {
            json_array_foreach(json_object_get(sig, "samples"), n, sample) {
                check_files(json_object_get(sample, "inputs"));
                check_files(json_object_get(sample, "outputs"));
            }
        }
    }
    ap_recording_judge(doc);
    char *out = ap_json_text(doc, true);
    free(out);
    json_t *chosen = NULL;
    ap_err_free(ap_recording_choose(doc, NULL, &chosen));
    json_decref(chosen);
    json_decref(doc);
    return 0;
}
