// SPDX-License-Identifier: Apache-2.0
// buildcost: what the QNN graph of a model holds and what we say it takes, without running anything: only the
// build goes to the worker. The emulator would run a large model for minutes, and the estimate does not need
// it.
//
//   buildcost AIPC DATA_DIR MODEL INPUT=1,3,224,224 TARGET...      one JSON document a line: {target,
//   seconds, cost}
//
// AIPC is the program that is started as the worker.
#include "base/file.h"
#include "plan/work/context.h"
#include "plan/work/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *shapes_of(const char *text) {
    json_t *shapes = json_object(), *dims = json_array();
    char name[256];
    const char *eq = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", eq ? (int)(eq - text) : 0, text);
    for (const char *p = eq; p; p = strchr(p + 1, ','))
        json_array_append_new(dims, json_integer(atoll(p + 1)));
    json_object_set_new(shapes, name, dims);
    return shapes;
}

static ap_err build_for(aipc_context *c, const char *model, const char *shape, const char *target) {
    ap_arena a = {0};
    ap_target_id id;
    ap_worker *w = NULL;
    json_t *result = NULL, *line = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    AP_TRY(ap_target_parse(target, &id));
    AP_TRY(ap_mkdtemp("/tmp", "aipc-cost", &a, &dir));
    ap_worker_setup setup = {.cpu = AP_ANY_CPU, .timeout_s = 3600, .log_path = ap_path_join(&a, dir, "log")};
    AP_TRY(ap_open_worker(c, &id, &setup, &w));
    uint64_t start = ap_now_us();
    AP_TRY(ap_worker_call(w, "build",
                          json_pack("{s{ss,so},ss,ss}", "model", "file", model, "shapes", shapes_of(shape),
                                    "dir", dir, "precision", "fp16"),
                          &result));
    line = json_pack("{ss,sf,sO*,sO*}", "target", id.text, "seconds", (double)(ap_now_us() - start) / 1e6,
                     "cost", json_object_get(result, "cost"), "refusal", json_object_get(result, "refusal"));
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    printf("\n");
    fflush(stdout);
done:
    ap_worker_stop(w, NULL);
    json_decref(result);
    json_decref(line);
    if (dir) ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: buildcost AIPC DATA_DIR MODEL INPUT=DIMS TARGET...\n");
        return 2;
    }
    setenv("AIPC_PROGRAM", argv[1], 1);
    char *data = realpath(argv[2], NULL);
    aipc_context_options o = {.size = sizeof o, .data_dir = data};
    aipc_context *c = NULL;
    ap_err err = ap_context_open(&o, &c);
    for (int i = 5; i < argc && !err; i++) err = build_for(c, argv[3], argv[4], argv[i]);
    if (err) fprintf(stderr, "buildcost: %s\n", ap_err_message(err));
    int code = err ? 1 : 0;
    ap_err_free(err);
    ap_context_close(c);
    free(data);
    return code;
}
