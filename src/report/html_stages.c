// SPDX-License-Identifier: Apache-2.0
// The stages that ran, and the ledger of whose time it was.
#include "report/html.h"

#include <math.h>
#include <string.h>

static const char *const ledger_keys[] = {"ours_s", "vendor_s", "golden_s"};
static const char *const ledger_classes[] = {"ours", "vendor", "golden", "rest"};
static const char *const ledger_names[] = {"aipc", "vendor libraries", "golden runs", "not accounted"};

// Seconds of each ledger account; the last is what is left of `whole`.
static bool ledger(const json_t *time, double whole, double out[4]) {
    bool any = false;
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        out[i] = 0;
        any = ap_rd_amount(time, ledger_keys[i], &out[i]) || any;
        sum += out[i];
    }
    out[3] = fmax(0, whole - sum);
    return any;
}

static void ledger_bar(const json_t *time, ap_buf *out) {
    double parts[4], wall = 0;
    ap_rd_amount(time, "wall_s", &wall);
    if (!ledger(time, wall, parts)) return;
    double whole = fmax(wall, parts[0] + parts[1] + parts[2]);
    ap_buf_puts(out, "<div class=\"bar big\">");
    for (size_t i = 0; i < 4; i++)
        ap_html_segment(out, ledger_classes[i], ap_rd_part(parts[i], whole), ledger_names[i]);
    ap_buf_puts(out, "</div><ul class=\"legend\">");
    for (size_t i = 0; i < 4; i++) {
        if (i == 3 && !(parts[3] > 0.0005)) continue;
        ap_html_fmt(out, "<li><i class=\"%s\"></i>%s <b>%s</b></li>", ledger_classes[i], ledger_names[i],
                    ap_rd_seconds(parts[i]).s);
    }
    if (wall > 0) ap_html_fmt(out, "<li>in all <b>%s</b></li>", ap_rd_seconds(wall).s);
    ap_buf_puts(out, "</ul>\n");
}

static void stage_row(const json_t *s, double longest, ap_buf *out) {
    double seconds = 0, parts[4];
    bool timed = ap_rd_amount(s, "seconds", &seconds);
    ap_verdict v = ap_rd_verdict(s);
    ap_html_fmt(out, "<tr class=\"%s\"><td><b>%s</b>", v == AP_VERDICT_FAIL ? "fail" : "",
                ap_rd_str_or(s, "stage", "stage"));
    if (ap_json_bool(s, "cached", false)) {
        ap_buf_puts(out, " <span class=\"chip\" title=\"Taken from the store: the inputs have the same "
                         "hashes\">CACHED</span>");
    }
    ap_buf_puts(out, "</td><td>");
    ap_html_verdict(out, v);
    ap_html_fmt(out, "</td><td>%s</td><td class=\"barcell\"><div class=\"bar\">",
                ap_rd_str_or(s, "key_metric", ""));
    if (ledger(ap_rd_obj(s, "time"), seconds, parts)) {
        for (size_t i = 0; i < 4; i++) {
            ap_html_segment(out, ledger_classes[i], ap_rd_part(parts[i], longest), ledger_names[i]);
        }
    } else if (timed)
        ap_html_segment(out, "rest", ap_rd_part(seconds, longest), "");
    ap_buf_puts(out, "</div></td>");
    ap_html_num_cell(out, timed, ap_rd_seconds(seconds).s);
    ap_buf_puts(out, "</tr>\n");
}

static double longest_of(const json_t *stages, double longest) {
    for (size_t i = 0; i < json_array_size(stages); i++) {
        double s = 0;
        if (ap_rd_amount(json_array_get(stages, i), "seconds", &s) && s > longest) longest = s;
    }
    return longest;
}

static void stage_rows(const json_t *stages, const char *group, double longest, ap_buf *out) {
    if (!stages) return;
    if (group) ap_html_fmt(out, "<tr class=\"group\"><td colspan=\"5\">%s</td></tr>\n", group);
    for (size_t i = 0; i < json_array_size(stages); i++) {
        if (json_is_object(json_array_get(stages, i))) stage_row(json_array_get(stages, i), longest, out);
    }
}

static void hash_rows(const json_t *stages, const char *target, ap_buf *out) {
    for (size_t i = 0; i < json_array_size(stages); i++) {
        const json_t *s = json_array_get(stages, i);
        static const char *const sides[][2] = {{"inputs", "in"}, {"outputs", "out"}};
        if (!json_is_object(s)) continue;
        ap_html_fmt(out, "<tr class=\"group\"><td colspan=\"3\">%s%s%s <code>%s</code></td></tr>\n",
                    ap_rd_str_or(s, "stage", ""), target ? ", " : "", target, ap_rd_str_or(s, "key", ""));
        for (size_t k = 0; k < 2; k++) {
            const char *name;
            json_t *hash;
            json_object_foreach((json_t *)ap_rd_obj(s, sides[k][0]), name, hash) {
                ap_buf text = {0};
                ap_rd_value(hash, &text);
                ap_html_fmt(out, "<tr><td>%s</td>", sides[k][1]);
                ap_html_code_cell(out, name);
                ap_html_fmt(out, "<td class=\"hash\">%s</td></tr>\n", ap_buf_str(&text));
                ap_buf_free(&text);
            }
        }
    }
}

static void hashes(const json_t *doc, const json_t *targets, ap_buf *out) {
    static const char *const heads[] = {"", "Name", "SHA-256"};
    ap_buf_puts(out, "<details><summary>What each stage read and made</summary>\n"
                     "<p class=\"small muted\">A stage is named by the hash of everything that went into it; "
                     "a second run with the "
                     "same key takes the stored result.</p>\n");
    ap_html_table_open(out, "hashes", heads, 3);
    hash_rows(ap_rd_arr(doc, "stages"), NULL, out);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        hash_rows(ap_rd_arr(t, "stages"), ap_rd_str_or(t, "target", "target"), out);
    }
    ap_html_table_close(out);
    ap_buf_puts(out, "</details>\n");
}

void ap_html_stages(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"Stage", "Verdict", "Key result", "", "#Time"};
    const json_t *shared = ap_rd_arr(doc, "stages"), *targets = ap_rd_arr(doc, "targets");
    double longest = longest_of(shared, 0);
    bool any = shared != NULL;
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *stages = ap_rd_arr(json_array_get(targets, i), "stages");
        any = any || stages;
        longest = longest_of(stages, longest);
    }
    ap_buf_puts(out, "<section id=\"stages\"><h2>Stages and time</h2>\n");
    if (ap_rd_obj(doc, "time")) ledger_bar(ap_rd_obj(doc, "time"), out);
    if (any) {
        ap_html_table_open(out, "stages", heads, 5);
        stage_rows(shared, targets ? "Shared by all targets" : NULL, longest, out);
        for (size_t i = 0; i < json_array_size(targets); i++) {
            const json_t *t = json_array_get(targets, i);
            stage_rows(ap_rd_arr(t, "stages"), ap_rd_str_or(t, "target", "target"), longest, out);
        }
        ap_html_table_close(out);
        hashes(doc, targets, out);
    }
    ap_buf_puts(out, "</section>\n");
}
