// SPDX-License-Identifier: Apache-2.0
// served-PID-0.jsonl names the counters of served-PID-0.bin (little-endian u64): what python/aipc/exec.py
// writes, too.
#include "counts.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 512, LINE = 4096 };

typedef struct counts {
    pid_t owner;
    int log;
    uint64_t *bins;
    char *lines[SLOTS]; // what each slot counts, without its number
    int used;
} counts;

static counts the;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

// This process's files; those of a fork's parent are let go.
static bool ready(void) {
    const char *dir = getenv("AIPC_HOOK_DIR");
    char path[LINE];
    if (!dir || !*dir) return false;
    if (the.owner == getpid()) return the.bins != NULL;
    if (the.bins) {
        (void)munmap(the.bins, SLOTS * sizeof *the.bins);
        (void)close(the.log);
    }
    for (int i = 0; i < the.used; i++) free(the.lines[i]);
    the = (counts){.owner = getpid(), .log = -1};
    if ((size_t)snprintf(path, sizeof path, "%s/served-%ld-0.bin", dir, (long)the.owner) >= sizeof path)
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    if (ftruncate(fd, SLOTS * sizeof *the.bins) == 0) {
        void *p = mmap(NULL, SLOTS * sizeof *the.bins, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED) the.bins = p;
    }
    (void)close(fd);
    (void)snprintf(path, sizeof path, "%s/served-%ld-0.jsonl", dir, (long)the.owner);
    the.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return the.bins != NULL;
}

// A text as JSON; bytes JSON cannot hold as they are become '?'.
static void put_text(char *line, const char *key, const char *text) {
    size_t n = strlen(line);
    n += (size_t)snprintf(line + n, LINE - n, ", \"%s\": %s", key, text ? "\"" : "null");
    if (!text) return;
    for (; *text && n + 8 < LINE / 2; text++) {
        unsigned char c = (unsigned char)*text;
        line[n++] = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? '?' : (char)c;
    }
    line[n++] = '"';
    line[n] = '\0';
}

static int slot_of(const char *rest) {
    for (int i = 0; i < the.used; i++)
        if (strcmp(the.lines[i], rest) == 0) return i;
    if (the.used == SLOTS) return SLOTS - 1;
    char line[LINE + 64];
    int n = snprintf(line, sizeof line, "{\"slot\": %d%s}\n", the.used, rest);
    char *kept = strdup(rest);
    if (!kept || n < 0 || write(the.log, line, (size_t)n) != n) {
        free(kept);
        return -1;
    }
    the.lines[the.used] = kept;
    return the.used++;
}

void counts_add(const char *model, const char *artifact, const char *why) {
    char rest[LINE] = "";
    const char *target = getenv("AIPC_TARGET");
    (void)pthread_mutex_lock(&guard);
    if (ready()) {
        put_text(rest, "model", model);
        put_text(rest, "artifact", artifact);
        put_text(rest, "target", artifact && target && *target ? target : NULL);
        put_text(rest, "why", why);
        int slot = slot_of(rest);
        if (slot >= 0) the.bins[slot]++;
    }
    (void)pthread_mutex_unlock(&guard);
}
