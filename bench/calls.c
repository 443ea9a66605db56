// SPDX-License-Identifier: Apache-2.0
// calls: what a call of a deployed artifact costs beyond the model's own run.
//
//   calls ARTIFACT [CALLS]
//
// Prints a line for each way of calling: whole call, the vendor library's share, the rest; medians in
// microseconds. "lent outputs" is what `aipc exec` does; small ones are copied.
#include "plan/artifact/artifact_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum way { FRESH, INTO, LENT, IN_PLACE } way;
static const char *const ways[] = {"fresh outputs", "caller's outputs", "lent outputs", "shared memory"};

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *list, size_t n) {
    qsort(list, n, sizeof *list, ascending);
    return list[n / 2];
}

static void check(aipc_error *e) {
    if (!e) return;
    fprintf(stderr, "calls: %s\n", aipc_error_message(e));
    exit(1);
}

static void measure(aipc_artifact *a, way w, size_t calls) {
    size_t ins = a->input_count, outs = a->output_count;
    aipc_tensor *in = calloc(ins + 1, sizeof *in), *out = calloc(outs + 1, sizeof *out);
    double *whole = calloc(calls, sizeof *whole), *vendor = calloc(calls, sizeof *vendor),
           *rest = calloc(calls, sizeof *rest);
    void **own = calloc(outs + 1, sizeof *own);
    if (!in || !out || !own || !whole || !vendor || !rest) exit(1);
    for (size_t i = 0; i < ins; i++) {
        in[i] = a->inputs[i];
        in[i].data = w == IN_PLACE ? aipc_artifact_input_memory(a, i) : malloc(in[i].bytes + 1);
        if (!in[i].data) exit(1);
        memset(in[i].data, 0x3f,
               in[i].bytes); // pages of its own: one that was never written to costs nothing to read
    }
    for (size_t i = 0; i < outs && w != FRESH; i++) {
        out[i] = a->outputs[i];
        own[i] = calloc(out[i].bytes + 1, 1);
        out[i].data = w == IN_PLACE ? aipc_artifact_output_memory(a, i) : own[i];
    }
    for (size_t i = 0; i < calls; i++) {
        double start = now_us();
        ap_loan *loan = w == LENT ? ap_pool_lend(a->pool) : NULL;
        for (size_t k = 0; k < outs && w == LENT; k++)
            out[k].data = loan ? (uint8_t *)a->output_at[k] + ap_loan_behind(loan) : own[k];
        check(w == FRESH ? aipc_artifact_run(a, in, ins, out)
                         : aipc_artifact_run_into(a, in, ins, out, outs));
        if (loan) ap_loan_release(loan);
        whole[i] = now_us() - start;
        vendor[i] = (double)a->vendor_us;
        rest[i] = whole[i] - vendor[i];
        if (w == FRESH) aipc_outputs_free(out, outs);
    }
    printf("%-18s whole %9.1f  model %9.1f  rest %7.1f us\n", ways[w], median(whole, calls),
           median(vendor, calls), median(rest, calls));
    for (size_t i = 0; i < ins && w != IN_PLACE; i++) free(in[i].data);
    for (size_t i = 0; i < outs; i++) free(own[i]);
    free(own);
    free(in);
    free(out);
    free(whole);
    free(vendor);
    free(rest);
}

int main(int argc, char **argv) {
    aipc_context *c = NULL;
    aipc_artifact *a = NULL;
    if (argc < 2) return 2;
    long calls = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    check(aipc_context_open(NULL, &c));
    check(aipc_artifact_open(c, argv[1], NULL, &a));
    size_t in = 0, out = 0;
    for (size_t i = 0; i < a->input_count; i++) in += a->inputs[i].bytes;
    for (size_t i = 0; i < a->output_count; i++) out += a->outputs[i].bytes;
    printf("%s: %zu bytes in, %zu bytes out, %ld calls\n", argv[1], in, out, calls);
    for (way w = FRESH; w <= IN_PLACE; w++) measure(a, w, calls > 0 ? (size_t)calls : 1);
    aipc_artifact_close(a);
    aipc_context_close(c);
    return 0;
}
