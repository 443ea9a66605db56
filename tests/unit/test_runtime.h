// SPDX-License-Identifier: Apache-2.0
// Where tests find the vendor libraries: $AIPC_DATA, else .deps/data below the folder they run in.
#ifndef AP_TEST_RUNTIME_H
#define AP_TEST_RUNTIME_H

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline const char *test_data_dir(void) {
    const char *dir = getenv("AIPC_DATA");
    return dir && *dir ? dir : ".deps/data";
}

// First file DATA/runtimes/NAME-VERSION/FILE into `out`; returns whether there is one.
static inline int test_runtime_file(const char *name, const char *file, char out[4096]) {
    char pattern[4096];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/runtimes/%s-[0-9]*/%s", test_data_dir(), name, file);
    int there = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (there) snprintf(out, 4096, "%s", found.gl_pathv[0]);
    globfree(&found);
    return there;
}

// For main(): says why and returns 0, a skipped program.
static inline int test_skipped(const char *name) {
    printf("skipped: runtime not installed (%s in %s)\n", name, test_data_dir());
    return 0;
}

// The aipc program of this build: $AIPC, else beside the folder of the tests.
static inline int test_program(char out[4096]) {
    const char *named = getenv("AIPC");
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (named && *named) {
        snprintf(out, 4096, "%s", named);
    } else {
        if (n <= 0) return 0;
        self[n] = '\0';
        for (int i = 0; i < 2; i++) *strrchr(self, '/') = '\0';
        snprintf(out, 4096, "%s/aipc", self);
    }
    return access(out, X_OK) == 0;
}

// A child of this thread; 0 when it has none.
static inline pid_t test_child(void) {
    char path[64];
    pid_t pid = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    if (!f) abort(); // a kernel that does not tell
    if (fscanf(f, "%d", &pid) != 1) pid = 0;
    fclose(f);
    return pid;
}

#endif
