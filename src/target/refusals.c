// SPDX-License-Identifier: Apache-2.0
#include "target/refusals.h"

#include "base/map.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_BYTES 1024

void ap_refusals_plain_name(const char *name, char *out, size_t cap) {
    size_t n = strlen(name);
    // Several steps may each have added a "_token_N".
    for (;;) {
        size_t digits = n;
        while (digits > 0 && isdigit((unsigned char)name[digits - 1])) digits--;
        if (digits == n || digits < 7 || strncmp(name + digits - 7, "_token_", 7) != 0) break;
        n = digits - 7;
    }
    if (n >= cap) n = cap - 1;
    memcpy(out, name, n);
    out[n] = '\0';
}

// Copies the text between `from` (exclusive) and the first of `until` or the line's end.
static bool between(const char *text, const char *from, const char *until, char *out, size_t cap) {
    const char *start = strstr(text, from);
    if (!start) return false;
    start += strlen(from);
    const char *end = until ? strstr(start, until) : NULL;
    if (!end) end = start + strcspn(start, "\n");
    size_t n = (size_t)(end - start);
    while (n > 0 && isspace((unsigned char)start[n - 1])) n--;
    if (n >= cap) n = cap - 1;
    memcpy(out, start, n);
    out[n] = '\0';
    return true;
}

typedef struct unit {
    char node[NAME_MAX_BYTES], op[256], reason[NAME_MAX_BYTES];
} unit;

// "Validation FAILED … \n\tOperator type: T Node name: N Node index: I\n\tREASON : …". The words after the
// reason's first sentence repeat the node's name.
static bool parse_unit(const char *line, const char *previous, unit *u) {
    char raw[NAME_MAX_BYTES];
    if (!strstr(line, "Validation FAILED")) return false;
    if (!between(line, "Operator type: ", " Node name: ", u->op, sizeof u->op)) return false;
    if (!between(line, " Node name: ", " Node index: ", raw, sizeof raw)) return false;
    ap_refusals_plain_name(raw, u->node, sizeof u->node);
    if (!between(line, "REASON : ", NULL, u->reason, sizeof u->reason)) u->reason[0] = '\0';
    char *tail = strstr(u->reason, " node `");
    if (tail && strstr(tail, "will not be assigned")) {
        // "…QNN EP.Trilu node `tri` will not …": cut back to the end of the sentence before the repeated op.
        *tail = '\0';
        char *dot = strrchr(u->reason, '.');
        if (dot) dot[1] = '\0';
    }
    // The backend's own refusal comes as a warning just before; the reason line then says nothing.
    if (strstr(u->reason, "Failed to add node") && previous && strstr(previous, "backendValidateOpConfig"))
        between(previous, ": ", NULL, u->reason, sizeof u->reason);
    return true;
}

json_t *ap_refusals_parse(const char *const *lines, size_t count) {
    json_t *list = json_array();
    ap_map seen = {0};
    const char *warning = NULL;
    for (size_t i = 0; i < count; i++) {
        unit u;
        if (strstr(lines[i], "backendValidateOpConfig")) warning = lines[i];
        if (!parse_unit(lines[i], warning, &u)) continue;
        warning = NULL;
        if (!ap_map_add(&seen, u.node, list)) continue; // the library reports in two passes
        json_array_append_new(list, json_pack("{so,so,so}", "node", ap_json_string(u.node), "op",
                                              ap_json_string(u.op), "reason", ap_json_string(u.reason)));
    }
    ap_map_free(&seen);
    return list;
}
