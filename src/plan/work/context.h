// SPDX-License-Identifier: Apache-2.0
// context: where things are kept and whom to tell. One for the life of a program; safe for several threads.
#ifndef AP_PLAN_CONTEXT_H
#define AP_PLAN_CONTEXT_H

#include "aipc/aipc.h"
#include "base/mem.h"

#include <pthread.h>

struct aipc_context {
    ap_arena arena;
    const char *cache_dir, *data_dir;
    void (*log)(void *user, aipc_level level, const char *text);
    void (*progress)(void *user, size_t done, size_t total, const char *text);
    void *user;
    pthread_mutex_t lock; // held while a callback runs: they come one at a time
};

// `o` is whole (api/api.c); NULL: the defaults.
AP_MUST ap_err ap_context_open(const aipc_context_options *o, aipc_context **out);
void ap_context_close(aipc_context *c);
void ap_context_log(aipc_context *c, aipc_level level, const char *fmt, ...) AP_PRINTF(3, 4);
void ap_context_progress(aipc_context *c, size_t done, size_t total, const char *fmt, ...) AP_PRINTF(4, 5);

#endif
