// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/whole.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ap_whole_release(ap_whole *w) {
    json_decref(w->refused);
    json_decref(w->wrong);
    json_decref(w->gates);
    json_decref(w->cost);
    free(w->error);
    *w = (ap_whole){0};
}

size_t ap_whole_failed_gates(const ap_whole *w, double *worst_db) {
    size_t i, failed = 0;
    json_t *g;
    *worst_db = (double)INFINITY;
    json_array_foreach(w->gates, i, g) {
        failed += !strcmp(ap_json_str(g, "verdict", ""), "fail");
        if (strcmp(ap_json_str(g, "metric", ""), "sqnr_db") != 0) continue;
        double db = ap_json_to_real(json_object_get(g, "value"));
        if (!(db >= *worst_db)) *worst_db = db;
    }
    return failed;
}

double ap_whole_cost(const ap_whole *w) {
    const json_t *measured = w->cost ? json_object_get(w->cost, "measured_ms") : NULL;
    const json_t *v = measured ? measured : w->cost ? json_object_get(w->cost, "estimate_ms") : NULL;
    double ms = json_is_number(v) ? json_number_value(v) : NAN;
    return ms > 0 ? ms : NAN;
}

void ap_whole_say(const ap_whole_asker *a, const char *fmt, ...) {
    ap_buf text = {0};
    va_list args;
    if (!a->progress) return;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    a->progress(a->user, ap_buf_str(&text));
    ap_buf_free(&text);
}

void ap_rewritten_release(ap_rewritten *r) {
    ap_model_free(r->model);
    ap_buf_free(&r->bytes);
    ap_whole_release(&r->whole);
    json_decref(r->steps);
    *r = (ap_rewritten){0};
}
