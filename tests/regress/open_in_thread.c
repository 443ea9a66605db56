// SPDX-License-Identifier: Apache-2.0
// An artifact opened by a thread that ends before it is used: `open_in_thread DIR INPUT`. The worker must not
// end with the thread.
#include "aipc/aipc.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static aipc_context *context;
static aipc_artifact *artifact;

static void *open_it(void *dir) {
    return aipc_artifact_open(context, dir, NULL, &artifact);
}

static int fail(const char *what, aipc_error *e) {
    if (e) printf("not ok %s: %s\n", what, aipc_error_message(e));
    const int failed = e != NULL;
    aipc_error_free(e);
    return failed;
}

int main(int argc, char **argv) {
    if (argc != 2 || fail("context", aipc_context_open(NULL, &context))) return 2;
    pthread_t thread;
    void *error = NULL;
    if (pthread_create(&thread, NULL, open_it, argv[1]) || pthread_join(thread, &error)) return 2;
    if (fail("open in a thread", error)) return 1;
    usleep(300000);
    float x[4] = {1, 2, 3, 4};
    int64_t dims[2] = {1, 4};
    aipc_tensor in = {.name = "x", .dtype = "float32", .rank = 2, .dims = dims, .data = x, .bytes = sizeof x},
                out;
    memset(&out, 0, sizeof out);
    if (fail("run after the thread has ended", aipc_artifact_run(artifact, &in, 1, &out))) return 1;
    printf("ok run after the thread that opened it has ended: %zu bytes\n", out.bytes);
    aipc_outputs_free(&out, 1);
    aipc_artifact_close(artifact);
    aipc_context_close(context);
    return 0;
}
