// SPDX-License-Identifier: Apache-2.0
#include "surgery/oracle/oracle_command.h"

#include "base/proc.h"
#include "surgery/oracle/oracle_priv.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 32, MOST_REPLY = 16 << 20 };
static const uint64_t PATIENCE_US = 120000000;

struct ap_oracle_command {
    ap_arena arena;
    const char *words[MOST_WORDS + 1];
    const char *dir;
    ap_proc proc;
    int fd;
    ap_buf in;
    size_t calls;
};

static void split(ap_oracle_command *c, const char *line) {
    size_t n = 0;
    while (*line && n < MOST_WORDS) {
        size_t len = strcspn(line, " ");
        if (len) c->words[n++] = ap_arena_strndup(&c->arena, line, len);
        line += len + (line[len] == ' ');
    }
}

static ap_err start(ap_oracle_command *c) {
    int fds[2] = {-1, -1};
    ap_err err = NULL;
    AP_TRY(ap_channel_pair(fds));
    const char *log = ap_path_join(&c->arena, c->dir, "second.log");
    ap_proc_options o = {
        .argv = c->words, .stdout_path = log, .stderr_path = log, .channel_fd = fds[1], .keep = true};
    AP_TRY(ap_proc_start(&o, &c->proc));
    c->fd = fds[0];
    fds[0] = -1;
done:
    ap_fd_close(&fds[0]);
    ap_fd_close(&fds[1]);
    return err;
}

ap_err ap_oracle_command_open(const char *line, const char *scratch, ap_oracle_command **out) {
    ap_oracle_command *c = ap_calloc(1, sizeof *c);
    ap_err err = NULL;
    c->fd = -1;
    c->dir = ap_arena_strdup(&c->arena, scratch);
    split(c, line);
    if (!c->words[0]) AP_FAIL(AP_ERR_USAGE, "the second oracle has no name");
    AP_TRY(start(c));
    *out = c;
    c = NULL;
done:
    ap_oracle_command_close(c);
    return err;
}

void ap_oracle_command_close(ap_oracle_command *c) {
    bool done_ = false;
    if (!c) return;
    ap_fd_close(&c->fd);
    if (c->proc.pid) {
        ap_err_free(ap_proc_wait(&c->proc, 200, &done_, &(ap_exit){0}));
        if (!done_) ap_proc_kill(&c->proc, NULL);
    }
    ap_buf_free(&c->in);
    ap_arena_release(&c->arena);
    free(c);
}

static ap_err read_line(ap_oracle_command *c, json_t **out) {
    uint64_t until = ap_now_us() + PATIENCE_US;
    for (;;) {
        char *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
        if (end) {
            size_t n = (size_t)(end - c->in.data);
            ap_err err = ap_json_parse(c->in.data, n, "the second oracle's reply", AP_ERR_VENDOR, out);
            memmove(c->in.data, end + 1, c->in.len - n - 1);
            c->in.len -= n + 1;
            return err;
        }
        ap_channel_state state;
        ap_err err = ap_channel_read(c->fd, 200, &c->in, &state);
        if (err) return err;
        if (state == AP_CHANNEL_CLOSED)
            return ap_err_new(AP_ERR_USAGE, "the second oracle '%s' ended without a reply", c->words[0]);
        if (c->in.len > MOST_REPLY) return ap_err_new(AP_ERR_VENDOR, "the second oracle's reply has no end");
        if (ap_now_us() > until) return ap_err_new(AP_ERR_VENDOR, "the second oracle did not answer in time");
    }
}

static ap_err ask(ap_oracle_command *c, const char *model, json_t *inputs, const char *dir, json_t **reply) {
    json_t *request = json_pack("{ss, sO, ss}", "model", model, "inputs", inputs, "dir", dir);
    char *text = ap_json_text(request, false);
    ap_err err = NULL;
    AP_TRY(ap_channel_write(c->fd, text, strlen(text), "\n", 1, -1));
    AP_TRY(read_line(c, reply));
    const char *error = ap_json_str(*reply, "error", NULL);
    if (error) AP_FAIL(AP_ERR_VENDOR, "%.400s", error);
done:
    free(text);
    json_decref(request);
    return err;
}

static ap_err run(void *user, ap_model *piece, const ap_named_tensor *in, size_t in_count, ap_tensor *out,
                  size_t out_count) {
    ap_oracle_command *c = user;
    ap_arena a = {0};
    json_t *inputs = NULL, *reply = NULL;
    const char *dir = ap_path_join(&a, c->dir, ap_arena_printf(&a, "second%zu", c->calls++));
    ap_err err = NULL;
    for (size_t i = 0; i < out_count; i++) out[i] = (ap_tensor){0};
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(oracle_put(piece, in, in_count, dir, &inputs));
    AP_TRY(ask(c, ap_path_join(&a, dir, "piece.onnx"), inputs, dir, &reply));
    AP_TRY(oracle_take(piece, json_object_get(reply, "outputs"), out, out_count));
done:
    for (size_t i = 0; err && i < out_count; i++) ap_tensor_free(&out[i]);
    json_decref(inputs);
    json_decref(reply);
    ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}

ap_piece_oracle ap_oracle_command_piece(ap_oracle_command *c) {
    return (ap_piece_oracle){.run = run, .user = c};
}
