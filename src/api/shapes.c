// SPDX-License-Identifier: Apache-2.0
#include "api/shapes.h"

#include "golden/contract.h"
#include "plan/work/workers.h"

#include <string.h>

static bool look_up(void *user, const char *value, ap_value_type *out) {
    const ap_measured_shapes *s = user;
    return ap_value_type_read(ap_map_get(&s->by_name, value), out);
}

ap_shape_source ap_measured_shape_source(const ap_measured_shapes *s) {
    return (ap_shape_source){.get = look_up, .user = (void *)(uintptr_t)s};
}

void ap_measured_shapes_release(ap_measured_shapes *s) {
    json_decref(s->tensors);
    ap_map_free(&s->by_name);
    memset(s, 0, sizeof *s);
}

ap_err ap_measure_shapes(aipc_context *c, ap_model *m, const char *path, const json_t *shapes,
                         ap_measured_shapes *out) {
    ap_arena a = {0};
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {.cpu = AP_ANY_CPU};
    ap_worker *w = NULL;
    ap_input_request nothing_given = {.seed = 1};
    json_t *inputs = NULL, *tensors = NULL, *warnings = json_array(), *result = NULL, *t;
    char *dir = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a), "aipc", &a, &dir));
    setup.log_path = ap_path_join(&a, dir, "worker.log");
    AP_TRY(ap_contract_inputs(m, &nothing_given, dir, &inputs, &tensors, warnings));
    AP_TRY(ap_open_worker(c, &cpu, &setup, &w));
    AP_TRY(ap_worker_call(w, "oracle",
                          json_pack("{s{ss,sO},sO,so,ss,sb}", "model", "file", path, "shapes", shapes,
                                    "inputs", tensors, "tensors", ap_graph_made_names(m->graph), "dir", dir,
                                    "shapes_only", 1),
                          &result));
    memset(out, 0, sizeof *out);
    out->tensors = json_incref(json_object_get(result, "outputs"));
    json_array_foreach(out->tensors, i, t) ap_map_set(&out->by_name, ap_json_str(t, "name", ""), t);
done:
    ap_worker_stop(w, NULL);
    if (dir) ap_err_free(ap_rmtree(dir));
    json_decref(inputs);
    json_decref(tensors);
    json_decref(warnings);
    json_decref(result);
    ap_arena_release(&a);
    return err;
}
