// SPDX-License-Identifier: Apache-2.0
// err: the one error type of aipc.
//
// A function that can fail returns `ap_err`. NULL means success. Anything else is an error object the
// caller now owns: it must be handed on (return, AP_TRY) or released with ap_err_free(). Results travel
// by the last pointer argument and stay untouched on failure. The first error wins: on the way up callers
// add context with the ap_err_* setters, they do not replace it.
//
// What it knows: codes, exit codes, texts. What it never does: print, exit, keep global state.
#ifndef AP_BASE_ERR_H
#define AP_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define AP_MUST __attribute__((warn_unused_result))
#define AP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define AP_MUST
#define AP_PRINTF(f, a)
#endif

// Process exit codes. A documented contract (docs/exit-codes.md is checked against this table by a test).
enum {
    AP_EXIT_OK = 0,
    AP_EXIT_INTERNAL = 1,   // a bug in aipc
    AP_EXIT_USAGE = 2,      // the command line is wrong
    AP_EXIT_MODEL = 3,      // the model file is bad
    AP_EXIT_INPUT = 4,      // an input (tensor, image, shape) is bad
    AP_EXIT_TARGET = 5,     // unknown target or SoC
    AP_EXIT_RUNTIME = 6,    // a vendor runtime is missing or has the wrong hash
    AP_EXIT_IO = 7,         // disk full, read-only, not found
    AP_EXIT_BUSY = 8,       // another aipc works in this folder
    AP_EXIT_GATE = 10,      // the work ran, a gate failed
    AP_EXIT_REFUSED = 11,   // the backend refuses nodes of the graph
    AP_EXIT_CRASH = 12,     // the vendor library crashed
    AP_EXIT_HANG = 13,      // the vendor library did not answer in time
    AP_EXIT_MEMORY = 14,    // a memory limit was reached
    AP_EXIT_VENDOR = 15,    // the vendor library returned an error or garbage
    AP_EXIT_CANCELLED = 130 // interrupted
};

// X(enum suffix, exit code, knowledge key, text)
#define AP_ERR_TABLE(X)                                                                                      \
    X(INTERNAL, AP_EXIT_INTERNAL, "internal", "internal error")                                              \
    X(NO_MEMORY, AP_EXIT_MEMORY, "no-memory", "out of memory")                                               \
    X(USAGE, AP_EXIT_USAGE, "usage", "wrong usage")                                                          \
    X(CANCELLED, AP_EXIT_CANCELLED, "cancelled", "interrupted")                                              \
    X(IO, AP_EXIT_IO, "io", "input/output error")                                                            \
    X(NOT_FOUND, AP_EXIT_IO, "not-found", "not found")                                                       \
    X(DISK_FULL, AP_EXIT_IO, "disk-full", "no space left on device")                                         \
    X(READ_ONLY, AP_EXIT_IO, "read-only", "cannot write here")                                               \
    X(BUSY, AP_EXIT_BUSY, "busy", "in use by another aipc")                                                  \
    X(CORRUPT, AP_EXIT_IO, "corrupt", "stored data is damaged")                                              \
    X(MODEL_PARSE, AP_EXIT_MODEL, "model-parse", "not a readable ONNX model")                                \
    X(MODEL_INVALID, AP_EXIT_MODEL, "model-invalid", "the model breaks an ONNX rule")                        \
    X(MODEL_CYCLE, AP_EXIT_MODEL, "model-cycle", "the graph has a cycle")                                    \
    X(MODEL_MISSING, AP_EXIT_MODEL, "model-missing-value", "a node uses a value nobody makes")               \
    X(MODEL_OP, AP_EXIT_MODEL, "model-unknown-op", "unknown operator")                                       \
    X(MODEL_EXTERNAL, AP_EXIT_MODEL, "model-external-data", "bad external data")                             \
    X(MODEL_DIMS, AP_EXIT_MODEL, "model-dims", "bad tensor dimensions")                                      \
    X(SHAPE_UNKNOWN, AP_EXIT_INPUT, "shape-unknown", "a symbolic dimension has no value")                    \
    X(INPUT_NAME, AP_EXIT_INPUT, "input-name", "no such input")                                              \
    X(INPUT_SHAPE, AP_EXIT_INPUT, "input-shape", "wrong input shape")                                        \
    X(INPUT_DTYPE, AP_EXIT_INPUT, "input-dtype", "wrong input data type")                                    \
    X(INPUT_NAN, AP_EXIT_INPUT, "input-nan", "NaN or Inf in an input")                                       \
    X(INPUT_FILE, AP_EXIT_INPUT, "input-file", "unreadable input file")                                      \
    X(NO_CAPTURE, AP_EXIT_INPUT, "no-capture", "no call of a model was recorded")                            \
    X(RECORDING, AP_EXIT_INPUT, "recording", "not a usable recording")                                       \
    X(EXPORT, AP_EXIT_MODEL, "export", "the model cannot be exported")                                       \
    X(TARGET_UNKNOWN, AP_EXIT_TARGET, "target-unknown", "unknown target")                                    \
    X(SOC_UNKNOWN, AP_EXIT_TARGET, "soc-unknown", "unknown SoC")                                             \
    X(SOC_MISMATCH, AP_EXIT_GATE, "soc-mismatch", "the binary was made for another SoC")                     \
    X(RUNTIME_MISSING, AP_EXIT_RUNTIME, "runtime-missing", "runtime not installed")                          \
    X(RUNTIME_HASH, AP_EXIT_RUNTIME, "runtime-hash", "downloaded file has the wrong sha256")                 \
    X(RUNTIME_LOAD, AP_EXIT_RUNTIME, "runtime-load", "runtime cannot be loaded")                             \
    X(GATE, AP_EXIT_GATE, "gate-failed", "a gate failed")                                                    \
    X(CONTRACT, AP_EXIT_GATE, "contract", "interface contract broken")                                       \
    X(REFUSED, AP_EXIT_REFUSED, "backend-refused", "the backend refuses nodes")                              \
    X(WORKER_CRASH, AP_EXIT_CRASH, "worker-crash", "the vendor library crashed")                             \
    X(WORKER_HANG, AP_EXIT_HANG, "worker-hang", "the vendor library did not answer in time")                 \
    X(WORKER_MEMORY, AP_EXIT_MEMORY, "worker-memory", "the vendor library hit the memory limit")             \
    X(WORKER_GARBAGE, AP_EXIT_VENDOR, "worker-garbage", "the worker sent something that is no reply")        \
    X(VENDOR, AP_EXIT_VENDOR, "vendor", "the vendor library reports an error")

typedef enum ap_code {
    AP_OK = 0,
#define AP_ERR_ENUM(name, exit_code, key, text) AP_ERR_##name,
    AP_ERR_TABLE(AP_ERR_ENUM)
#undef AP_ERR_ENUM
        AP_ERR_COUNT
} ap_code;

typedef struct ap_error ap_error;
typedef ap_error *ap_err;

// Makes an error. `fmt` is one sentence with the offending values, no trailing period or newline.
// Never returns NULL: without memory it returns a constant NO_MEMORY error that every function here accepts.
ap_err ap_err_new(ap_code code, const char *fmt, ...) AP_PRINTF(2, 3);

// Makes an IO-family error from errno: ENOSPC/EDQUOT → DISK_FULL, EROFS/EACCES/EPERM → READ_ONLY when
// `writing`, ENOENT → NOT_FOUND, else IO. The message ends with ": <strerror>".
ap_err ap_err_errno(int errnum, int writing, const char *fmt, ...) AP_PRINTF(3, 4);

// Setters add to an error on its way up and return it; all accept NULL (and return NULL).
// `stage` and `subject` keep the first value set; `hint` (what to do next) too. `ap_err_note` appends a
// line (vendor log, list of names); `ap_err_context` puts "what we were doing" in front of the message.
ap_err ap_err_stage(ap_err e, const char *stage);
ap_err ap_err_subject(ap_err e, const char *subject);
ap_err ap_err_hint(ap_err e, const char *fmt, ...) AP_PRINTF(2, 3);
ap_err ap_err_note(ap_err e, const char *fmt, ...) AP_PRINTF(2, 3);
ap_err ap_err_context(ap_err e, const char *fmt, ...) AP_PRINTF(2, 3);
ap_err ap_err_at(ap_err e, uint64_t byte_offset);

ap_code ap_err_code(const ap_error *e);          // AP_OK for NULL
const char *ap_err_message(const ap_error *e);   // with context; "" for NULL
const char *ap_err_get_stage(const ap_error *e); // NULL when not set; same for the next two
const char *ap_err_get_subject(const ap_error *e);
const char *ap_err_get_hint(const ap_error *e);
size_t ap_err_notes(const ap_error *e);
const char *ap_err_get_note(const ap_error *e, size_t i);
int ap_err_offset(const ap_error *e, uint64_t *byte_offset); // 1 when a byte position is known

const char *ap_code_name(ap_code code); // "MODEL_PARSE"
const char *ap_code_text(ap_code code); // "not a readable ONNX model"
const char *ap_code_key(ap_code code);  // knowledge key, "model-parse"
int ap_code_exit(ap_code code);
// What to do next about any error of this kind; NULL when only the place that found it can say.
const char *ap_code_hint(ap_code code);
// The error's own hint, else that of its code, else NULL. What users are shown.
const char *ap_err_next(const ap_error *e);
ap_code ap_code_from_key(const char *key); // AP_ERR_INTERNAL when unknown

void ap_err_free(ap_err e); // NULL is fine

// Runs `expr`; on error stores it in the local `err` and jumps to the local label `done`.
#define AP_TRY(expr)                                                                                         \
    do {                                                                                                     \
        err = (expr);                                                                                        \
        if (err) goto done;                                                                                  \
    } while (0)

// Makes an error and leaves through `done`.
#define AP_FAIL(...)                                                                                         \
    do {                                                                                                     \
        err = ap_err_new(__VA_ARGS__);                                                                       \
        goto done;                                                                                           \
    } while (0)

#endif
