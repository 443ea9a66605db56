// SPDX-License-Identifier: Apache-2.0
// Getting the wheel: from a folder the user names, or with `pip download`. pip is only asked for the file; it
// installs nothing and runs nothing out of it (--only-binary).
#include "device/runtime_table.h"

#include "base/proc.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 250, // between two progress lines
    DEADLINE_MS = 3600000,
    LOG_MAX_BYTES = 4 << 20,
    NOTE_LINES = 6 // of pip's last words in an error
};

static void tell(const ap_runtime_options *o, uint64_t done, uint64_t total, const char *text) {
    if (o->progress) o->progress(o->user, (size_t)(done < total ? done : total), (size_t)total, text);
}

// ---- pip ----

// The ways to call pip, in the order tried.
static const char *const PIP_CALLS[][3] = {
    {"python3", "-m", "pip"}, {"pip3", NULL, NULL}, {"pip", NULL, NULL}};
enum { PIP_CALL_COUNT = sizeof PIP_CALLS / sizeof PIP_CALLS[0], ARGS_MAX = 32 };

// Runs until pip has ended or the deadline has come; shows how much has arrived.
static ap_err wait_for_pip(const ap_runtime_spec *s, const ap_runtime_options *o, const char *dir, ap_proc *p,
                           ap_exit *how) {
    uint64_t end_us = ap_now_us() + (o->deadline_ms ? o->deadline_ms : DEADLINE_MS) * 1000;
    char text[160];
    snprintf(text, sizeof text, "downloading %s %s", s->name, s->version);
    for (bool done = false;;) {
        ap_err err = ap_proc_wait(p, LOOK_MS, &done, how);
        if (err || done) return err;
        uint64_t bytes = 0;
        ap_err_free(ap_tree_bytes(dir, &bytes)); // files come and go below; a miss only costs one line
        tell(o, bytes, s->wheel_bytes, text);
        if (ap_now_us() < end_us) continue;
        ap_proc_kill(p, how);
        how->timed_out = true;
        return NULL;
    }
}

// One way to call pip. `dir` is absolute; its log goes to dir/pip.log, the wheel to dir/out.
static ap_err run_pip(const ap_runtime_spec *s, const ap_runtime_options *o, const char *const call[3],
                      const char *dir, ap_arena *a, ap_exit *how) {
    const char *argv[ARGS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < 3 && call[i]; i++) argv[n++] = call[i];
    const char *const rest[] = {"download",
                                "--no-deps",
                                "--only-binary=:all:",
                                "--disable-pip-version-check",
                                "--no-input",
                                "--progress-bar",
                                "off",
                                "--platform",
                                s->platform,
                                "--python-version",
                                s->python,
                                "--implementation",
                                s->implementation,
                                "--abi",
                                s->abi,
                                "-d",
                                ap_path_join(a, dir, "out"),
                                ap_arena_printf(a, "%s==%s", s->package, s->version)};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) argv[n++] = rest[i];
    argv[n] = NULL;
    // Its temporary files go where the wheel goes: same disk, and nothing stays behind in /tmp.
    const char *const env[] = {ap_arena_printf(a, "TMPDIR=%s", dir), "PYTHONUNBUFFERED=1", NULL};
    const char *log = ap_path_join(a, dir, "pip.log");
    // The folder we run in is ours: Python would import a pip.py lying in the user's.
    const ap_proc_options po = {
        .argv = argv, .env_add = env, .cwd = dir, .stdout_path = log, .stderr_path = log, .channel_fd = -1};
    ap_proc p = {0};
    ap_err err = ap_proc_start(&po, &p);
    if (!err) err = wait_for_pip(s, o, dir, &p, how);
    ap_proc_kill(&p, NULL); // after an error; does nothing otherwise
    return err;
}

// Puts the last lines pip wrote under an error.
static ap_err add_log(ap_err err, const char *log) {
    char *lines = log ? ap_strdup(log) : NULL;
    if (!lines) return err;
    ap_text_utf8(lines, strlen(lines));
    ap_text_printable(lines);
    const char *last[NOTE_LINES] = {0};
    size_t count = 0;
    char *rest = NULL;
    for (char *l = strtok_r(lines, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest))
        last[count++ % NOTE_LINES] = l;
    for (size_t i = count > NOTE_LINES ? count - NOTE_LINES : 0; i < count; i++)
        err = ap_err_note(err, "pip: %.300s", last[i % NOTE_LINES]);
    free(lines);
    return err;
}

static ap_err no_download(const ap_runtime_spec *s, ap_err err, const char *log) {
    err = ap_err_subject(err, s->name);
    err = ap_err_hint(
        err, "check the network and pip's settings; or put %s into a folder and set AIPC_WHEELS to it",
        s->wheel);
    return add_log(err, log);
}

// The exit of one call as an error; *absent when this call has no pip at all and another may.
static ap_err judge(const ap_runtime_spec *s, const ap_exit *how, const char *log, bool *absent) {
    *absent = false;
    if (how->exited && how->status == 0) return NULL;
    if (how->timed_out)
        return no_download(s, ap_err_new(AP_ERR_RUNTIME_MISSING, "downloading %s took too long", s->name),
                           log);
    // 127: the name is there, but only as a shim (pyenv) for a program that is not.
    *absent = how->exited && (how->status == 127 || (log && strstr(log, "No module named pip")));
    return no_download(
        s,
        how->exited ? ap_err_new(AP_ERR_RUNTIME_MISSING, "pip cannot download %s %s (exit code %d)",
                                 s->package, s->version, how->status)
                    : ap_err_new(AP_ERR_RUNTIME_MISSING, "pip was killed by signal %d while downloading %s",
                                 how->signal, s->package),
        log);
}

static ap_err download(const ap_runtime_spec *s, const ap_runtime_options *o, const char *dir, ap_arena *a) {
    for (size_t i = 0; i < PIP_CALL_COUNT; i++) {
        ap_exit how = {0};
        ap_buf log = {0};
        bool absent = false;
        ap_err err = run_pip(s, o, PIP_CALLS[i], dir, a, &how);
        if (!err) {
            ap_err_free(ap_file_read(ap_path_join(a, dir, "pip.log"), LOG_MAX_BYTES, &log));
            err = judge(s, &how, log.data, &absent);
        } else {
            absent = ap_err_code(err) == AP_ERR_NOT_FOUND;
        }
        ap_buf_free(&log);
        if (!absent) return err;
        ap_err_free(err);
    }
    ap_err err = ap_err_new(AP_ERR_RUNTIME_MISSING, "cannot download %s: there is no pip on PATH", s->name);
    err = ap_err_subject(err, s->name);
    return ap_err_hint(err,
                       "install Python's pip (Debian: apt install python3-pip); or put %s into a folder and "
                       "set AIPC_WHEELS to it",
                       s->wheel);
}

ap_err ap_runtime_fetch(const ap_runtime_spec *s, const ap_runtime_options *o, const char *tmp_dir,
                        ap_arena *a, const char **path, const char **from) {
    ap_err err = NULL;
    const char *folder = o->wheels_dir ? o->wheels_dir : getenv("AIPC_WHEELS");
    const char *wheel = folder && folder[0] ? ap_path_join(a, folder, s->wheel) : NULL;
    if (wheel && ap_file_exists(wheel)) {
        *path = wheel;
        *from = "folder";
        return NULL;
    }
    char *dir = NULL;
    AP_TRY(ap_path_real(tmp_dir, a, &dir));
    tell(o, 0, s->wheel_bytes, ap_arena_printf(a, "downloading %s %s", s->name, s->version));
    AP_TRY(download(s, o, dir, a));
    wheel = ap_path_join(a, ap_path_join(a, dir, "out"), s->wheel);
    if (!ap_file_exists(wheel)) {
        err = ap_err_new(AP_ERR_RUNTIME_MISSING, "pip did not bring %s", s->wheel);
        err = ap_err_hint(ap_err_subject(err, s->name),
                          "put that file into a folder and set AIPC_WHEELS to it");
        goto done;
    }
    *path = wheel;
    *from = "pip";
done:
    return err;
}
