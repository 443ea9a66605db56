/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 10 }; /* of a list; the report has all */

/* "a > b" */
static char *joined(const json_t *list, const char *between) {
    char *all = cli_text("%s", "");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        char *longer = cli_text("%s%s%s", all, i ? between : "", one ? one : "?");
        free(all);
        all = longer;
    }
    return all;
}

static bool is_alike(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"op", "verdict", "rules"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]))) return false;
    return true;
}

/* Nodes of the repairs like `r`; 0 when an earlier one in the list speaks for it. */
static size_t count_alike(const json_t *list, const json_t *r) {
    size_t nodes = 0, i;
    json_t *other;
    json_array_foreach(list, i, other) {
        if (!is_alike(other, r)) continue;
        if (nodes == 0 && other != r) return 0;
        nodes += json_array_size(json_object_get(other, "nodes"));
    }
    return nodes;
}

static void put_repair(const json_t *list, const json_t *r, const char *target) {
    const char *first = json_string_value(json_array_get(json_object_get(r, "nodes"), 0));
    size_t nodes = count_alike(list, r);
    if (nodes == 0) return;
    char *rules = joined(json_object_get(r, "rules"), ", ");
    char *others = nodes > 1 ? cli_text(" and %zu more", nodes - 1) : cli_text("%s", "");
    term_line(CLI_PLAIN, "%s: repaired %s %s%s (%s) by %s", target, doc_text(r, "op", "?"),
              first ? first : "?", others, doc_text(r, "verdict", "?"), rules);
    free(others);
    free(rules);
}

static void put_left(const json_t *list, const json_t *l, const char *target) {
    const char *reason = doc_text(l, "reason", ""), *model = doc_text(l, "model", NULL),
               *why = doc_text(l, "why_not", NULL);
    (void)list;
    term_line(CLI_RED, "%s: left %s %s (%s)%s%s%s%s%s%s", target, doc_text(l, "op", "?"),
              doc_text(l, "node", "?"), doc_text(l, "verdict", "?"), *reason ? ": " : "", reason,
              why ? "; " : "", why ? why : "", model ? "; its graph: " : "", model ? model : "");
}

static void put_list(const json_t *list, const char *target,
                     void (*put)(const json_t *list, const json_t *one, const char *target),
                     const char *what) {
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < MAX_LINES; i++) put(list, json_array_get(list, i), target);
    if (n > MAX_LINES) (void)printf("  and %zu more %s in the report\n", n - MAX_LINES, what);
}

/* What tuning kept, what it did not and why, and what the cost was and is. */
static void put_tuning(const json_t *tuning, const char *target) {
    const json_t *cost = json_object_get(tuning, "cost"), *kept = json_object_get(tuning, "kept"),
                 *rejected = json_object_get(tuning, "rejected");
    size_t i;
    json_t *step;
    if (!json_is_object(tuning)) return;
    json_array_foreach(kept, i, step)
        term_line(CLI_PLAIN, "%s: tuned by %s at %zu places", target, doc_text(step, "rule", "?"),
                  json_array_size(json_object_get(step, "places")));
    json_array_foreach(rejected, i, step)
        term_line(CLI_PLAIN, "%s: not tuned by %s at %zu places: %.200s", target, doc_text(step, "rule", "?"),
                  json_array_size(json_object_get(step, "places")), doc_text(step, "reason", "?"));
    term_line(CLI_PLAIN, "%s: tuning kept %zu of %zu: %.4g ms, was %.4g ms (%s)", target,
              json_array_size(kept), json_array_size(kept) + json_array_size(rejected),
              json_number_value(json_array_get(cost, 1)), json_number_value(json_array_get(cost, 0)),
              strcmp(target, "cpu") == 0 ? "measured" : "estimated");
    const char *ended = doc_text(json_object_get(tuning, "stats"), "ended", "");
    if (strstr(ended, "budget")) term_line(CLI_PLAIN, "%s: tuning ended: %s", target, ended);
}

/* The budget that left rules for accuracy untried. */
static void put_sharpening(const json_t *courses, const char *target) {
    size_t i;
    json_t *course;
    json_array_foreach(courses, i, course) {
        const char *ended = doc_text(course, "ended", NULL);
        if (ended) term_line(CLI_PLAIN, "%s: sharpening ended: %s", target, ended);
    }
}

void show_repairs(const json_t *repairs, const char *target) {
    const json_t *cpu = json_object_get(repairs, "cpu");
    if (!json_is_object(repairs)) return;
    size_t passes = json_array_size(json_object_get(repairs, "passes")),
           undone = json_array_size(json_object_get(repairs, "rolled_back"));
    if (passes) term_line(CLI_PLAIN, "%s: cleaned by %zu passes", target, passes);
    put_list(json_object_get(repairs, "repairs"), target, put_repair, "repairs");
    if (undone)
        term_line(CLI_PLAIN, "%s: %zu chain%s of rules %s tried and rolled back", target, undone,
                  undone == 1 ? "" : "s", undone == 1 ? "was" : "were");
    put_list(json_object_get(repairs, "left"), target, put_left, "nodes");
    put_tuning(json_object_get(repairs, "tuning"), target);
    put_sharpening(json_object_get(repairs, "sharpening"), target);
    const char *ended = doc_text(json_object_get(repairs, "stats"), "ended", NULL);
    if (ended) term_line(CLI_RED, "%s: repair ended: %s", target, ended);
    if (json_array_size(cpu) == 0) return;
    char *names = joined(cpu, ", ");
    term_line(CLI_PLAIN, "%s: on the CPU: %zu node%s: %.300s", target, json_array_size(cpu),
              json_array_size(cpu) == 1 ? "" : "s", names);
    free(names);
}
