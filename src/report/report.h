// SPDX-License-Identifier: Apache-2.0
// report: turns the deploy document (docs/documents.md) into pages people read.
//
// It knows how to show; it never measures, and never invents: a field that is absent, null or of another type
// leaves its row or section out. Every text of the document is taken for hostile and escaped. The functions
// only read `doc` and keep no state, so threads may call them at once on different documents.
#ifndef AP_REPORT_REPORT_H
#define AP_REPORT_REPORT_H

#include "base/json.h"

// Appends one self-contained HTML page (styles, script and drawings inside, no network). Error CORRUPT when
// `doc` is not a JSON object; `out` is untouched then.
AP_MUST ap_err ap_report_html(const json_t *doc, ap_buf *out);

// Appends the same content as GitHub-flavoured Markdown. Errors as above.
AP_MUST ap_err ap_report_markdown(const json_t *doc, ap_buf *out);

// Writes report.json, report.md and report.html into `dir` (made when missing), each atomically.
AP_MUST ap_err ap_report_write(const json_t *doc, const char *dir);

#endif
