// SPDX-License-Identifier: Apache-2.0
// What two runs of a program print, hostile: "TASK\1one\1other". A text is as near as can be to itself.
#include "plan/verify/verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool passes(const ap_task *task, const char *a, const char *b) {
    json_t *gate = ap_task_compare(task, "stdout", a, b);
    if (!gate) return true;
    const char *verdict = ap_json_str(gate, "verdict", "");
    if (!*verdict || !json_object_get(gate, "note")) abort();
    bool good = strcmp(verdict, "pass") == 0;
    json_decref(gate);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const usual[] = {"text", "numbers", "percent", "words", "exact", "boxes", "topboxes"};
    char *text = ap_strndup((const char *)data, size), *rest = text;
    const char *name = strsep(&rest, "\1"), *a = rest ? strsep(&rest, "\1") : "", *b = rest ? rest : "";
    ap_arena arena = {0};
    ap_task task;
    ap_err err = ap_task_parse(name, &arena, &task);
    if (!err) (void)passes(&task, a, b);
    ap_err_free(err);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        err = ap_task_parse(usual[i], &arena, &task);
        if (err) abort();
        (void)passes(&task, a, b);
        if (!strstr(usual[i], "boxes") && !passes(&task, a, a)) abort(); // a text without boxes has none
    }
    ap_arena_release(&arena);
    free(text);
    return 0;
}
