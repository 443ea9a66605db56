// SPDX-License-Identifier: Apache-2.0
#include "plan/work/context.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

ap_err ap_context_open(const aipc_context_options *o, aipc_context **out) {
    static const aipc_context_options defaults = {0};
    aipc_context *c = ap_calloc(1, sizeof *c);
    if (!o) o = &defaults;
    c->cache_dir = o->cache_dir ? ap_arena_strdup(&c->arena, o->cache_dir) : ap_path_cache(&c->arena);
    c->data_dir = o->data_dir ? ap_arena_strdup(&c->arena, o->data_dir) : ap_path_data(&c->arena);
    c->log = o->log;
    c->progress = o->progress;
    c->user = o->user;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return NULL;
}

void ap_context_close(aipc_context *c) {
    if (!c) return;
    pthread_mutex_destroy(&c->lock);
    ap_arena_release(&c->arena);
    free(c);
}

void ap_context_log(aipc_context *c, aipc_level level, const char *fmt, ...) {
    if (!c->log) return;
    ap_buf text = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&c->lock);
    c->log(c->user, level, ap_buf_str(&text));
    pthread_mutex_unlock(&c->lock);
    ap_buf_free(&text);
}

void ap_context_progress(aipc_context *c, size_t done, size_t total, const char *fmt, ...) {
    if (!c->progress) return;
    ap_buf text = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&c->lock);
    c->progress(c->user, done, total, ap_buf_str(&text));
    pthread_mutex_unlock(&c->lock);
    ap_buf_free(&text);
}
