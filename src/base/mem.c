// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

void ap_oom(size_t bytes) {
    // Formatted on the stack and written raw: stdio may want memory that is not there.
    char line[96];
    int n = snprintf(line, sizeof line, "aipc: out of memory (%zu bytes wanted)\n", bytes);
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) n = 0; // nothing left to tell it to
    _exit(AP_EXIT_MEMORY); // no atexit handlers: they may allocate, and files on disk are whole at any time
}

void *ap_alloc(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    if (!p) ap_oom(bytes);
    return p;
}

void *ap_calloc(size_t count, size_t size) {
    void *p = calloc(count && size ? count : 1, count && size ? size : 1);
    if (!p) ap_oom(ap_mul_size(count, size, &size) ? size : SIZE_MAX);
    return p;
}

void *ap_realloc(void *p, size_t bytes) {
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q) ap_oom(bytes);
    return q;
}

char *ap_strdup(const char *s) {
    return s ? ap_strndup(s, strlen(s)) : NULL;
}

// Copies at most n bytes of `s` to `to`, which has room for `len` + 1, and ends it.
static char *copy_text(char *to, const char *s, size_t len) {
    if (len) memcpy(to, s, len);
    to[len] = 0;
    return to;
}

char *ap_strndup(const char *s, size_t n) {
    if (!s) return NULL;
    size_t len = strnlen(s, n);
    return copy_text(ap_alloc(len + 1), s, len);
}

// ---- arena: a list of blocks; only the head is filled, big requests get a block of their own behind it ----

enum { ARENA_ALIGN = 16, BLOCK_MIN_BYTES = 4096, BLOCK_MAX_BYTES = 1 << 20 };

struct ap_arena_block {
    struct ap_arena_block *next;
    size_t used, size;
    alignas(ARENA_ALIGN) unsigned char data[];
};

// Under AddressSanitizer every allocation is a block of its own, so that an overrun is seen.
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_EXACT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_EXACT 1
#endif
#endif
#ifndef ARENA_EXACT
#define ARENA_EXACT 0
#endif

static struct ap_arena_block *block_new(size_t size) {
    size_t total;
    if (!ap_add_size(size, sizeof(struct ap_arena_block), &total)) ap_oom(size);
    struct ap_arena_block *b = ap_alloc(total);
    *b = (struct ap_arena_block){.size = size};
    return b;
}

void *ap_arena_alloc(ap_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX - ARENA_ALIGN) ap_oom(bytes);
    size_t size = bytes ? bytes : 1;
    if (!ARENA_EXACT) size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct ap_arena_block *head = a->head;
    a->used_bytes += bytes;
    if (!ARENA_EXACT && head && head->size - head->used >= size) {
        void *p = head->data + head->used;
        head->used += size;
        return p;
    }
    size_t next_size = head ? head->size * 2 : BLOCK_MIN_BYTES;
    if (next_size > BLOCK_MAX_BYTES) next_size = BLOCK_MAX_BYTES;
    bool own = ARENA_EXACT || size > next_size / 4;
    struct ap_arena_block *b = block_new(own ? size : next_size);
    b->used = size;
    if (own && head) { // keeps the room left in the head
        b->next = head->next;
        head->next = b;
    } else {
        b->next = head;
        a->head = b;
    }
    return b->data;
}

void *ap_arena_calloc(ap_arena *a, size_t count, size_t size) {
    size_t bytes;
    if (!ap_mul_size(count, size, &bytes)) ap_oom(SIZE_MAX);
    return memset(ap_arena_alloc(a, bytes), 0, bytes);
}

char *ap_arena_strdup(ap_arena *a, const char *s) {
    return s ? ap_arena_strndup(a, s, strlen(s)) : NULL;
}

char *ap_arena_strndup(ap_arena *a, const char *s, size_t n) {
    if (!s) return NULL;
    size_t len = strnlen(s, n);
    return copy_text(ap_arena_alloc(a, len + 1), s, len);
}

char *ap_arena_printf(ap_arena *a, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    size_t len = n > 0 ? (size_t)n : 0; // n < 0: longer than INT_MAX or a bad %ls; "" is what we can give
    char *text = ap_arena_alloc(a, len + 1);
    text[0] = 0;
    if (len) vsnprintf(text, len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

void ap_arena_release(ap_arena *a) {
    for (struct ap_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (ap_arena){0};
}

// ---- growable bytes ----

void ap_buf_reserve(ap_buf *b, size_t extra_bytes) {
    size_t need; // one more for the NUL
    if (!ap_add_size(b->len, extra_bytes, &need) || !ap_add_size(need, 1, &need)) ap_oom(extra_bytes);
    if (b->data && need <= b->cap) return;
    size_t cap = b->cap < SIZE_MAX / 2 ? b->cap * 2 : need;
    if (cap < need) cap = need;
    if (cap < 64) cap = 64;
    b->data = ap_realloc(b->data, cap);
    b->cap = cap;
    b->data[b->len] = 0;
}

void ap_buf_append(ap_buf *b, const void *bytes, size_t n) {
    ap_buf_reserve(b, n);
    copy_text(b->data + b->len, bytes, n);
    b->len += n;
}

void ap_buf_puts(ap_buf *b, const char *s) {
    ap_buf_append(b, s, strlen(s));
}
void ap_buf_putc(ap_buf *b, char c) {
    ap_buf_append(b, &c, 1);
}

void ap_buf_printf(ap_buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(b, fmt, args);
    va_end(args);
}

void ap_buf_vprintf(ap_buf *b, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    ap_buf_reserve(b, 63);
    int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
    size_t len = n > 0 ? (size_t)n : 0;
    if (len >= b->cap - b->len) {
        ap_buf_reserve(b, len);
        vsnprintf(b->data + b->len, len + 1, fmt, again);
    }
    b->len += len;
    b->data[b->len] = 0;
    va_end(again);
}

const char *ap_buf_str(const ap_buf *b) {
    return b->data ? b->data : "";
}

char *ap_buf_detach(ap_buf *b) {
    char *text = b->data ? b->data : ap_strdup("");
    *b = (ap_buf){0};
    return text;
}

void ap_buf_clear(ap_buf *b) {
    b->len = 0;
    if (b->data) b->data[0] = 0;
}

void ap_buf_free(ap_buf *b) {
    free(b->data);
    *b = (ap_buf){0};
}

void ap_mem_trim(void) {
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
