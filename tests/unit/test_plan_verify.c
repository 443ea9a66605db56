// SPDX-License-Identifier: Apache-2.0
// How the ends of two runs are compared: tasks of texts, files, the copy of a folder.
#include "test_base.h"

#include "plan/verify/verify.h"
#include "tensor/npy.h"

#include <math.h>
#include <sys/stat.h>

// ---- tasks

static const struct {
    const char *task, *a, *b;
    bool good;
} texts[] = {
    {"text", "score 0.5000\n", "score 0.5004\n", true},
    {"text", "score 0.500\n", "score 0.502\n", false},
    {"text=0.01", "score 0.500\n", "score 0.502\n", true},
    {"text", "5000 steps", "5004 steps", true}, // relative above 1
    {"text", "took 12.3 ms, 80.1 fps", "took 9.1 ms, 99 fps", true},
    {"text", "took 12.3 mm", "took 9.1 mm", false},
    {"text", "a  b\n", "a b\n", true},
    {"text", "yes", "no", false},
    {"text", "conv2d", "conv3d", false}, // a word, no number
    {"text", "1 2 3", "1 2 3 4", false},
    {"text", "nan", "nan", true},
    {"text", "", "", true},
    {"numbers", "0.90 0.10", "0.89 0.115", true},
    {"numbers", "0.90 0.10", "0.87 0.10", false},
    {"numbers=5", "1000", "1006", false}, // absolute
    {"percent", "270 of 300: 90.0 %", "271 of 300: 90.3 %", true},
    {"percent", "270 of 300: 90.0 %", "272 of 300: 90.7 %", false},
    {"percent", "270 of 300: 90.0 %", "270 out of 300: 90.0 %", false},
    {"words", "cat 0.5, dog 0.3\n", "dog 0.41 cat 0.40\n", true},
    {"words", "cat 0.5, dog 0.3\n", "cat 0.5, cow 0.3\n", false},
    {"words", "cat\ndog\n", "dog\ncat\n", false}, // lines stay
    {"words", "cat\n", "cat\ndog\n", false},
    {"exact", "1.0", "1.0", true},
    {"exact", "1.0", "1.00", false},
    {"boxes", "cat 0.9 [0, 0, 100, 100]\ndog 0.5 [5, 5, 50, 50]",
     "dog 0.4 [5, 5, 50, 51]\ncat 0.9 [0, 0, 100, 101]", true},
    {"boxes", "cat 0.9 [0, 0, 100, 100]", "dog 0.9 [0, 0, 100, 100]", false},
    {"boxes", "cat 0.9 [0, 0, 100, 100]", "cat 0.9 [0, 0, 100, 110]", false},
    {"boxes=0.9", "cat 0.9 [0, 0, 100, 100]", "cat 0.9 [0, 0, 100, 110]", true},
    {"boxes", "cat 0.9 [0, 0, 9, 9]", "cat 0.9 [0, 0, 9, 9]\ncat 0.9 [0, 0, 9, 9]", false},
    {"boxes", "two cats", "two cats", false}, // none at all proves nothing
    {"topboxes", "cat 0.9 [0, 0, 9, 9]\ndog 0.5 [5, 5, 9, 9]", "dog 0.4 [5, 5, 9, 9]\ncat 0.9 [0, 0, 9, 9]",
     true},
    // the last place went to another box with as good a score
    {"topboxes", "p\ncat 0.98 [0, 0, 9, 9]\ncow 0.39 [5, 5, 9, 9]",
     "p\ncat 0.98 [0, 0, 9, 9]\ndog 0.38 [1, 1, 7, 7]", true},
    {"boxes", "p\ncat 0.98 [0, 0, 9, 9]\ncow 0.39 [5, 5, 9, 9]",
     "p\ncat 0.98 [0, 0, 9, 9]\ndog 0.38 [1, 1, 7, 7]", false},
    {"topboxes", "cat 0.98 [0, 0, 9, 9]\ncow 0.39 [5, 5, 9, 9]",
     "cat 0.98 [0, 0, 9, 9]\ndog 0.30 [1, 1, 7, 7]", false},
    // not the last: of its picture others are worse
    {"topboxes", "cat 0.98 [0, 0, 9, 9]\ncow 0.39 [5, 5, 9, 9]",
     "dog 0.98 [0, 0, 5, 9]\ncow 0.39 [5, 5, 9, 9]", false},
    {"topboxes", "p\ncat 0.9 [0, 0, 9, 9]\ncow 0.4 [5, 5, 9, 9]\nq\ncat 0.2 [0, 0, 9, 9]",
     "p\ndog 0.9 [0, 0, 9, 9]\ncow 0.4 [5, 5, 9, 9]\nq\ncat 0.2 [0, 0, 9, 9]", false},
    {"topboxes", "cat 0.9 [0, 0, 9, 9]", "dog 0.9 [0, 0, 9, 9]", false}, // none has a partner
    {"topboxes", "cat 0.9 [0, 0, 9, 9]\ncow 0.4 [5, 5, 9, 9]", "cat 0.9 [0, 0, 9, 9]", false},
    {"topboxes", "cat 0.9 [0, 0, 90, 90]\ncow 0.4 [5, 5, 9, 9]",
     "cat 0.9 [0, 0, 90, 80]\ncow 0.4 [5, 5, 9, 9]", false},
    {"topboxes", "cat [0, 0, 9, 9]\ncow [5, 5, 9, 9]", "cat [0, 0, 9, 9]\ndog [1, 1, 7, 7]",
     false}, // no scores
    // what another picture has is no partner: both lists end in a tie
    {"topboxes",
     "p\ncat 0.9 [0, 0, 9, 9]\ncat 0.5 [4, 4, 8, 8]\nq\ncat 0.9 [0, 0, 9, 9]\ncat 0.5 [1, 1, 5, 5]",
     "p\ncat 0.9 [0, 0, 9, 9]\ncat 0.5 [1, 1, 5, 5]\nq\ncat 0.9 [0, 0, 9, 9]\ncat 0.5 [4, 4, 8, 8]", true},
    {"boxes", "p\ncat 0.9 [0, 0, 9, 9]\nq\ncat 0.9 [4, 4, 8, 8]",
     "p\ncat 0.9 [4, 4, 8, 8]\nq\ncat 0.9 [0, 0, 9, 9]", false},
    {"topboxes", "none", "none", false},
    {"psnr=45", "out.png 256x256", "out.png 256x256", true},
    {"psnr=45", "out.png", "other.png", false},
};

static void tasks_judge(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ap_arena arena = {0};
        ap_task task;
        must(ap_task_parse(texts[i].task, &arena, &task));
        json_t *gate = ap_task_compare(&task, "stdout", texts[i].a, texts[i].b);
        if ((strcmp(ap_json_str(gate, "verdict", ""), "pass") == 0) != texts[i].good)
            fail_msg("%s: '%s' and '%s': %s", texts[i].task, texts[i].a, texts[i].b,
                     ap_json_str(gate, "verdict", "-"));
        json_decref(gate);
        ap_arena_release(&arena);
    }
}

static void a_gate_says_where(void **state) {
    (void)state;
    ap_task task = ap_task_for(NULL, 0, "stdout");
    json_t *gate = ap_task_compare(&task, "stdout", "one\ntwo 2.0 end\n", "one\ntwo 2.5 end\n");
    assert_string_equal(ap_json_str(gate, "note", ""), "two 2.0 end | two 2.5 end");
    assert_string_equal(ap_json_str(gate, "metric", ""), "difference");
    assert_true(fabs(ap_json_num(gate, "value", 0) - 0.2) < 1e-9);
    json_decref(gate);
}

static void tasks_are_parsed(void **state) {
    static const char *const bad[] = {"",          "box",   "text=", "text=x", "text=1x",
                                      "boxes=nan", "psnr:", "=1",    ":x"};
    ap_arena arena = {0};
    ap_task task[3];
    (void)state;
    must(ap_task_parse("psnr=45.5:out-*.png", &arena, &task[0]));
    must(ap_task_parse("none:run.log", &arena, &task[1]));
    must(ap_task_parse("boxes", &arena, &task[2]));
    assert_true(task[0].value == 45.5 && task[2].value == 0.95);
    assert_string_equal(ap_task_for(task, 3, "out-1.png").name, "psnr");
    assert_string_equal(ap_task_for(task, 3, "run.log").name, "none");
    assert_string_equal(ap_task_for(task, 3, "stdout").name, "boxes");
    assert_string_equal(ap_task_for(task, 2, "stdout").name, "text");
    assert_null(ap_task_compare(&task[1], "run.log", "a", "b"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ap_err err = ap_task_parse(bad[i], &arena, &task[0]);
        if (ap_err_code(err) != AP_ERR_USAGE) fail_msg("'%s' was taken", bad[i]);
        ap_err_free(err);
    }
    ap_arena_release(&arena);
}

// ---- files

static void put(scratch *s, const char *name, const char *text) {
    const char *path = at(s, name);
    must(ap_mkdirs(ap_path_dir(&s->arena, path)));
    must(ap_file_write(path, text, strlen(text)));
}

static char *verdict_of(scratch *s, const char *task_text, const char *name) {
    const char *const roots[2] = {at(s, "plain"), at(s, "served")};
    ap_gates gates = {0};
    ap_task task;
    json_t *gate = NULL;
    must(ap_gates_init("fp32", NULL, 0, &gates));
    must(ap_task_parse(task_text, &s->arena, &task));
    must(ap_verify_file(&task, &gates, name, roots, &gate));
    char *text = gate ? ap_arena_printf(&s->arena, "%s %s", ap_json_str(gate, "metric", ""),
                                        ap_json_str(gate, "verdict", ""))
                      : ap_arena_strdup(&s->arena, "-");
    json_decref(gate);
    ap_gates_release(&gates);
    return text;
}

static void files_are_judged_by_kind(void **state) {
    scratch *s = *state;
    put(s, "plain/both.txt", ap_arena_printf(&s->arena, "wrote %s/x 1.0", at(s, "plain")));
    put(s, "served/both.txt", ap_arena_printf(&s->arena, "wrote %s/x 1.0", at(s, "served")));
    put(s, "plain/one.txt", "1");
    must(ap_file_write(at(s, "plain/b.bin"), "a\0b", 3));
    must(ap_file_write(at(s, "served/b.bin"), "a\0c", 3));
    assert_string_equal(verdict_of(s, "exact", "both.txt"), "differs pass"); // the folders are the same place
    assert_string_equal(verdict_of(s, "text", "one.txt"), "written_served fail");
    assert_string_equal(verdict_of(s, "none", "one.txt"), "-");
    assert_string_equal(verdict_of(s, "text", "b.bin"), "equal_bytes fail");
    float x[] = {1, 2, 3}, y[] = {1, 2, 3.1F};
    int64_t n = 3;
    ap_tensor t = {0};
    must(ap_tensor_view(AP_F32, &n, 1, x, sizeof x, &t));
    must(ap_npy_write(at(s, "plain/t.npy"), &t));
    must(ap_tensor_view(AP_F32, &n, 1, y, sizeof y, &t));
    must(ap_npy_write(at(s, "served/t.npy"), &t));
    assert_string_equal(verdict_of(s, "text", "t.npy"), "cosine fail");
    must(ap_file_copy(at(s, "plain/t.npy"), at(s, "served/t.npy")));
    assert_string_equal(verdict_of(s, "text", "t.npy"), "cosine pass");
}

// ---- the copy

static bool is_link(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static void a_copy_knows_what_changed(void **state) {
    scratch *s = *state;
    json_t *names = json_object();
    put(s, "app/app.py", "x");
    put(s, "app/data/in.txt", "in");
    put(s, "app/.venv/lib", "x");
    put(s, "app/out/manifest.json", "{}");
    put(s, "app/out/report.json", "{}");
    put(s, "app/refused/report.json", "{}");
    put(s, "app/refused/.lock", "");
    put(s, "app/web/manifest.json", "{}"); // somebody else's
    must(ap_verify_copy(at(s, "app"), at(s, "copy")));
    assert_true(is_link(at(s, "copy/.venv")) && is_link(at(s, "copy/out")) && !is_link(at(s, "copy/web")));
    assert_true(is_link(at(s, "copy/refused")));
    must(ap_verify_changed(at(s, "app"), at(s, "copy"), names));
    assert_int_equal(json_object_size(names), 0);
    put(s, "copy/data/in.txt", "other");
    put(s, "copy/new/made.txt", "x");
    put(s, "copy/__pycache__/app.pyc", "x");
    must(ap_verify_changed(at(s, "app"), at(s, "copy"), names));
    assert_int_equal(json_object_size(names), 2);
    assert_non_null(json_object_get(names, "data/in.txt"));
    assert_non_null(json_object_get(names, "new/made.txt"));
    json_decref(names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_judge),
        cmocka_unit_test(a_gate_says_where),
        cmocka_unit_test(tasks_are_parsed),
        cmocka_unit_test_setup_teardown(files_are_judged_by_kind, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(a_copy_knows_what_changed, test_setup, test_teardown),
    };
    return cmocka_run_group_tests_name("plan: verify", tests, NULL, NULL);
}
