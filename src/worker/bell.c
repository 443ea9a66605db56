// SPDX-License-Identifier: Apache-2.0
#include "worker/bell.h"

#include "base/cpu.h"
#include "base/proc.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_US = 150, QUICK = 16 }; // how long to wait awake; after how many waits that were that short
enum { LOOKS = 32 };                 // between two looks at the clock

// Of a word: nothing yet, its owner sleeps on it, and what it was told (AP_RING_*).
enum { QUIET = 0, CALL = AP_RING_CALL, FRAME = AP_RING_FRAME, ASLEEP };

static void breathe(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Awake until the word is told something, or the time is over.
static void watch(const _Atomic uint32_t *word) {
    for (uint64_t end = ap_now_us() + LIMIT_US; ap_now_us() < end;)
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != QUIET) return;
            breathe();
        }
}

// Asleep until then. timeout_ms 0: for ever.
static void sleep_on(_Atomic uint32_t *word, unsigned timeout_ms) {
    struct timespec t = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    uint32_t quiet = QUIET;
    atomic_compare_exchange_strong(word, &quiet, ASLEEP);
    while (atomic_load(word) == ASLEEP) {
        long r = syscall(SYS_futex, word, FUTEX_WAIT, ASLEEP, timeout_ms ? &t : NULL, NULL, 0);
        if (r && timeout_ms) return; // the time is over, or a signal came: whoever waits looks around
    }
}

static void tell(_Atomic uint32_t *word, uint32_t what) {
    if (atomic_exchange(word, what) == ASLEEP) syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_on(_Atomic uint32_t *word, ap_patience *p, unsigned timeout_ms, _Atomic uint32_t *mine,
                    const _Atomic uint32_t *theirs) {
    uint32_t here = (uint32_t)(ap_cpu_now() + 1), there = atomic_load(theirs);
    atomic_store(mine, here);
    if (p->since_us == 0) { // else it goes on
        p->since_us = ap_now_us();
        if (p->quick >= QUICK && here != there) watch(word);
    }
    sleep_on(word, timeout_ms);
}

static void learn(ap_patience *p) {
    bool quick = ap_now_us() - p->since_us < LIMIT_US;
    p->quick = !quick ? 0 : p->quick < QUICK ? p->quick + 1 : QUICK;
    p->since_us = 0;
}

// ---- the asker

void ap_bell_call(ap_bell *b, uint32_t room) {
    b->room = room;
    atomic_store(&b->answer, QUIET);
    tell(&b->call, CALL);
}

void ap_bell_frame(ap_bell *b) {
    tell(&b->call, FRAME);
}

ap_ring ap_bell_answered(ap_bell *b, ap_patience *p, unsigned timeout_ms) {
    wait_on(&b->answer, p, timeout_ms, &b->asker_cpu, &b->worker_cpu);
    uint32_t told = atomic_load(&b->answer);
    if (told == QUIET || told == ASLEEP) return AP_RING_NONE;
    learn(p);
    return told == CALL ? AP_RING_CALL : AP_RING_FRAME;
}

// ---- the worker

ap_ring ap_bell_asked(ap_bell *b, ap_patience *p, uint32_t *room) {
    wait_on(&b->call, p, 0, &b->worker_cpu, &b->asker_cpu);
    learn(p);
    uint32_t told = atomic_exchange(&b->call, QUIET);
    *room = b->room;
    return told == CALL ? AP_RING_CALL : AP_RING_FRAME;
}

void ap_bell_answer(ap_bell *b, bool frame, uint64_t vendor_us) {
    b->vendor_us = vendor_us;
    tell(&b->answer, frame ? FRAME : CALL);
}
