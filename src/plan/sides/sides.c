// SPDX-License-Identifier: Apache-2.0
// Two runs of a program, each in a copy of its folder, and what came of them.
#include "plan/sides/sides.h"
#include "base/file.h"
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>

char *ap_sides_in(const ap_sides *s, size_t side, const char *name) {
    return ap_path_join(s->arena, s->dirs[side], name);
}

// An argument for a run in the copy: what names something in the working folder names the same there, what
// lies beside the folder is still found.
static const char *moved(const ap_sides *s, const char *argument, const char *work) {
    size_t n = strlen(s->here);
    const char *hit = strstr(argument, s->here);
    char *real = NULL;
    if (strncmp(argument, "../", 3) == 0) {
        ap_err err = ap_path_real(ap_path_join(s->arena, s->here, argument), s->arena, &real);
        ap_err_free(err);
        return err ? argument : real;
    }
    if (!hit || (hit[n] && hit[n] != '/')) return argument;
    return ap_arena_printf(s->arena, "%.*s%s%s", (int)(hit - argument), argument, work, hit + n);
}

ap_err ap_sides_run(ap_sides *s, size_t side, const char *const *command, size_t count,
                    const char *const *env) {
    char *work = ap_sides_in(s, side, "work");
    const char **argv = ap_arena_calloc(s->arena, count + 1, sizeof *argv);
    ap_proc p = {0};
    ap_exit how = {0};
    bool done = false;
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) argv[i] = moved(s, command[i], work);
    AP_TRY(ap_verify_copy(s->here, work));
    ap_proc_options o = {.argv = argv,
                         .env_add = env,
                         .cwd = work,
                         .stdout_path = ap_sides_in(s, side, "stdout"),
                         .stderr_path = ap_sides_in(s, side, "stderr")};
    AP_TRY(ap_proc_start(&o, &p));
    AP_TRY(ap_proc_wait(&p, s->limit_ms ? s->limit_ms : UINT64_MAX, &done, &how));
    if (!done) {
        ap_proc_kill(&p, NULL);
        AP_FAIL(AP_ERR_RECORDING, "the program did not end within %.0f s", (double)s->limit_ms / 1e3);
    }
    s->status[side] = ap_exit_status(&how);
done:
    return err;
}

// ---- what came of it

static ap_err compare_files(const ap_sides *s, json_t *end, json_t *files) {
    const char *const roots[2] = {ap_sides_in(s, 0, "work"), ap_sides_in(s, 1, "work")};
    json_t *names = json_object(), *unused;
    const char *name;
    ap_err err = NULL;
    for (size_t i = 0; i < 2; i++) AP_TRY(ap_verify_changed(s->here, roots[i], names));
    json_object_foreach(names, name, unused) {
        ap_task task = ap_task_for(s->tasks, s->task_count, name);
        json_t *gate = NULL;
        AP_TRY(ap_verify_file(&task, s->gates, name, roots, &gate));
        if (gate) json_array_append_new(end, gate);
        json_array_append_new(files, ap_json_string(name));
    }
done:
    json_decref(names);
    return err;
}

static ap_err compare_stdout(const ap_sides *s, json_t *end) {
    ap_task task = ap_task_for(s->tasks, s->task_count, "stdout");
    ap_buf text[2] = {{0}, {0}};
    ap_err err = NULL;
    for (size_t i = 0; i < 2; i++)
        AP_TRY(ap_verify_read(ap_sides_in(s, i, "stdout"), ap_sides_in(s, i, "work"), &text[i]));
    json_t *gate = ap_task_compare(&task, "stdout", ap_buf_str(&text[0]), ap_buf_str(&text[1]));
    if (gate) json_array_append_new(end, gate);
done:
    ap_buf_free(&text[0]);
    ap_buf_free(&text[1]);
    return err;
}

// The last line a run wrote to stderr.
static json_t *last_words(const ap_sides *s, size_t side) {
    ap_buf text = {0};
    ap_err_free(ap_verify_read(ap_sides_in(s, side, "stderr"), ap_sides_in(s, side, "work"), &text));
    while (text.len && text.data[text.len - 1] == '\n') text.data[--text.len] = '\0';
    const char *line = strrchr(ap_buf_str(&text), '\n');
    json_t *words = text.len ? ap_json_string(line ? line + 1 : text.data) : json_null();
    ap_buf_free(&text);
    return words;
}

ap_err ap_sides_compare(const ap_sides *s, json_t *end, json_t *files) {
    double apart = (double)abs(s->status[0] - s->status[1]);
    json_t *gate = ap_verify_gate("exit code", "difference", apart, "<=", 0);
    if (apart > 0) json_object_set_new(gate, "note", last_words(s, s->status[0] ? 0 : 1));
    json_array_append_new(end, gate);
    ap_err err = compare_stdout(s, end);
    return err ? err : compare_files(s, end, files);
}

ap_err ap_sides_tasks(ap_sides *s, const char *const *texts, size_t count) {
    ap_task *tasks = ap_arena_calloc(s->arena, count + 1, sizeof *tasks);
    for (size_t i = 0; i < count; i++) {
        ap_err err = ap_task_parse(texts[i], s->arena, &tasks[i]);
        if (err) return err;
    }
    s->tasks = tasks;
    s->task_count = count;
    return NULL;
}

ap_err ap_sides_open(ap_sides *s, const char *first, const char *second) {
    char *made = NULL, *real = NULL;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(ap_path_cache(s->arena)));
    AP_TRY(ap_mkdtemp(ap_path_cache(s->arena), "verify", s->arena, &made));
    s->scratch = made;
    AP_TRY(ap_path_real(made, s->arena, &real));
    if (ap_path_inside(s->here, real))
        AP_FAIL(AP_ERR_USAGE, "the cache '%s' lies inside the working folder, which is copied into it", real);
    s->scratch = real;
    s->dirs[0] = ap_path_join(s->arena, real, first);
    s->dirs[1] = ap_path_join(s->arena, real, second);
    for (size_t i = 0; i < 2; i++) AP_TRY(ap_mkdirs(s->dirs[i]));
done:
    return err;
}

void ap_sides_close(ap_sides *s) {
    if (s->scratch) ap_err_free(ap_rmtree(s->scratch));
    s->scratch = NULL;
}

bool ap_verify_passed(const json_t *list) {
    const json_t *g;
    for (size_t i = 0; (g = json_array_get(list, i)) != NULL; i++)
        if (strcmp(ap_json_str(g, "verdict", ""), "fail") == 0) return false;
    return true;
}
