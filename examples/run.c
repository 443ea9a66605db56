// SPDX-License-Identifier: Apache-2.0
// Loads a deployed model, prints its contract, runs it on zeros and prints the first values of each output.
//   cc run.c $(pkg-config --cflags --libs aipc) -o run && ./run out [TARGET]
#include <aipc/aipc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Says what went wrong and what to do about it; the exit codes are aipc's own.
static void check(aipc_error *e) {
    if (!e) return;
    fprintf(stderr, "run: %s\n", aipc_error_message(e));
    if (aipc_error_hint(e)) fprintf(stderr, "  next: %s\n", aipc_error_hint(e));
    exit(aipc_error_exit_code(e));
}

static void print_tensor(const char *what, const aipc_tensor *t) {
    printf("%s %s: %s", what, t->name, t->dtype);
    for (size_t i = 0; i < t->rank; i++) printf("%s%lld", i ? "x" : " ", (long long)t->dims[i]);
    for (size_t i = 0; t->data && strcmp(t->dtype, "float32") == 0 && i < 4 && 4 * i < t->bytes; i++)
        printf("%s%g", i ? ", " : " = ", (double)((const float *)t->data)[i]);
    puts("");
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: run ARTIFACT [TARGET]\n"), 2;
    aipc_context *context = NULL;
    aipc_artifact *artifact = NULL;
    check(aipc_context_open(NULL, &context));
    check(aipc_artifact_open(context, argv[1], argc > 2 ? argv[2] : NULL, &artifact));

    size_t ins = aipc_artifact_input_count(artifact), outs = aipc_artifact_output_count(artifact);
    aipc_tensor *inputs = calloc(ins + 1, sizeof *inputs), *outputs = calloc(outs + 1, sizeof *outputs);
    if (!inputs || !outputs) return 1;
    for (size_t i = 0; i < ins; i++) {
        inputs[i] =
            *aipc_artifact_input(artifact, i); // name, dtype, shape and size; the data is ours to give
        inputs[i].data = calloc(1, inputs[i].bytes + 1);
        print_tensor("input", aipc_artifact_input(artifact, i));
    }
    for (size_t i = 0; i < outs; i++) print_tensor("output", aipc_artifact_output(artifact, i));

    check(aipc_artifact_run(artifact, inputs, ins, outputs));
    for (size_t i = 0; i < outs; i++) print_tensor("result", &outputs[i]);

    aipc_outputs_free(outputs, outs);
    for (size_t i = 0; i < ins; i++) free(inputs[i].data);
    free(outputs);
    free(inputs);
    aipc_artifact_close(artifact);
    aipc_context_close(context);
    return 0;
}
