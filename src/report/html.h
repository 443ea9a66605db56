// SPDX-License-Identifier: Apache-2.0
// html: the parts of report.html, and the helpers that keep them safe.
//
// Text of the document reaches the page through ap_html_text, ap_html_fmt or ap_html_code only, which escape
// it. Plain ap_buf_puts is for our own markup. Numbers inside SVG and styles go through ap_html_coord: always
// finite, always with a point, whatever the locale.
#ifndef AP_REPORT_HTML_H
#define AP_REPORT_HTML_H

#include "report/report_doc.h"

// Escapes & < > " ' and turns control characters into U+FFFD; NULL is "".
void ap_html_text(ap_buf *out, const char *s);
// A small printf for markup: %s (escaped), %d, %zu, %%. Nothing else.
void ap_html_fmt(ap_buf *out, const char *fmt, ...) AP_PRINTF(2, 3);
// <code>name</code>; names longer than a line or two are cut, the whole stands in the tooltip.
void ap_html_code(ap_buf *out, const char *name);
// A coordinate with one decimal. Not finite: 0; clamped to ±100000.
void ap_html_coord(ap_buf *out, double v);
// <span class="chip pass">PASS</span>; nothing for AP_VERDICT_NONE.
void ap_html_verdict(ap_buf *out, ap_verdict v);
// <td class="num">text</td>, or an empty cell when `known` is false.
void ap_html_num_cell(ap_buf *out, bool known, const char *text);
// <td> with a name in code, empty when NULL.
void ap_html_code_cell(ap_buf *out, const char *name);
// One coloured piece of a bar: a span with a width in percent, nothing when it would be empty.
void ap_html_segment(ap_buf *out, const char *css_class, double percent, const char *tooltip);
// Opens <div class="scroll"><table ...><thead> with the headings; "#Title" makes a number column, "" an empty
// one.
void ap_html_table_open(ap_buf *out, const char *css_class, const char *const *heads, size_t count);
void ap_html_table_close(ap_buf *out);
// An entry of a <dl class="facts">; skipped when `text` is NULL or empty.
void ap_html_fact(ap_buf *out, const char *label, const char *text, bool code);
// An <li> for every entry that says something.
void ap_html_items(const json_t *list, ap_buf *out);

// Family of an operator, for colours: CSS class and the legend's word.
typedef enum ap_op_family {
    AP_OP_CONV,
    AP_OP_MATMUL,
    AP_OP_ACTIVATION,
    AP_OP_ELEMENTWISE,
    AP_OP_POOL,
    AP_OP_NORM,
    AP_OP_QUANT,
    AP_OP_SHAPE,
    AP_OP_OTHER,
    AP_OP_FAMILIES
} ap_op_family;
ap_op_family ap_op_family_of(const char *op); // NULL gives OTHER
const char *ap_op_family_name(ap_op_family f);

// html_style.c
extern const char *const ap_html_css[];    // NULL-ended pieces
extern const char *const ap_html_script[]; // NULL-ended pieces

// html_summary.c: the frame of the page and everything about the whole run.
void ap_html_page_open(const json_t *doc, ap_buf *out);
void ap_html_page_close(ap_buf *out);
void ap_html_header(const json_t *doc, ap_buf *out);
void ap_html_warnings(const json_t *doc, ap_buf *out);
void ap_html_overview(const json_t *doc, ap_buf *out); // only with several targets
void ap_html_target_open(const json_t *target, size_t index, ap_buf *out);
void ap_html_footer(const json_t *doc, ap_buf *out);

// html_plot.c
void ap_html_plot(const json_t *target, ap_buf *out);

// html_gates.c
void ap_html_failure(const json_t *target, ap_buf *out);
void ap_html_gates(const json_t *target, size_t index, ap_buf *out);
void ap_html_proof(const json_t *target, ap_buf *out);

// html_repairs.c
void ap_html_repairs(const json_t *target, ap_buf *out);

// html_cost.c
void ap_html_cost(const json_t *target, ap_buf *out);
void ap_html_profile(const json_t *target, ap_buf *out);
void ap_html_placement(const json_t *target, ap_buf *out);

// html_stages.c
void ap_html_stages(const json_t *doc, ap_buf *out);

// html_run.c
void ap_html_artifact(const json_t *target, ap_buf *out);
void ap_html_contract(const json_t *doc, ap_buf *out);
void ap_html_model(const json_t *doc, ap_buf *out);
void ap_html_tools(const json_t *doc, ap_buf *out);
void ap_html_reproduce(const json_t *doc, ap_buf *out);

#endif
