// SPDX-License-Identifier: Apache-2.0
// bigmodel: makes a large ONNX model, and times aipc's graph room on it.
//
//   bigmodel make FILE [MB]            a chain of MatMul and Relu with about MB (150) of float32 weights in
//   one file bigmodel copy IN OUT edited|kept   loads, saves, prints the seconds of each and the peak
//   resident memory
//
// "kept" writes the model as it was loaded, whose bytes go out as they came. "edited" gives the batch symbol
// a number first, so the whole message is packed again. Saving ends with fsync and rename, as everywhere in
// aipc.
#include "base/proc.h"
#include "graph/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SIDE = 1024, FLOAT32 = 1 };

static int fail(ap_err err) {
    fprintf(stderr, "bigmodel: %s\n", ap_err_message(err));
    ap_err_free(err);
    return 1;
}

// ---- just enough of the protobuf wire format to write a model without holding it

static void varint(ap_buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) ap_buf_putc(b, (char)(v | 0x80));
    ap_buf_putc(b, (char)v);
}

static void number(ap_buf *b, unsigned field, uint64_t v) {
    varint(b, field << 3);
    varint(b, v);
}

static void head(ap_buf *b, unsigned field, size_t len) {
    varint(b, field << 3 | 2);
    varint(b, len);
}

static void text(ap_buf *b, unsigned field, const char *s) {
    head(b, field, strlen(s));
    ap_buf_puts(b, s);
}

static void sub(ap_buf *b, unsigned field, ap_buf *inner) {
    head(b, field, inner->len);
    ap_buf_append(b, inner->data, inner->len);
    ap_buf_free(inner);
}

static void node(ap_buf *graph, const char *op, const char *a, const char *c, const char *out) {
    ap_buf n = {0};
    text(&n, 1, a);
    if (c) text(&n, 1, c);
    text(&n, 2, out);
    text(&n, 3, out);
    text(&n, 4, op);
    sub(graph, 1, &n);
}

static void io(ap_buf *graph, unsigned field, const char *name) {
    ap_buf n = {0}, w = {0}, shape = {0}, tensor = {0}, type = {0}, info = {0};
    text(&n, 2, "n");
    number(&w, 1, SIDE);
    sub(&shape, 1, &n);
    sub(&shape, 1, &w);
    number(&tensor, 1, FLOAT32);
    sub(&tensor, 2, &shape);
    sub(&type, 1, &tensor);
    text(&info, 1, name);
    sub(&info, 2, &type);
    sub(graph, field, &info);
}

static ap_err write_model(const char *path, size_t layers) {
    ap_buf graph = {0}, model = {0}, opset = {0};
    char in[32] = "x", mid[32], out[32], weight[32];
    for (size_t i = 0; i < layers; i++) {
        snprintf(weight, sizeof weight, "w%zu", i);
        snprintf(mid, sizeof mid, "m%zu", i);
        snprintf(out, sizeof out, "r%zu", i);
        node(&graph, "MatMul", in, weight, mid);
        node(&graph, "Relu", mid, NULL, out);
        memcpy(in, out, sizeof in);
    }
    text(&graph, 2, "big");
    float *data = ap_alloc(sizeof *data * SIDE * SIDE);
    uint32_t seed = 1;
    for (size_t i = 0; i < layers; i++) {
        ap_buf t = {0};
        number(&t, 1, SIDE);
        number(&t, 1, SIDE);
        number(&t, 2, FLOAT32);
        snprintf(weight, sizeof weight, "w%zu", i);
        text(&t, 8, weight);
        for (size_t k = 0; k < (size_t)SIDE * SIDE; k++) {
            seed = seed * 1664525u + 1013904223u;
            data[k] = (float)(seed >> 8) / 16777216.0f - 0.5f;
        }
        head(&t, 9, sizeof *data * SIDE * SIDE);
        ap_buf_append(&t, data, sizeof *data * SIDE * SIDE);
        sub(&graph, 5, &t);
    }
    io(&graph, 11, "x");
    io(&graph, 12, in);
    number(&model, 1, 8);
    text(&model, 2, "bigmodel");
    sub(&model, 7, &graph);
    number(&opset, 2, 17);
    sub(&model, 8, &opset);
    ap_err err = ap_file_write(path, model.data, model.len);
    ap_buf_free(&model);
    free(data);
    return err;
}

static ap_err copy(const char *from, const char *to, bool edit) {
    ap_model *m = NULL;
    uint64_t bytes = 0;
    ap_err err = NULL;
    AP_TRY(ap_file_size(from, &bytes));
    uint64_t start = ap_now_us();
    AP_TRY(ap_model_load(from, &m));
    uint64_t loaded = ap_now_us();
    if (edit) AP_TRY(ap_model_set_symbol(m, "n", 1));
    AP_TRY(ap_model_save(m, to, NULL));
    uint64_t saved = ap_now_us();
    ap_model_free(m);
    m = NULL;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    printf("{\"bytes\": %llu, \"load_s\": %.6f, \"save_s\": %.6f, \"peak_rss_bytes\": %lld}\n",
           (unsigned long long)bytes, (double)(loaded - start) / 1e6, (double)(saved - loaded) / 1e6,
           (long long)ru.ru_maxrss * 1024);
done:
    ap_model_free(m);
    return err;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "make") == 0) {
        size_t mb = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 150;
        ap_err err = write_model(argv[2], (mb * 1000000 + SIDE * SIDE * 2) / (SIDE * SIDE * 4));
        return err ? fail(err) : 0;
    }
    if (argc == 5 && strcmp(argv[1], "copy") == 0) {
        ap_err err = copy(argv[2], argv[3], strcmp(argv[4], "edited") == 0);
        return err ? fail(err) : 0;
    }
    fprintf(stderr, "usage: bigmodel make FILE [MB] | bigmodel copy IN OUT edited|kept\n");
    return 2;
}
