// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include "base/file.h"
#include "report/html.h"

// The sections of the page, in reading order.
static void page_body(const json_t *doc, ap_buf *out) {
    const json_t *targets = ap_rd_arr(doc, "targets");
    ap_html_header(doc, out);
    ap_html_warnings(doc, out);
    ap_buf_puts(out, "<main>\n");
    ap_html_overview(doc, out);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        if (!json_is_object(t)) continue;
        ap_html_target_open(t, i, out);
        ap_html_failure(t, out);
        ap_html_repairs(t, out);
        ap_html_gates(t, i, out);
        ap_html_proof(t, out);
        ap_html_plot(t, out);
        ap_html_cost(t, out);
        ap_html_profile(t, out);
        ap_html_placement(t, out);
        ap_html_artifact(t, out);
        ap_buf_puts(out, "</section>\n");
    }
    ap_html_stages(doc, out);
    ap_html_contract(doc, out);
    ap_html_model(doc, out);
    ap_html_tools(doc, out);
    ap_html_reproduce(doc, out);
    ap_buf_puts(out, "</main>\n");
    ap_html_footer(doc, out);
}

ap_err ap_report_html(const json_t *doc, ap_buf *out) {
    if (!json_is_object(doc)) return ap_err_new(AP_ERR_CORRUPT, "the report document is not a JSON object");
    ap_html_page_open(doc, out);
    page_body(doc, out);
    ap_html_page_close(out);
    return NULL;
}

ap_err ap_report_write(const json_t *doc, const char *dir) {
    ap_err err = NULL;
    ap_arena arena = {0};
    ap_buf html = {0}, markdown = {0};
    AP_TRY(ap_report_html(doc, &html));
    AP_TRY(ap_report_markdown(doc, &markdown));
    AP_TRY(ap_mkdirs(dir));
    // The data first: a page never stands beside an older document than its own.
    AP_TRY(ap_json_save(ap_path_join(&arena, dir, "report.json"), doc));
    AP_TRY(ap_file_write(ap_path_join(&arena, dir, "report.md"), ap_buf_str(&markdown), markdown.len));
    AP_TRY(ap_file_write(ap_path_join(&arena, dir, "report.html"), ap_buf_str(&html), html.len));
done:
    ap_buf_free(&markdown);
    ap_buf_free(&html);
    ap_arena_release(&arena);
    return ap_err_context(err, "cannot write the report into %s", dir);
}
