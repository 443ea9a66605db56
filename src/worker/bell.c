// SPDX-License-Identifier: Apache-2.0
#include "worker/bell.h"

#include "base/cpu.h"
#include "base/proc.h"

enum {
    LIMIT_US = 150,
    QUICK = 16
};                   // how long to wait awake; after how many waits that would have been enough
enum { LOOKS = 32 }; // between two looks at the clock

enum { ASLEEP, WATCHING, RUNG };           // call
enum { AWAITED = 1, DONE, FRAME, DOZING }; // answer

static void breathe(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Awake until the word is another one, or the time is over.
static void look(const _Atomic uint32_t *word, uint32_t same) {
    for (uint64_t end = ap_now_us() + LIMIT_US; ap_now_us() < end;)
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != same) return;
            breathe();
        }
}

static bool worth_it(ap_patience *p, _Atomic uint32_t *mine, const _Atomic uint32_t *theirs) {
    uint32_t here = (uint32_t)(ap_cpu_now() + 1), there = atomic_load(theirs);
    atomic_store(mine, here);
    p->since_us = ap_now_us();
    return p->quick >= QUICK && here != there;
}

void ap_patience_over(ap_patience *p) {
    if (p->since_us == 0) return;
    bool quick = ap_now_us() - p->since_us < LIMIT_US;
    p->quick = !quick ? 0 : p->quick < QUICK ? p->quick + 1 : QUICK;
    p->since_us = 0;
}

static bool change(_Atomic uint32_t *word, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong(word, &from, to);
}

// ---- the asker

bool ap_bell_ring(ap_bell *b, uint32_t room) {
    b->room = room;
    atomic_store(&b->answer, AWAITED);
    return change(&b->call, WATCHING, RUNG);
}

bool ap_bell_wait(ap_bell *b, ap_patience *p) {
    if (worth_it(p, &b->asker_cpu, &b->worker_cpu)) look(&b->answer, AWAITED);
    return !change(&b->answer, AWAITED, DOZING) && atomic_load(&b->answer) == DONE;
}

// ---- the worker

bool ap_bell_watch(ap_bell *b, ap_patience *p, uint32_t *room) {
    if (!worth_it(p, &b->worker_cpu, &b->asker_cpu)) return false;
    atomic_store(&b->call, WATCHING);
    look(&b->call, WATCHING);
    if (change(&b->call, WATCHING, ASLEEP)) return false;
    atomic_store(&b->call, ASLEEP);
    *room = b->room;
    return true;
}

bool ap_bell_answer(ap_bell *b, bool frame, uint64_t vendor_us) {
    b->vendor_us = vendor_us;
    if (!frame) return change(&b->answer, AWAITED, DONE);
    atomic_store(&b->answer, FRAME);
    return false;
}
