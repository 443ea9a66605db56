// SPDX-License-Identifier: Apache-2.0
// Damages a model in every way a disk or a line can: `mutate MODEL [SAMPLES]`.
//
// Cut short at every byte, each bit of every byte flipped, each byte set to 0x00, 0x7f, 0x80, 0xff. With
// SAMPLES only that many positions, spread evenly. A model that does not load must say so as an error of the
// model family with a message; one that loads must verify, pack and count. Runs in one process under the
// sanitizers: a bad read ends the test.
#include "base/file.h"
#include "graph/inspect.h"
#include "graph/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t loaded, refused, failures;

static void complain(const char *what, size_t at, const char *how) {
    if (failures++ < 20) printf("not ok %s at byte %zu: %s\n", what, at, how);
}

// Bytes of exactly the right size on the heap, so that the sanitizer sees the first one read too many.
static void check(const uint8_t *bytes, size_t len, const char *dir, const char *what, size_t at) {
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy) exit(1);
    memcpy(copy, bytes, len);
    ap_model *m = NULL;
    json_t *stats = NULL;
    ap_buf out = {0};
    ap_err e = ap_model_parse(copy, len, dir, &m);
    if (e) {
        refused++;
        if (ap_code_exit(ap_err_code(e)) != AP_EXIT_MODEL) complain(what, at, ap_err_message(e));
        if (strlen(ap_err_message(e)) < 10) complain(what, at, "no message");
    } else {
        loaded++;
        e = ap_model_verify(m);
        if (!e) e = ap_model_bytes(m, &out);
        if (!e) e = ap_model_stats(m, NULL, &stats);
        if (e && ap_code_exit(ap_err_code(e)) != AP_EXIT_MODEL) complain(what, at, ap_err_message(e));
        if (!stats && !e) complain(what, at, "no statistics");
    }
    ap_err_free(e);
    json_decref(stats);
    ap_buf_free(&out);
    ap_model_free(m);
    free(copy);
}

static void damage(uint8_t *bytes, size_t len, const char *dir, size_t at) {
    const uint8_t was = bytes[at], values[] = {0, 0x7f, 0x80, 0xff};
    check(bytes, at, dir, "cut", at);
    for (unsigned bit = 0; bit < 8; bit++) {
        bytes[at] = (uint8_t)(was ^ 1u << bit);
        check(bytes, len, dir, "bit flipped", at);
    }
    for (size_t i = 0; i < sizeof values; i++) {
        bytes[at] = values[i];
        check(bytes, len, dir, "byte set", at);
    }
    bytes[at] = was;
}

int main(int argc, char **argv) {
    ap_buf file = {0};
    ap_arena a = {0};
    if (argc < 2) return 2;
    ap_err e = ap_file_read(argv[1], (size_t)1 << 30, &file);
    if (e) {
        printf("not ok %s\n", ap_err_message(e));
        return 1;
    }
    const char *dir = ap_path_dir(&a, argv[1]);
    size_t samples = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : file.len;
    if (samples > file.len) samples = file.len;
    for (size_t i = 0; i < samples; i++)
        damage((uint8_t *)file.data, file.len, dir, (size_t)((unsigned __int128)file.len * i / samples));
    printf("%s mutate %s: %zu positions of %zu, %zu models refused, %zu loaded\n", failures ? "not ok" : "ok",
           ap_path_base(argv[1]), samples, file.len, refused, loaded);
    ap_buf_free(&file);
    ap_arena_release(&a);
    return failures ? 1 : 0;
}
