// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

#include "base/file.h"
#include "worker/bell.h"
#include "worker/protocol.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_S 600u
#define LOG_NOTES 8
#define POLL_MS 50

struct ap_worker {
    ap_proc proc;
    int fd;
    ap_buf in;
    json_t *description;
    char *log_path, *name;
    unsigned timeout_s;
    uint64_t memory_limit_bytes, peak_rss_bytes;
    bool dead;
    pid_t owner;   // the process that started it
    ap_bell *bell; // in what was shared; NULL: nothing was
    ap_patience patience;
};

// The last lines the child wrote, as notes: often the only trace of why it died.
static ap_err add_log_tail(const ap_worker *w, ap_err e) {
    ap_filemap log = {0};
    ap_err failed = w->log_path ? ap_filemap_open(w->log_path, &log) : NULL;
    if (failed || log.bytes == 0) {
        ap_err_free(failed);
        return e;
    }
    const char *end = (const char *)log.data + log.bytes, *start = end;
    for (int lines = 0; start > (const char *)log.data; start--)
        if (start[-1] == '\n' && start != end && ++lines == LOG_NOTES) break;
    while (start < end) {
        const char *nl = memchr(start, '\n', (size_t)(end - start));
        size_t n = (size_t)((nl ? nl : end) - start);
        if (n > 0) e = ap_err_note(e, "worker log: %.*s", (int)(n > 500 ? 500 : n), start);
        start += n + 1;
    }
    ap_filemap_close(&log);
    return ap_err_note(e, "whole log: %s", w->log_path);
}

static ap_err died(ap_worker *w, const char *op) {
    ap_exit how = {0};
    bool done = false;
    ap_err err = ap_proc_wait(&w->proc, 2000, &done, &how);
    if (err) return err;
    if (!done) ap_proc_kill(&w->proc, &how);
    w->dead = true;
    if (how.signal)
        err = ap_err_new(AP_ERR_WORKER_CRASH, "the worker for %s died of signal %d (%s) during '%s'", w->name,
                         how.signal, strsignal(how.signal), op);
    else if (how.exited && how.status == AP_EXIT_MEMORY)
        err =
            ap_err_new(AP_ERR_WORKER_MEMORY, "the worker for %s ran out of memory during '%s'", w->name, op);
    else
        err = ap_err_new(AP_ERR_WORKER_CRASH, "the worker for %s left with status %d during '%s'", w->name,
                         how.status, op);
    return add_log_tail(w, err);
}

static ap_err stop_for(ap_worker *w, ap_err e) {
    ap_proc_kill(&w->proc, NULL);
    w->dead = true;
    return add_log_tail(w, e);
}

// While nothing comes: is there still time, is there still memory?
static ap_err check_limits(ap_worker *w, const char *op, uint64_t deadline_us) {
    uint64_t rss = w->memory_limit_bytes ? ap_proc_resident_bytes(&w->proc) : 0;
    if (rss > w->memory_limit_bytes)
        return stop_for(w, ap_err_hint(ap_err_new(AP_ERR_WORKER_MEMORY,
                                                  "the worker for %s uses %llu MiB, the limit is %llu MiB",
                                                  w->name, (unsigned long long)(rss >> 20),
                                                  (unsigned long long)(w->memory_limit_bytes >> 20)),
                                       "raise --memory, or use a smaller input"));
    if (ap_now_us() > deadline_us)
        return stop_for(
            w, ap_err_hint(ap_err_new(AP_ERR_WORKER_HANG, "the worker for %s did not answer '%s' within %u s",
                                      w->name, op, w->timeout_s),
                           "raise --timeout if the model is large"));
    return NULL;
}

// A look at the channel of a worker that has not answered yet.
static ap_err look(ap_worker *w, const char *op, int timeout_ms, uint64_t deadline_us) {
    ap_channel_state state;
    ap_err err = ap_channel_read(w->fd, timeout_ms, &w->in, &state);
    if (!err && state == AP_CHANNEL_CLOSED) err = died(w, op);
    if (!err && state == AP_CHANNEL_QUIET) err = check_limits(w, op, deadline_us);
    return err;
}

static uint64_t deadline(const ap_worker *w) {
    return ap_now_us() + (uint64_t)w->timeout_s * 1000000u;
}

static ap_err read_reply(ap_worker *w, const char *op, json_t **reply) {
    for (uint64_t end = deadline(w);;) {
        ap_err err = ap_frame_take(&w->in, reply);
        if (err) return stop_for(w, err);
        if (*reply) return NULL;
        err = look(w, op, POLL_MS, end);
        if (err) return err;
    }
}

// An error object sent by the worker becomes an error here, with everything it carried.
static ap_err error_from_json(const json_t *j) {
    ap_err e = ap_err_new(ap_code_from_key(ap_json_str(j, "code", "internal")), "%s",
                          ap_json_str(j, "message", "?"));
    const char *subject = ap_json_str(j, "subject", NULL), *hint = ap_json_str(j, "hint", NULL);
    if (subject) e = ap_err_subject(e, subject);
    // The hint that any error of its kind gets stays open: a better one may be known here.
    const char *common = ap_code_hint(ap_err_code(e));
    if (hint && !(common && strcmp(hint, common) == 0)) e = ap_err_hint(e, "%s", hint);
    const json_t *notes = json_object_get(j, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++)
        e = ap_err_note(e, "%s", json_string_value(json_array_get(notes, i)));
    return e;
}

// A broken channel means the child died: says how, instead of "broken pipe".
static ap_err said(ap_worker *w, const char *op, ap_err err) {
    if (!err) return NULL;
    ap_err_free(err);
    return died(w, op);
}

static ap_err hear(ap_worker *w, const char *op, json_t **result) {
    json_t *reply = NULL;
    ap_err err = NULL;
    AP_TRY(read_reply(w, op, &reply));
    if (ap_json_bool(reply, "ok", false))
        *result = json_incref(json_object_get(reply, "result"));
    else
        err = error_from_json(json_object_get(reply, "error"));
done:
    json_decref(reply);
    return err;
}

static ap_err alive(const ap_worker *w) {
    return w->dead ? ap_err_new(AP_ERR_INTERNAL, "the worker for %s is gone", w->name) : NULL;
}

static ap_err ask(ap_worker *w, const char *op, json_t *args, int pass, json_t **result) {
    json_t *request = json_pack("{ss,so}", "op", op, "args", args ? args : json_object());
    ap_err err = NULL;
    AP_TRY(alive(w));
    AP_TRY(said(w, op, ap_frame_pass(w->fd, request, pass)));
    if (w->bell) ap_bell_frame(w->bell);
    AP_TRY(hear(w, op, result));
done:
    json_decref(request);
    return err;
}

ap_err ap_worker_call(ap_worker *w, const char *op, json_t *args, json_t **result) {
    return ask(w, op, args, -1, result);
}

ap_err ap_worker_share(ap_worker *w, const ap_shared *memory, json_t *args) {
    json_t *result = NULL;
    json_object_set_new(args, "bytes", json_integer((json_int_t)memory->bytes));
    ap_err err = ask(w, "share", args, memory->fd, &result);
    json_decref(result);
    if (!err) w->bell = (ap_bell *)(void *)memory->data;
    return err;
}

ap_err ap_worker_heap(ap_worker *w, int fd, size_t bytes) {
    json_t *result = NULL;
    ap_err err = ask(w, "heap", json_pack("{sI}", "bytes", (json_int_t)bytes), fd, &result);
    json_decref(result);
    return err;
}

ap_err ap_worker_ring(ap_worker *w, size_t room, const uint64_t *given, uint64_t *vendor_us) {
    json_t *result = NULL;
    ap_ring ring = AP_RING_NONE;
    ap_err err = NULL;
    if (!w->bell) AP_FAIL(AP_ERR_INTERNAL, "call without shared tensors");
    AP_TRY(alive(w));
    if (given) memcpy(w->bell->given, given, sizeof w->bell->given);
    ap_bell_call(w->bell, (uint32_t)room);
    for (uint64_t end = deadline(w); !ring;) {
        ring = ap_bell_answered(w->bell, &w->patience, POLL_MS);
        if (!ring) AP_TRY(look(w, "call", 0, end));
    }
    if (ring == AP_RING_FRAME) AP_TRY(hear(w, "call", &result));
    *vendor_us = w->bell->vendor_us;
done:
    json_decref(result);
    return err;
}

const json_t *ap_worker_description(const ap_worker *w) {
    return w->description;
}

static ap_err greet(ap_worker *w, const ap_worker_options *o) {
    json_t *args = json_deep_copy(o->config);
    json_object_set_new(args, "protocol", json_integer(AP_PROTOCOL));
    ap_err err = ap_worker_call(w, "open", args, &w->description);
    if (!err && ap_json_int(w->description, "protocol", 1) != AP_PROTOCOL)
        err = ap_err_hint(ap_err_new(AP_ERR_RUNTIME_MISSING,
                                     "the aipc program '%s' is of another build than this library (%s)",
                                     o->program, AP_VERSION),
                          "set AIPC_PROGRAM=/path/to/aipc to the one it came with");
    return err;
}

ap_err ap_worker_start(const ap_worker_options *o, ap_worker **out) {
    int fds[2] = {-1, -1};
    ap_worker *w = ap_calloc(1, sizeof *w);
    w->fd = -1;
    w->owner = getpid();
    w->timeout_s = o->timeout_s ? o->timeout_s : DEFAULT_TIMEOUT_S;
    w->memory_limit_bytes = o->memory_limit_bytes;
    w->log_path = ap_strdup(o->log_path);
    w->name = ap_strdup(ap_json_str(o->config, "target", "?"));
    ap_err err = NULL;
    AP_TRY(ap_channel_pair(fds));
    const char *argv[] = {o->program, "worker", "--fd", "3", NULL};
    const char *env[] = {"ORT_DISABLE_TELEMETRY=1", NULL};
    ap_proc_options po = {.argv = argv,
                          .env_add = env,
                          .stdout_path = o->log_path,
                          .stderr_path = o->log_path,
                          .channel_fd = fds[1],
                          .keep = true}; // whoever opened an artifact may end before it is run
    AP_TRY(ap_proc_start(&po, &w->proc));
    w->fd = fds[0];
    fds[0] = -1;
    ap_fd_close(&fds[1]); // ours: so that a dead child reads as end of file
    AP_TRY(greet(w, o));
    *out = w;
    w = NULL;
done:
    ap_fd_close(&fds[0]);
    ap_fd_close(&fds[1]);
    ap_worker_stop(w, NULL);
    return err;
}

void ap_worker_stop(ap_worker *w, uint64_t *peak_rss_bytes) {
    if (!w) return;
    ap_exit how = {0};
    bool done = false;
    ap_fd_close(&w->fd);
    if (w->proc.pid && w->owner == getpid()) {
        if (w->bell) ap_bell_frame(w->bell);
        // Vendor libraries can take long, or crash, while they unload. Nothing of value is left in the child.
        ap_err_free(ap_proc_wait(&w->proc, 20, &done, &how));
        if (!done) ap_proc_kill(&w->proc, &how);
    }
    if (peak_rss_bytes) *peak_rss_bytes = how.peak_rss_bytes;
    json_decref(w->description);
    ap_buf_free(&w->in);
    free(w->log_path);
    free(w->name);
    free(w);
}
