// SPDX-License-Identifier: Apache-2.0
// One artifact used by several threads at once: each has an input of its own and must get that input's result
// every time.  threads ARTIFACT
#include <aipc/aipc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, ROUNDS = 20 };

typedef struct job {
    aipc_artifact *artifact;
    aipc_tensor *inputs, *expected;
    size_t input_count, output_count;
    int wrong, failed;
} job;

static void check(aipc_error *e, const char *doing) {
    if (!e) return;
    fprintf(stderr, "threads: %s: %s\n", doing, aipc_error_message(e));
    exit(1);
}

static void fill(aipc_tensor *t, unsigned seed) {
    size_t n = t->bytes / sizeof(float);
    float *f = calloc(n + 1, sizeof *f);
    if (!f) exit(1);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        f[i] = (float)(seed >> 16 & 0xff) / 256.0f - 0.5f;
    }
    t->data = f;
}

static void prepare(job *j, aipc_artifact *a, unsigned seed) {
    j->artifact = a;
    j->input_count = aipc_artifact_input_count(a);
    j->output_count = aipc_artifact_output_count(a);
    j->inputs = calloc(j->input_count + 1, sizeof *j->inputs);
    j->expected = calloc(j->output_count + 1, sizeof *j->expected);
    if (!j->inputs || !j->expected) exit(1);
    for (size_t i = 0; i < j->input_count; i++) {
        j->inputs[i] = *aipc_artifact_input(a, i);
        fill(&j->inputs[i], seed + (unsigned)i);
    }
    check(aipc_artifact_run(a, j->inputs, j->input_count, j->expected), "first run");
}

static void release(job *j) {
    aipc_outputs_free(j->expected, j->output_count);
    for (size_t i = 0; i < j->input_count; i++) free(j->inputs[i].data);
    free(j->inputs);
    free(j->expected);
}

static int same(const aipc_tensor *a, const aipc_tensor *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (a[i].bytes != b[i].bytes || memcmp(a[i].data, b[i].data, a[i].bytes) != 0) return 0;
    return 1;
}

static void *work(void *arg) {
    job *j = arg;
    aipc_tensor *outputs = calloc(j->output_count + 1, sizeof *outputs);
    for (int round = 0; outputs && round < ROUNDS; round++) {
        aipc_error *e = aipc_artifact_run(j->artifact, j->inputs, j->input_count, outputs);
        if (e) {
            fprintf(stderr, "threads: %s\n", aipc_error_message(e));
            aipc_error_free(e);
            j->failed++;
            continue;
        }
        j->wrong += !same(outputs, j->expected, j->output_count);
        aipc_outputs_free(outputs, j->output_count);
    }
    free(outputs);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    aipc_context *context = NULL;
    aipc_artifact *artifact = NULL;
    check(aipc_context_open(NULL, &context), "context");
    check(aipc_artifact_open(context, argv[1], NULL, &artifact), "artifact");
    job jobs[THREADS] = {0};
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) prepare(&jobs[i], artifact, 1000 * i + 1);
    if (same(jobs[0].expected, jobs[1].expected, jobs[0].output_count)) {
        fprintf(stderr, "threads: different inputs give the same outputs: this proves nothing\n");
        return 1;
    }
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) return 1;
    int bad = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        printf("thread %u: %d runs, %d wrong, %d failed\n", i, ROUNDS, jobs[i].wrong, jobs[i].failed);
        bad += jobs[i].wrong + jobs[i].failed;
        release(&jobs[i]);
    }
    aipc_artifact_close(artifact);
    aipc_context_close(context);
    return bad ? 1 : 0;
}
