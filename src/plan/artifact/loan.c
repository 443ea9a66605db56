// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/loan.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { PAGE = 65536 }; // a multiple of the pages of any machine
enum { MOST_ROOMS = 16, ALIGN = 64 };
#define LEND_FROM ((size_t)64 << 10)
#define MOST_BYTES ((size_t)256 << 20) // of what is lent; taken from the system when it is first written to

enum { HOME, LENT, KEPT }; // KEPT: by a fork, and never lent again

struct aipc_loan {
    ap_pool *pool; // NULL: memory of this process alone, behind this
    atomic_int state;
};

struct ap_pool {
    ap_shared memory;
    size_t first, stride, rooms;
    atomic_size_t users;           // the artifact, and each loan
    ap_loan loans[MOST_ROOMS + 1]; // [0] is nobody's
};

bool ap_pool_align(size_t *bytes) {
    size_t up;
    if (!ap_add_size(*bytes, PAGE - 1, &up)) return false;
    *bytes = up / PAGE * PAGE;
    return true;
}

bool ap_pool_lends(size_t bytes) {
    return bytes >= LEND_FROM && bytes <= MOST_BYTES;
}

ap_err ap_pool_make(size_t first, size_t bytes, ap_pool **out) {
    ap_pool *p = ap_calloc(1, sizeof *p);
    size_t stride = bytes, all = 0;
    ap_err err = NULL;
    p->memory = AP_SHARED_NONE;
    p->first = first;
    p->users = 1;
    if (!ap_pool_align(&stride) || !ap_add_size(first, stride, &all))
        AP_FAIL(AP_ERR_NO_MEMORY, "no memory for outputs of %zu bytes", bytes);
    p->stride = stride;
    p->rooms = 1;
    if (ap_pool_lends(bytes)) p->rooms += stride > MOST_BYTES / MOST_ROOMS ? MOST_BYTES / stride : MOST_ROOMS;
    err = ap_shared_create(first + p->rooms * stride, &p->memory);
    if (ap_err_code(err) == AP_ERR_NO_MEMORY && p->rooms > 1) { // a small machine
        ap_err_free(err);
        p->rooms = 1;
        err = ap_shared_create(all, &p->memory);
    }
    if (err) goto done;
    for (size_t i = 1; i < p->rooms; i++) p->loans[i].pool = p;
    *out = p;
    p = NULL;
done:
    ap_pool_leave(p);
    return err;
}

void ap_pool_leave(ap_pool *p) {
    if (!p || atomic_fetch_sub(&p->users, 1) != 1) return;
    ap_shared_close(&p->memory);
    free(p);
}

const ap_shared *ap_pool_memory(const ap_pool *p) {
    return &p->memory;
}

size_t ap_pool_rooms(const ap_pool *p) {
    return p->rooms;
}

size_t ap_pool_stride(const ap_pool *p) {
    return p->stride;
}

size_t ap_pool_room(const ap_pool *p, const void *address) {
    uintptr_t at = (uintptr_t)address, begin = (uintptr_t)p->memory.data + p->first;
    size_t room = at >= begin && p->stride ? (at - begin) / p->stride : 0;
    return room < p->rooms && atomic_load(&p->loans[room].state) == LENT ? room : 0;
}

static bool change(ap_loan *loan, int from, int to) {
    return atomic_compare_exchange_strong(&loan->state, &from, to);
}

// The lowest first: so few are in use, and warm.
ap_loan *ap_pool_lend(ap_pool *p) {
    for (size_t i = 1; i < p->rooms; i++) {
        if (!change(&p->loans[i], HOME, LENT)) continue;
        atomic_fetch_add(&p->users, 1);
        return &p->loans[i];
    }
    return NULL;
}

ap_loan *ap_loan_own(size_t bytes) {
    size_t all;
    ap_loan *loan = NULL;
    if (!ap_add_size(bytes, 2 * ALIGN, &all)) return NULL;
    loan = aligned_alloc(ALIGN, all / ALIGN * ALIGN);
    if (loan) *loan = (ap_loan){.state = LENT};
    return loan;
}

void *ap_loan_memory(ap_loan *loan) {
    ap_pool *p = loan->pool;
    return p ? p->memory.data + p->first + ap_loan_behind(loan) : (uint8_t *)loan + ALIGN;
}

size_t ap_loan_behind(const ap_loan *loan) {
    return (size_t)(loan - loan->pool->loans) * loan->pool->stride;
}

void ap_loan_release(ap_loan *loan) {
    ap_pool *p = loan->pool;
    if (!p) {
        free(loan);
        return;
    }
    (void)change(loan, LENT, HOME);
    ap_pool_leave(p);
}

// Neither process sees what the other writes there from now on. The worker writes there no more, but for a
// run that is going on: that is seen.
void ap_pool_forking(ap_pool *p) {
    for (size_t i = 1; i < p->rooms; i++) {
        if (!change(&p->loans[i], LENT, KEPT)) continue;
        // Without memory for it both go on with the same pages: as good as it gets.
        ap_err_free(ap_shared_part(&p->memory, p->first + i * p->stride, p->stride));
    }
}
