// SPDX-License-Identifier: Apache-2.0
// The program's heap with some of its blocks in shared memory (base/heap.h): preloaded by `aipc exec`, it
// stands before the C library's malloc, so that a program's tensor is read by the artifact's worker where it
// lies and not copied.
//
// What it knows: the sizes that were asked for, which are those of the inputs of deployed artifacts. What it
// never does: touch a block of any other size, or one that it did not hand out: these are the C library's.
// Where another allocator answers malloc, it hands out nothing. It keeps state of the whole process, as any
// malloc does.
//
// A fork ends the sharing: what is in use then becomes private to parent and child, each with its own writes,
// as memory has to be, and is not handed out again; the child is served by the C library alone.
#include "base/heap.h"
#include "base/shared.h"

#include <features.h>
#ifdef __GLIBC__ // elsewhere the library is empty, and inputs are copied

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MEMORY_BYTES ((size_t)1 << 30)  // addresses; pages are taken from the system when they are written to
#define CLASS_BYTES ((size_t)128 << 20) // that are added for a size at a time, at most
enum { GRAIN = 65536, CLASSES = 64, BLOCKS = 16 }; // GRAIN: a multiple of the pages of any machine
enum { WARM = 4 }; // blocks of a class that keep their pages when they are free

// glibc's own, for whoever replaces malloc: no lookup is needed, which would itself want memory.
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *p);

typedef enum block_state { FREE, USED, PARTED } block_state;

typedef struct size_class {
    size_t bytes, stride, first; // first: where block 0 begins
    size_t count;
    block_state state[BLOCKS];
} size_class;

static pthread_mutex_t lock =
    PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; // a fork's other handlers may want memory
static _Atomic(uint8_t *) memory;           // set once; NULL: nothing was wanted yet
static int memory_fd = -1;
static size_class classes[CLASSES];
static size_t class_count, used; // used: of the memory, by classes
static atomic_bool open_for_use; // cleared in a fork's child
static bool at_fork;             // nothing is handed out; with the lock

// ---- blocks

static bool inside(const void *p) {
    const uint8_t *m = atomic_load_explicit(&memory, memory_order_acquire);
    return m && (uintptr_t)p - (uintptr_t)m < MEMORY_BYTES;
}

static uint8_t *block_at(const size_class *c, size_t i) {
    return memory + c->first + i * c->stride;
}

// The block in which an address of the memory lies. With the lock, as the next.
static size_class *block_of(const void *p, size_t *block) {
    size_t at = (size_t)((const uint8_t *)p - memory);
    for (size_class *c = classes; c < classes + class_count; c++)
        if (at >= c->first && at - c->first < c->count * c->stride) {
            *block = (at - c->first) / c->stride;
            return c;
        }
    return NULL;
}

// The lowest first: so few are in use, and warm.
static void *take_from(size_class *c) {
    for (size_t i = 0; i < c->count; i++)
        if (c->state[i] == FREE) {
            c->state[i] = USED;
            return block_at(c, i);
        }
    return NULL;
}

static void *take(size_t bytes, size_t align) {
    void *p = NULL;
    if (bytes < AP_HEAP_FROM || align > GRAIN || !atomic_load_explicit(&open_for_use, memory_order_relaxed))
        return NULL;
    pthread_mutex_lock(&lock);
    for (size_class *c = classes; c < classes + class_count && !p && !at_fork; c++)
        if (c->bytes == bytes) p = take_from(c);
    pthread_mutex_unlock(&lock);
    return p;
}

// What is rarely in use goes back to the system. Of a block that a fork met only this process's own pages:
// the other one reads those that it has not written to itself.
static void give_back(void *p) {
    int before = errno; // free() leaves it alone
    size_t i = 0;
    pthread_mutex_lock(&lock);
    size_class *c = block_of(p, &i);
    if (c && c->state[i] == PARTED) (void)madvise(block_at(c, i), c->stride, MADV_DONTNEED);
    if (c && c->state[i] == USED) {
        if (i >= WARM) (void)madvise(block_at(c, i), c->stride, MADV_REMOVE);
        c->state[i] = FREE;
    }
    pthread_mutex_unlock(&lock);
    errno = before;
}

static size_t bytes_of(const void *p) {
    size_t i;
    pthread_mutex_lock(&lock);
    const size_class *c = block_of(p, &i);
    size_t bytes = c ? c->bytes : 0;
    pthread_mutex_unlock(&lock);
    return bytes;
}

// ---- forks

static void forking(void) {
    pthread_mutex_lock(&lock);
    at_fork = true;
    for (size_class *c = classes; c < classes + class_count; c++)
        for (size_t i = 0; i < c->count; i++) {
            if (c->state[i] != USED) continue;
            // Where the system has no memory for it both go on with the same pages: as good as it gets.
            (void)mmap(block_at(c, i), c->stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, memory_fd,
                       (off_t)(c->first + i * c->stride));
            c->state[i] = PARTED;
        }
}

static void forked(void) {
    at_fork = false;
    pthread_mutex_unlock(&lock);
}

static void born(void) {
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; // it was another thread's
    atomic_store(&open_for_use, false);
}

// ---- base/heap.h

static const void *library_of(const void *address) {
    Dl_info info;
    return address && dladdr(address, &info) ? info.dli_fbase : NULL;
}

// Do all of these lead here? A block must come back to who handed it out.
static bool stands_first(void) {
    static const char *const names[] = {"malloc",        "calloc",   "realloc", "posix_memalign",
                                        "aligned_alloc", "memalign", "free",    "malloc_usable_size"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (library_of(dlsym(RTLD_DEFAULT, names[i])) != library_of(&lock)) return false;
    return true;
}

static bool make_memory(void) {
    int fd = memfd_create("aipc-heap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *p = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)MEMORY_BYTES) == 0 && fcntl(fd, F_ADD_SEALS, AP_SHARED_SEALS) == 0)
        p = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED || pthread_atfork(forking, forked, born)) {
        if (p != MAP_FAILED) munmap(p, MEMORY_BYTES);
        if (fd >= 0) close(fd);
        return false;
    }
    memory_fd = fd;
    atomic_store(&memory, p);
    return true;
}

static bool has_free(const size_class *c) {
    for (size_t i = 0; i < c->count; i++)
        if (c->state[i] == FREE) return true;
    return false;
}

// A size may have several: weights of just the size of an input take all there is before its first call.
static bool add_class(size_t bytes) {
    size_t stride = (bytes + GRAIN - 1) / GRAIN * GRAIN;
    for (size_t i = 0; i < class_count; i++)
        if (classes[i].bytes == bytes && has_free(&classes[i])) return true;
    if (class_count == CLASSES || bytes > CLASS_BYTES) return false;
    size_t count = CLASS_BYTES / stride < BLOCKS ? CLASS_BYTES / stride : BLOCKS;
    if (count == 0 || count * stride > MEMORY_BYTES - used) return false;
    classes[class_count++] = (size_class){.bytes = bytes, .stride = stride, .first = used, .count = count};
    used += count * stride;
    return true;
}

static bool heap_want(size_t bytes) {
    static atomic_bool tried;
    if (bytes < AP_HEAP_FROM) return false;
    // Not with the lock: pthread_atfork and dlsym may want memory.
    if (!atomic_exchange(&tried, true)) atomic_store(&open_for_use, stands_first() && make_memory());
    pthread_mutex_lock(&lock);
    bool done = atomic_load(&open_for_use) && add_class(bytes);
    pthread_mutex_unlock(&lock);
    return done;
}

static int heap_memory(size_t *bytes) {
    *bytes = MEMORY_BYTES;
    return atomic_load(&open_for_use) ? memory_fd : -1;
}

static bool heap_at(const void *data, size_t bytes, size_t *offset) {
    size_t i = 0;
    if (!inside(data) || !atomic_load(&open_for_use)) return false;
    pthread_mutex_lock(&lock);
    const size_class *c = block_of(data, &i);
    size_t in_block = c ? (size_t)((const uint8_t *)data - block_at(c, i)) : 0;
    bool seen = c && c->state[i] == USED && in_block <= c->bytes && bytes <= c->bytes - in_block;
    pthread_mutex_unlock(&lock);
    *offset = (size_t)((const uint8_t *)data - memory);
    return seen;
}

EXPORT const ap_heap aipc_heap = {AP_HEAP_VERSION, heap_want, heap_memory, heap_at};

// ---- the C library's functions

EXPORT void *malloc(size_t bytes) {
    void *p = take(bytes, 1);
    return p ? p : __libc_malloc(bytes);
}

EXPORT void *calloc(size_t count, size_t bytes) {
    size_t all;
    void *p = __builtin_mul_overflow(count, bytes, &all) ? NULL : take(all, 1);
    return p ? memset(p, 0, all) : __libc_calloc(count, bytes);
}

EXPORT void free(void *p) {
    if (inside(p))
        give_back(p);
    else
        __libc_free(p);
}

EXPORT void *realloc(void *old, size_t bytes) {
    if (!inside(old)) return __libc_realloc(old, bytes);
    size_t had = bytes_of(old);
    if (bytes == had) return old;
    void *p = bytes ? malloc(bytes) : NULL;
    if (p) memcpy(p, old, had < bytes ? had : bytes);
    if (p || !bytes) free(old);
    return p;
}

EXPORT void *memalign(size_t align, size_t bytes) {
    void *p = take(bytes, align);
    return p ? p : __libc_memalign(align, bytes);
}

EXPORT void *aligned_alloc(size_t align, size_t bytes) {
    return memalign(align, bytes);
}

EXPORT int posix_memalign(void **out, size_t align, size_t bytes) {
    if (align % sizeof(void *) || align == 0 || (align & (align - 1))) return EINVAL;
    int before = errno;
    void *p = memalign(align, bytes);
    errno = before;
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

EXPORT size_t malloc_usable_size(void *p) {
    // glibc's has no second name; of the next library in the line.
    static _Atomic(void *) next;
    size_t (*usable)(void *);
    if (inside(p)) return bytes_of(p);
    void *found = atomic_load(&next);
    if (!found) atomic_store(&next, found = dlsym(RTLD_NEXT, "malloc_usable_size"));
    if (!found) return 0;
    memcpy(&usable, &found, sizeof usable);
    return usable(p);
}

#endif
