// SPDX-License-Identifier: Apache-2.0
// markdown: the parts of report.md, and the helpers that keep them safe.
#ifndef AP_REPORT_MARKDOWN_H
#define AP_REPORT_MARKDOWN_H

#include "report/report_doc.h"

// Text outside code: whatever Markdown or HTML would act on is disarmed, line breaks become spaces.
void ap_md_text(ap_buf *out, const char *s);
// A code span, safe inside a table cell. Nothing for NULL or "".
void ap_md_code(ap_buf *out, const char *s);
// The head of a table. "#Heading" is right-aligned.
void ap_md_table(ap_buf *out, const char *const *heads, size_t count);
void ap_md_cell(ap_buf *out, const char *s);
void ap_md_code_cell(ap_buf *out, const char *s);

// markdown_repairs.c: what surgery did for a target; nothing when there was none.
void ap_md_repairs(const json_t *target, ap_buf *out);

#endif
