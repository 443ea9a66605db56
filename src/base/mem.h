// SPDX-License-Identifier: Apache-2.0
// mem: small memory. Arenas with one owner, growable byte buffers, checked size arithmetic.
//
// Small allocations (strings, nodes, lists) never fail: without memory the process ends in ap_oom(), the one
// place that handles it. Large ones (tensors, whole files) are mapped through base/file.h and return errors.
#ifndef AP_BASE_MEM_H
#define AP_BASE_MEM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// malloc family that ends in ap_oom() on exhaustion. Release with free().
void *ap_alloc(size_t bytes);               // not zeroed; bytes 0 gives a unique pointer
void *ap_calloc(size_t count, size_t size); // zeroed, product checked
void *ap_realloc(void *p, size_t bytes);
char *ap_strdup(const char *s); // NULL gives NULL
char *ap_strndup(const char *s, size_t n);
_Noreturn void ap_oom(size_t bytes);
// Hands memory that was freed back to the system. Best effort; for moments after something big went away.
void ap_mem_trim(void);

// Arena: memory released all at once. Zero-initialised is valid and empty. Not thread-safe: one owner.
typedef struct ap_arena {
    struct ap_arena_block *head;
    size_t used_bytes; // handed out, for reports
} ap_arena;

void *ap_arena_alloc(ap_arena *a, size_t bytes); // 16-byte aligned, not zeroed
void *ap_arena_calloc(ap_arena *a, size_t count, size_t size);
char *ap_arena_strdup(ap_arena *a, const char *s); // NULL gives NULL
char *ap_arena_strndup(ap_arena *a, const char *s, size_t n);
char *ap_arena_printf(ap_arena *a, const char *fmt, ...) AP_PRINTF(2, 3);
void ap_arena_release(ap_arena *a); // frees everything; the arena is empty and usable again

// Growable bytes. Zero-initialised is valid and empty. `data` is never NULL after the first append and
// always has a NUL behind `len`, so text buffers can be used as C strings (ap_buf_str handles the empty one).
typedef struct ap_buf {
    char *data;
    size_t len;
    size_t cap;
} ap_buf;

void ap_buf_reserve(ap_buf *b, size_t extra_bytes);
void ap_buf_append(ap_buf *b, const void *bytes, size_t n);
void ap_buf_puts(ap_buf *b, const char *s);
void ap_buf_putc(ap_buf *b, char c);
void ap_buf_printf(ap_buf *b, const char *fmt, ...) AP_PRINTF(2, 3);
void ap_buf_vprintf(ap_buf *b, const char *fmt, va_list args);
const char *ap_buf_str(const ap_buf *b); // "" when empty
char *ap_buf_detach(ap_buf *b);          // the caller now owns the text; the buffer is empty
void ap_buf_clear(ap_buf *b);            // keeps the memory
void ap_buf_free(ap_buf *b);

// Checked arithmetic: false on overflow, result untouched.
static inline bool ap_mul_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool ap_add_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

#endif
