// SPDX-License-Identifier: Apache-2.0
#include "golden/request.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

ap_err ap_request_split(const char *arg, const char *flag, const char *wants, ap_arena *a, char **name,
                        const char **rest) {
    const char *eq = strchr(arg, '=');
    if (!eq || eq == arg || eq[1] == '\0')
        return ap_err_new(AP_ERR_USAGE, "%s wants %s, not '%s'", flag, wants, arg);
    *name = ap_arena_strndup(a, arg, (size_t)(eq - arg));
    *rest = eq + 1;
    return NULL;
}

bool ap_request_is_input(const ap_model *m, const char *name) {
    for (size_t i = 0; i < m->graph->input_count; i++)
        if (strcmp(m->graph->inputs[i]->name, name) == 0) return true;
    return false;
}

ap_err ap_request_unknown_input(const ap_model *m, const char *name, const char *flag) {
    size_t n = m->graph->input_count;
    const char **names = ap_calloc(n + 1, sizeof *names);
    ap_buf list = {0};
    for (size_t i = 0; i < n; i++) {
        names[i] = m->graph->inputs[i]->name;
        ap_buf_printf(&list, "%s'%s'", i ? ", " : "", names[i]);
    }
    const char *near = ap_nearest(name, names, n);
    ap_err err = ap_err_new(AP_ERR_INPUT_NAME, "%s: the model has no input '%s'; it has %s", flag, name,
                            ap_buf_str(&list));
    if (near) err = ap_err_hint(err, "did you mean '%s'?", near);
    ap_buf_free(&list);
    free(names);
    return err;
}

const char *ap_request_find(const char *const *list, size_t count, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], name, n) == 0 && list[i][n] == '=') return list[i] + n + 1;
    return NULL;
}
