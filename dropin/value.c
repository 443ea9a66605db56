// SPDX-License-Identifier: Apache-2.0
// Values over memory that is lent. To the real library each looks like one whose memory came from an
// allocator of the program's: it asks that for the memory, once, and gives it back with the value, whoever
// held it last (the program, a binding, a sequence).
#include "dropin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// As every release of ONNX Runtime knows it; newer ones look behind the fourth only from version 18 on.
typedef struct allocator {
    uint32_t version;
    void *(*alloc)(struct allocator *self, size_t bytes);
    void (*free)(struct allocator *self, void *memory);
    const OrtMemoryInfo *(*info)(const struct allocator *self);
} allocator;

struct dropin_answer {
    aipc_loan *loan;
    void (*release)(aipc_loan *loan);
    atomic_size_t users; // the run, and every value
};

// The allocator of one value. Used again, never freed: nobody says when the real library looked at one last.
typedef struct cell {
    allocator base;
    dropin_answer *of;
    void *data;
    size_t bytes;
    bool *given; // where to say that the memory was taken; NULL: it was
    struct cell *next;
} cell;

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static cell *unused;
static OrtAllocator *standard; // the library's own: where its memory is, ours is

// ---- cells

static void put_back(cell *c) {
    (void)pthread_mutex_lock(&guard);
    c->next = unused;
    unused = c;
    (void)pthread_mutex_unlock(&guard);
}

static void *cell_alloc(allocator *self, size_t bytes) {
    cell *c = (cell *)(void *)self;
    if (!c->given || bytes > c->bytes) return NULL;
    *c->given = true;
    c->given = NULL;
    atomic_fetch_add(&c->of->users, 1);
    return c->data;
}

static void cell_free(allocator *self, void *memory) {
    cell *c = (cell *)(void *)self;
    if (!memory) return;
    dropin_answer_leave(c->of);
    put_back(c);
}

static const OrtMemoryInfo *cell_info(const allocator *self) {
    (void)self;
    const allocator *a = (const allocator *)(const void *)standard;
    return a->info(a);
}

static cell *take(const ap_ort_fns *f) {
    OrtStatus *status = NULL;
    (void)pthread_mutex_lock(&guard);
    if (!standard) status = f->GetAllocatorWithDefaultOptions(&standard);
    cell *c = status ? NULL : unused;
    if (c) unused = c->next;
    (void)pthread_mutex_unlock(&guard);
    if (status) f->ReleaseStatus(status);
    if (!c && standard) c = malloc(sizeof *c);
    if (c) *c = (cell){.base = {.version = 1, .alloc = cell_alloc, .free = cell_free, .info = cell_info}};
    return c;
}

// ---- answers

dropin_answer *dropin_answer_of(aipc_loan *loan, void (*release)(aipc_loan *loan)) {
    dropin_answer *a = malloc(sizeof *a);
    if (a) *a = (dropin_answer){.loan = loan, .release = release, .users = 1};
    return a;
}

void dropin_answer_leave(dropin_answer *a) {
    if (atomic_fetch_sub(&a->users, 1) != 1) return;
    a->release(a->loan);
    free(a);
}

OrtValue *dropin_answer_value(const ap_ort_fns *f, dropin_answer *a, const aipc_tensor *t, void *data,
                              ONNXTensorElementDataType type) {
    cell *c = take(f);
    OrtValue *value = NULL;
    bool given = false;
    if (!c) return NULL;
    c->given = &given;
    c->of = a;
    c->data = data;
    c->bytes = t->bytes;
    OrtStatus *status =
        f->CreateTensorAsOrtValue((OrtAllocator *)(void *)&c->base, t->dims, t->rank, type, &value);
    if (status) f->ReleaseStatus(status);
    if (!given) put_back(c); // else it comes back with the memory
    return value;
}

void dropin_answers_forked(void) {
    (void)pthread_mutex_init(&guard, NULL);
}
