// SPDX-License-Identifier: Apache-2.0
// engine: ONNX Runtime, opened at run time: one environment, sessions, plugin execution providers, placement.
//
// What it knows: how to make ONNX Runtime load, place and run a model, and what it said while doing so.
// What it never does: decide what is right, choose a target, touch the store. It lives inside a worker
// process: vendor code may crash or leak settings into later sessions (facts: a soc_model set once sticks).
#ifndef AP_ENGINE_ENGINE_H
#define AP_ENGINE_ENGINE_H

#include "base/json.h"
#include "engine/ort_load.h"
#include "tensor/tensor.h"

#include <pthread.h>

typedef struct ap_named_tensor {
    const char *name; // borrowed
    ap_tensor t;
} ap_named_tensor;

// What the vendor library said. Filled by its logger, which may run on any of its threads.
// `lock` guards the lines; lines are kept from the last ap_engine_log_reset on, at most AP_ENGINE_LOG_LINES.
#define AP_ENGINE_LOG_LINES 4096
typedef struct ap_engine_log {
    pthread_mutex_t lock;
    ap_arena arena;
    const char **lines;
    size_t count, cap, dropped;
} ap_engine_log;

typedef struct ap_engine {
    ap_ort_lib lib;
    OrtEnv *env;
    OrtAllocator *allocator; // the library's default, borrowed
    OrtMemoryInfo *cpu_memory;
    ap_engine_log log;
} ap_engine;

// Opens the library and makes the environment (telemetry off, which must be in the process environment before
// the library loads). Errors: RUNTIME_LOAD.
AP_MUST ap_err ap_engine_open(const char *ort_lib, ap_engine **out);
void ap_engine_close(ap_engine *e);
const char *ap_engine_version(const ap_engine *e);
// Registers a plugin execution provider library under `name`. Error RUNTIME_LOAD with the library's words.
AP_MUST ap_err ap_engine_add_plugin(ap_engine *e, const char *name, const char *lib_path);
// Empties the captured log.
void ap_engine_log_reset(ap_engine *e);

typedef struct ap_option {
    const char *key, *value;
} ap_option;
typedef struct ap_symbol_size {
    const char *symbol;
    int64_t size;
} ap_symbol_size;

typedef struct ap_session_options {
    const char *ep; // registered plugin name; NULL: the CPU provider alone
    const ap_option *ep_options;
    size_t ep_option_count;
    const ap_option *config; // session config entries
    size_t config_count;
    const ap_symbol_size *symbols; // free-dimension overrides
    size_t symbol_count;
    GraphOptimizationLevel optimization;
    bool no_fallback; // refuse to run any node on the CPU when `ep` is set
    bool record_placement;
    bool verbose;             // every log line, incl. why nodes were refused
    const char *context_path; // write an EPContext wrapper (and NAME_qnn.bin beside it) here; must not exist
    const char *external_dir; // for models from memory: where their external data lies
    const char *profile_prefix; // write ONNX Runtime's own profile to PREFIX_<time>.json
    int threads;                // 0: the library's choice
} ap_session_options;

typedef struct ap_io {
    char *name;
    ap_dtype dtype; // NONE when not a tensor
    size_t rank;
    int64_t dims[AP_MAX_RANK]; // -1 unknown
} ap_io;

typedef struct ap_session {
    ap_engine *engine;
    OrtSession *handle;
    ap_io *inputs, *outputs;
    size_t input_count, output_count;
    ap_arena arena;
    struct ap_bound *bound; // by ap_session_bind; NULL: nothing
} ap_session;

// From a file, or from memory when `bytes` is not NULL (then `path` only names the model in errors). Errors:
// MODEL_OP (no such operator), MODEL_PARSE, MODEL_INVALID, SHAPE_UNKNOWN, REFUSED (nodes fell to the CPU
// although no_fallback), VENDOR; the notes carry the library's error lines.
AP_MUST ap_err ap_session_open(ap_engine *e, const char *path, const void *bytes, size_t len,
                               const ap_session_options *o, ap_session **out);
void ap_session_close(ap_session *s);

// Results of one run. Tensors view memory of the library; valid until ap_run_result_free.
typedef struct ap_run_result {
    ap_engine *engine;
    OrtValue **values;
    ap_named_tensor
        *tensors; // in the order asked for; dtype NONE for an output that is no tensor, or is empty optional
    size_t count;
    uint64_t vendor_us;
} ap_run_result;

// Runs with the given inputs (borrowed) and asks for `outputs` (NULL: all of the session's, in order).
// Errors: INPUT_* for what does not fit the session, VENDOR for what the library says.
AP_MUST ap_err ap_session_run(ap_session *s, const ap_named_tensor *inputs, size_t input_count,
                              const char *const *outputs, size_t output_count, ap_run_result *out);
void ap_run_result_free(ap_run_result *r);

// Memory for the tensors of a session, in any order. There is room for the outputs several times over: what
// is listed is room 0, each other lies `stride` bytes behind the one before.
typedef struct ap_bound_tensors {
    const ap_named_tensor *inputs, *outputs;
    size_t input_count, output_count, rooms, stride;
} ap_bound_tensors;

// For a model that is run again and again: its inputs and outputs live in the caller's memory from now on,
// which must stay until the next bind or the session's close. Errors: INPUT_* for what does not fit the
// session, CONTRACT for outputs that do not, INTERNAL for a NULL session (no model is loaded).
AP_MUST ap_err ap_session_bind(ap_session *s, const ap_bound_tensors *t);
// Runs on what stands there; the outputs go to this room. The first `input_count` inputs are read from
// `inputs` where that is not NULL (one call, the same bytes of other memory). Errors: INTERNAL without a
// session or when nothing is bound, VENDOR, CONTRACT when an output came out in another shape than the one
// there is room for.
AP_MUST ap_err ap_session_call(ap_session *s, size_t room, const void *const *inputs, size_t input_count,
                               uint64_t *vendor_us);
void ap_session_unbind(ap_session *s);

// Where each node went: [{"name","op","domain","ep"}]. Needs record_placement.
AP_MUST ap_err ap_session_placement(ap_session *s, json_t **out);
// Ends ONNX Runtime's profile and returns the path of the file it wrote (malloc'ed).
AP_MUST ap_err ap_session_end_profile(ap_session *s, char **path);
// Compatibility string a provider wrote into a compiled model ("v2:6:2.51.0:5.51.0:75:57:0:0"); NULL when
// none. malloc'ed.
AP_MUST ap_err ap_engine_compatibility(ap_engine *e, const char *model_path, const char *ep, char **out);

// Turns a failed status into an error and releases it; NULL status gives NULL. The engine's last error lines
// are attached as notes.
AP_MUST ap_err ap_engine_err(ap_engine *e, OrtStatus *status, ap_code code, const char *doing);

#endif
