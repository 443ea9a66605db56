// SPDX-License-Identifier: Apache-2.0
// Reports of hostile documents: a CORRUPT error, or a page in which nothing of the document became a tag.
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *doc = NULL;
    ap_buf html = {0}, markdown = {0};
    ap_err err = ap_json_parse((const char *)data, size, "report", AP_ERR_CORRUPT, &doc);
    if (!err) err = ap_report_html(doc, &html);
    if (!err) {
        // The page loads nothing, and a text of the document that looks like a tag stays a text.
        if (!html.len || strstr(html.data, "<evil") || strstr(html.data, "<img")) abort();
        if (ap_report_markdown(doc, &markdown)) abort();
    } else if (ap_err_code(err) != AP_ERR_CORRUPT || html.len) {
        abort();
    }
    ap_err_free(err);
    ap_buf_free(&html);
    ap_buf_free(&markdown);
    json_decref(doc);
    return 0;
}
