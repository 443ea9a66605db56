// SPDX-License-Identifier: Apache-2.0
// How long a target takes that runs where we are.
#include "base/file.h"
#include "base/proc.h"
#include "plan/surgery/whole_priv.h"

#include <math.h>

// The best of many short runs: whatever else the machine does only ever makes a run longer.
enum { WARM = 2, LEAST = 7, MOST = 60 };
#define LONG_S 0.7

ap_err whole_measure(ap_whole_host *h, const char *dir, json_t *cost) {
    ap_arena a = {0};
    char *files = ap_path_join(&a, dir, "timed");
    double best = INFINITY, spent = 0;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(files));
    for (int i = 0; i < MOST && (i < LEAST || spent < LONG_S); i++) {
        json_t *result = NULL;
        AP_TRY(whole_call(h, false, "run", json_pack("{sO,ss}", "inputs", h->inputs, "dir", files), &result));
        double s = (double)ap_json_int(result, "vendor_us", 0) / 1e6;
        json_decref(result);
        spent += s;
        if (i >= WARM && s > 0 && s < best) best = s;
    }
    if (isfinite(best)) json_object_set_new(cost, "measured_ms", json_real(best * 1e3));
done:
    ap_arena_release(&a);
    return err;
}
