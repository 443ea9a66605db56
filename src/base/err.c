// SPDX-License-Identifier: Apache-2.0
// Errors are plain heap objects. Only malloc is used here, never ap_alloc: an error must be reportable when
// memory is short, so a setter that gets no memory drops its addition and keeps the error.
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Names and logs come from hostile files; no single text of an error grows beyond this.
enum { MAX_TEXT_BYTES = 64 * 1024, MAX_NOTES = 1000 };

struct ap_error {
    ap_code code;
    bool has_offset;
    uint64_t offset;
    char *message, *stage, *subject, *hint;
    char **notes;
    size_t note_count;
};

static char no_memory_message[] = "out of memory";
// const: lives in read-only memory, so a setter that forgets is_constant() faults at once.
static const ap_error no_memory = {.code = AP_ERR_NO_MEMORY, .message = no_memory_message};

static bool is_constant(const ap_error *e) {
    return e == &no_memory;
}

// Cuts and cleans a text this file owns.
static char *tidy(char *text) {
    if (!text) return NULL;
    size_t len = strlen(text);
    if (len > MAX_TEXT_BYTES) memcpy(text + ap_text_cut(text, len, MAX_TEXT_BYTES - 3), "...", 4);
    ap_text_printable(text);
    return text;
}

static char *format(const char *fmt, va_list args) AP_PRINTF(1, 0);
static char *format(const char *fmt, va_list args) {
    char *text = NULL;
    return vasprintf(&text, fmt, args) < 0 ? NULL : tidy(text);
}

// Takes over `message`; NULL means it could not be made.
static ap_err make(ap_code code, char *message) {
    ap_error *e = message ? calloc(1, sizeof *e) : NULL;
    if (!e) {
        free(message);
        return (ap_err)&no_memory;
    }
    // Code 0 would make a failure look like success (and codes can come from a worker's reply).
    bool known = (int)code > AP_OK && (int)code < AP_ERR_COUNT;
    e->code = known ? code : AP_ERR_INTERNAL;
    e->message = message;
    return e;
}

ap_err ap_err_new(ap_code code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *message = format(fmt, args);
    va_end(args);
    return make(code, message);
}

static ap_code code_of_errno(int errnum, int writing) {
    switch (errnum) {
    case ENOSPC:
    case EDQUOT: return AP_ERR_DISK_FULL;
    case ENOENT: return AP_ERR_NOT_FOUND;
    case EROFS:
    case EACCES:
    case EPERM: return writing ? AP_ERR_READ_ONLY : AP_ERR_IO;
    default: return AP_ERR_IO;
    }
}

ap_err ap_err_errno(int errnum, int writing, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *what = format(fmt, args);
    va_end(args);
    char scratch[128], *message = NULL;
    if (what && asprintf(&message, "%s: %s", what, strerror_r(errnum, scratch, sizeof scratch)) < 0)
        message = NULL;
    free(what);
    return make(code_of_errno(errnum, writing), message);
}

static void set_once(char **field, const char *value) {
    if (!*field && value) *field = tidy(strdup(value));
}

ap_err ap_err_stage(ap_err e, const char *stage) {
    if (e && !is_constant(e)) set_once(&e->stage, stage);
    return e;
}

ap_err ap_err_subject(ap_err e, const char *subject) {
    if (e && !is_constant(e)) set_once(&e->subject, subject);
    return e;
}

ap_err ap_err_hint(ap_err e, const char *fmt, ...) {
    if (!e || is_constant(e) || e->hint) return e;
    va_list args;
    va_start(args, fmt);
    e->hint = format(fmt, args);
    va_end(args);
    return e;
}

ap_err ap_err_note(ap_err e, const char *fmt, ...) {
    if (!e || is_constant(e) || e->note_count >= MAX_NOTES) return e;
    va_list args;
    va_start(args, fmt);
    char *note = format(fmt, args);
    va_end(args);
    char **notes = note ? realloc(e->notes, (e->note_count + 1) * sizeof *notes) : NULL;
    if (!notes) {
        free(note);
        return e;
    }
    e->notes = notes;
    e->notes[e->note_count++] = note;
    return e;
}

ap_err ap_err_context(ap_err e, const char *fmt, ...) {
    if (!e || is_constant(e)) return e;
    va_list args;
    va_start(args, fmt);
    char *doing = format(fmt, args), *message = NULL;
    va_end(args);
    if (doing && asprintf(&message, "%s: %s", doing, e->message) >= 0) {
        free(e->message);
        e->message = tidy(message);
    }
    free(doing);
    return e;
}

ap_err ap_err_at(ap_err e, uint64_t byte_offset) {
    if (!e || is_constant(e) || e->has_offset) return e;
    e->has_offset = true;
    e->offset = byte_offset;
    return e;
}

ap_code ap_err_code(const ap_error *e) {
    return e ? e->code : AP_OK;
}
const char *ap_err_message(const ap_error *e) {
    return e ? e->message : "";
}
const char *ap_err_get_stage(const ap_error *e) {
    return e ? e->stage : NULL;
}
const char *ap_err_get_subject(const ap_error *e) {
    return e ? e->subject : NULL;
}
const char *ap_err_get_hint(const ap_error *e) {
    return e ? e->hint : NULL;
}
size_t ap_err_notes(const ap_error *e) {
    return e ? e->note_count : 0;
}
const char *ap_err_get_note(const ap_error *e, size_t i) {
    return e && i < e->note_count ? e->notes[i] : NULL;
}

int ap_err_offset(const ap_error *e, uint64_t *byte_offset) {
    if (!e || !e->has_offset) return 0;
    *byte_offset = e->offset;
    return 1;
}

void ap_err_free(ap_err e) {
    if (!e || is_constant(e)) return;
    for (size_t i = 0; i < e->note_count; i++) free(e->notes[i]);
    free(e->notes);
    free(e->hint);
    free(e->subject);
    free(e->stage);
    free(e->message);
    free(e);
}

typedef struct code_row {
    const char *name, *key, *text;
    int exit_code;
} code_row;

static const code_row code_rows[AP_ERR_COUNT] = {[AP_OK] = {"OK", "ok", "ok", AP_EXIT_OK},
#define ROW(name, exit_code, key, text) [AP_ERR_##name] = {#name, key, text, exit_code},
                                                 AP_ERR_TABLE(ROW)
#undef ROW
};

static const code_row *row_of(ap_code code) {
    bool known = (int)code >= AP_OK && (int)code < AP_ERR_COUNT;
    return &code_rows[known ? code : AP_ERR_INTERNAL];
}

const char *ap_code_name(ap_code code) {
    return row_of(code)->name;
}
const char *ap_code_text(ap_code code) {
    return row_of(code)->text;
}
const char *ap_code_key(ap_code code) {
    return row_of(code)->key;
}
int ap_code_exit(ap_code code) {
    return row_of(code)->exit_code;
}

ap_code ap_code_from_key(const char *key) {
    for (int i = AP_OK + 1; key && i < AP_ERR_COUNT; i++) {
        if (!strcmp(key, code_rows[i].key)) return (ap_code)i;
    }
    return AP_ERR_INTERNAL;
}

// Errors whose next step depends on the place (a shape to add, a runtime to install) bring their own.
const char *ap_code_hint(ap_code code) {
    switch (code) {
    case AP_ERR_INTERNAL: return "this is a bug in aipc: please report it with the command and this message";
    case AP_ERR_NO_MEMORY: return "use smaller shapes, or a machine with more memory";
    case AP_ERR_DISK_FULL: return "make room there, or work elsewhere: -o DIR, AIPC_CACHE, AIPC_DATA";
    case AP_ERR_READ_ONLY: return "work where you may write: -o DIR, AIPC_CACHE, AIPC_DATA";
    case AP_ERR_MODEL_PARSE: return "give a whole ONNX file: fetch or export the model again";
    case AP_ERR_MODEL_INVALID: return "correct what wrote the model and export it again";
    case AP_ERR_MODEL_CYCLE: return "no order of these nodes can run: correct what wrote the model";
    case AP_ERR_MODEL_MISSING: return "export the model again with everything its nodes use";
    case AP_ERR_MODEL_OP:
        return "export the model with standard operators, or with the operator as a function inside it";
    case AP_ERR_MODEL_EXTERNAL: return "put the model's data files beside it, as they were exported";
    case AP_ERR_MODEL_DIMS: return "export the model again with the right shapes";
    case AP_ERR_INPUT_NAME:
    case AP_ERR_INPUT_SHAPE:
    case AP_ERR_INPUT_DTYPE: return "`aipc inspect` lists a model's inputs with their shapes and types";
    case AP_ERR_INPUT_FILE:
        return "make the file again: it is damaged, or of another kind than its name says";
    case AP_ERR_RUNTIME_LOAD:
    case AP_ERR_WORKER_CRASH:
    case AP_ERR_WORKER_GARBAGE:
        return "`aipc doctor` tells whether the runtime itself works; the log has its last words";
    default: return NULL;
    }
}

const char *ap_err_next(const ap_error *e) {
    if (!e) return NULL;
    return e->hint ? e->hint : ap_code_hint(e->code);
}
