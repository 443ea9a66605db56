// SPDX-License-Identifier: Apache-2.0
// loan: memory of an artifact's runs that its worker sees, too, and the part of it that is lent to whoever
// wants answers without a copy.
//
// At the front lie the bell and the inputs, behind them room for the outputs, several times. Room 0 is the
// artifact's own. The others are lent and come back when nobody has a view of them any more; until then no
// run touches them. A fork ends that: parent and child both keep what is lent at that moment, each with its
// own writes, as they would with any memory, so such a room is never lent again.
#ifndef AP_PLAN_LOAN_H
#define AP_PLAN_LOAN_H

#include "base/shared.h"

typedef struct ap_pool ap_pool;
typedef struct aipc_loan ap_loan;

// Rounds up to where a room may begin; false: no such size.
bool ap_pool_align(size_t *bytes);
// `first`: where room 0 begins, aligned; `bytes`: of a room. Error NO_MEMORY, IO.
AP_MUST ap_err ap_pool_make(size_t first, size_t bytes, ap_pool **out);
// The artifact is done with it. The memory goes when the last loan has come back. NULL is fine.
void ap_pool_leave(ap_pool *p);

const ap_shared *ap_pool_memory(const ap_pool *p);
size_t ap_pool_rooms(const ap_pool *p);  // with room 0
size_t ap_pool_stride(const ap_pool *p); // from one to the next
// The room that is lent and in which this address lies; 0: none.
size_t ap_pool_room(const ap_pool *p, const void *address);
// Are outputs of so many bytes lent at all? Small ones are copied faster than they are lent.
bool ap_pool_lends(size_t bytes);

// All of these from any thread, without locks: a loan may come back wherever memory is freed.
ap_loan *ap_pool_lend(ap_pool *p);          // NULL: all are lent
ap_loan *ap_loan_own(size_t bytes);         // as much memory of this process alone; NULL: there is none
void *ap_loan_memory(ap_loan *loan);        // where it begins
size_t ap_loan_behind(const ap_loan *loan); // how far it lies behind room 0, if not of this process alone
void ap_loan_release(ap_loan *loan);
void ap_pool_forking(ap_pool *p); // just before a fork, in the parent

#endif
