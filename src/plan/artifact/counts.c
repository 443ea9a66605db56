// SPDX-License-Identifier: Apache-2.0
// served-PID-N.jsonl names the counters of served-PID-N.bin (little-endian u64).
#include "plan/artifact/counts.h"

#include "base/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BYTES = AP_COUNT_SLOTS * sizeof(uint64_t), SERVERS = 64 };

// The first pair of files that is nobody's yet.
static int create(ap_arena *a, const char *dir, const char **log) {
    int fd = -1;
    for (int i = 0; i < SERVERS && fd < 0; i++) {
        const char *base = ap_arena_printf(a, "%s/served-%ld-%d", dir, (long)getpid(), i);
        fd = open(ap_arena_printf(a, "%s.bin", base), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        *log = ap_arena_printf(a, "%s.jsonl", base);
    }
    return fd;
}

// This process's files; those of a fork's parent are let go.
static void ready(ap_counts *c) {
    const char *dir = getenv("AIPC_HOOK_DIR"), *log = NULL;
    ap_arena a = {0};
    if (c->owner == getpid()) return;
    ap_counts_close(c);
    c->owner = getpid();
    int fd = dir && *dir ? create(&a, dir, &log) : -1;
    if (fd >= 0) {
        void *p = ftruncate(fd, BYTES) == 0 ? mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                                            : MAP_FAILED;
        if (p != MAP_FAILED) c->bins = p;
        (void)close(fd);
        c->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    ap_arena_release(&a);
}

// The slot of a line, made when there is none; the last one takes what does not fit.
static size_t slot_of(ap_counts *c, json_t *line, bool *first) {
    char *text = ap_json_text(line, false);
    size_t i = 0;
    while (i < c->used && strcmp(c->lines[i], text) != 0) i++;
    *first = i == c->used && i < AP_COUNT_SLOTS;
    if (!*first) {
        free(text);
        return i < AP_COUNT_SLOTS ? i : AP_COUNT_SLOTS - 1;
    }
    c->lines[c->used++] = text;
    json_object_set_new(line, "slot", json_integer((json_int_t)i));
    ap_buf out = {.data = ap_json_text(line, false)};
    out.len = strlen(out.data);
    ap_buf_putc(&out, '\n');
    if (c->log >= 0 && write(c->log, out.data, out.len) != (ssize_t)out.len) { // a full disk: not counted
        (void)close(c->log);
        c->log = -1;
    }
    ap_buf_free(&out);
    return i;
}

size_t ap_counts_slot(ap_counts *c, const char *model, const char *artifact, const char *target,
                      const char *why, bool *first) {
    ready(c);
    json_t *line =
        json_pack("{so,so,so,so}", "model", ap_json_string(model), "artifact", ap_json_string(artifact),
                  "target", ap_json_string(target), "why", ap_json_string(why));
    size_t slot = slot_of(c, line, first);
    json_decref(line);
    return slot;
}

void ap_counts_add(ap_counts *c, size_t slot) {
    if (c->bins) c->bins[slot]++;
}

void ap_counts_close(ap_counts *c) {
    if (c->bins) (void)munmap(c->bins, BYTES);
    if (c->log >= 0) (void)close(c->log);
    for (size_t i = 0; i < c->used; i++) free(c->lines[i]);
    *c = AP_COUNTS_NONE;
}
