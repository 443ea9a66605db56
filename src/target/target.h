// SPDX-License-Identifier: Apache-2.0
// target: one file per backend behind one table of functions. Runs inside a worker process only.
//
// Requests and results are JSON objects, tensors travel as .npy files that both sides map. A target keeps at
// most one model loaded ("current"): the one it built or loaded last.
//
// What it never does: be called from outside a worker, decide whether a result is good, write outside the
// folder a request names.
//
// Requests
//   build   {model: SPEC, dir, precision, dlc}   → {files: [{file, role}], placement: [{name, op, domain,
//   ep}], io, compatibility,
//                                                   readback, graph_file, vendor_us}; the built model is
//                                                   current
//   load    {dir, manifest-free file names: [{file, role}]} → {io, vendor_us}; the loaded model is current
//   run     {inputs: [TENSOR], dir}              → {outputs: [TENSOR], vendor_us}
//   profile {inputs: [TENSOR], dir}              → {unit, what, layers: [{name, op, value}]} or null
//   oracle  {model: SPEC, inputs: [TENSOR], tensors: [name] | null, dir, budget_bytes, threads, shapes_only}
//   → {outputs: [TENSOR], chunks, vendor_us} probe   {file, sets: [[TENSOR]], repeats (of set 0), reference,
//   dir} → {placement, fallen: [piece], refused: [{node, op, reason}], outputs: [[TENSOR + stable]] (a set
//   each), stage: open|run, error | null, open_us, vendor_us}; target/probe.h
//
// Not JSON: `share` places tensors in memory that the asker sees, too, and `call` runs the current model on
// what stands there (worker/protocol.h).
//
// TENSOR  {name, dtype, dims, file}
// SPEC    {file, symbols: {name: size}, shapes: {input: dims}, extract: {inputs: [{name, dtype, dims}],
// outputs: [name]}, outputs: [name]}
//         all but `file` optional, applied in this order
#ifndef AP_TARGET_TARGET_H
#define AP_TARGET_TARGET_H

#include "engine/engine.h"
#include "graph/model.h"

typedef struct ap_target_ops {
    const char *kind; // "cpu", "htp"
    // `config`: {ort, qnn_dir, soc_model}. The state belongs to the caller until close.
    ap_err (*open)(const json_t *config, void **state);
    void (*close)(void *state);
    ap_err (*describe)(void *state, json_t **result); // {ort, ep, backend}
    ap_err (*build)(void *state, const json_t *args, json_t **result);
    ap_err (*load)(void *state, const json_t *args, json_t **result);
    ap_err (*run)(void *state, const json_t *args, json_t **result);
    // The memory is the caller's and stays until the next share or close.
    ap_err (*share)(void *state, const ap_bound_tensors *tensors);
    // `inputs`: where the first of them are to be read; NULL: from what was shared.
    ap_err (*call)(void *state, size_t room, const void *const *inputs, size_t input_count,
                   uint64_t *vendor_us);
    ap_err (*profile)(void *state, const json_t *args, json_t **result);
    ap_err (*oracle)(void *state, const json_t *args, json_t **result);
    ap_err (*probe)(void *state, const json_t *args, json_t **result);
} ap_target_ops;

extern const ap_target_ops ap_target_cpu;
extern const ap_target_ops ap_target_htp;
const ap_target_ops *ap_target_find(const char *kind); // NULL when there is none

// ---- shared by the backends (spec.c)
// Loads the model of a SPEC and applies its edits.
AP_MUST ap_err ap_spec_model(const json_t *spec, ap_model **out);
// dtype, dims and bytes of a {dtype, dims}; no data. Error INTERNAL.
AP_MUST ap_err ap_tensor_describe(const json_t *o, ap_tensor *t);
// Tensors of a request, mapped. Release with ap_named_tensors_free.
AP_MUST ap_err ap_tensors_open(const json_t *list, ap_named_tensor **out, size_t *count);
void ap_named_tensors_free(ap_named_tensor *list, size_t count);
// Writes a tensor as DIR/INDEX.npy (names are hostile, so they never become file names) and appends its
// TENSOR to `list`. A value that is no tensor is listed with dtype "unknown" and no file.
AP_MUST ap_err ap_tensor_store(const char *dir, const char *name, const ap_tensor *t, json_t *list);
// Runs the session on a request {inputs, dir}: the common body of every `run`. Error INTERNAL when it is
// NULL.
AP_MUST ap_err ap_session_serve_run(ap_session *s, const json_t *args, json_t **result);
// The oracle request on any engine.
AP_MUST ap_err ap_engine_serve_oracle(ap_engine *e, const json_t *args, json_t **result);
// {inputs: [{name, dtype, dims}], outputs: [...]} of a session.
json_t *ap_session_io_json(const ap_session *s);

#endif
