// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *entity(unsigned char c) {
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

static void escape(ap_buf *out, const char *s, size_t n) {
    size_t plain = 0;
    for (size_t i = 0; i < n; i++) {
        const char *e = entity((unsigned char)s[i]);
        if (!e) continue;
        ap_buf_append(out, s + plain, i - plain);
        ap_buf_puts(out, e);
        plain = i + 1;
    }
    ap_buf_append(out, s + plain, n - plain);
}

void ap_html_text(ap_buf *out, const char *s) {
    if (s) escape(out, s, strlen(s));
}

void ap_html_fmt(ap_buf *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    for (const char *p = fmt; *p; p++) {
        if (*p != '%') {
            size_t n = strcspn(p, "%");
            ap_buf_append(out, p, n);
            p += n - 1;
            continue;
        }
        p++;
        if (*p == 's')
            ap_html_text(out, va_arg(args, const char *));
        else if (*p == 'd')
            ap_buf_printf(out, "%d", va_arg(args, int));
        else if (*p == 'z' && p[1] == 'u') {
            ap_buf_printf(out, "%zu", va_arg(args, size_t));
            p++;
        } else
            ap_buf_putc(out, '%');
    }
    va_end(args);
}

void ap_html_code(ap_buf *out, const char *name) {
    enum { MAX_BYTES = 200, MAX_TITLE_BYTES = 4000 };
    if (!name) return;
    size_t n = strlen(name), keep = ap_text_cut(name, n, MAX_BYTES);
    if (keep == n) {
        ap_html_fmt(out, "<code>%s</code>", name);
        return;
    }
    ap_buf_puts(out, "<code title=\"");
    escape(out, name, ap_text_cut(name, n, MAX_TITLE_BYTES));
    ap_buf_puts(out, "\">");
    escape(out, name, keep);
    ap_buf_puts(out, "…</code>");
}

void ap_html_coord(ap_buf *out, double v) {
    const double limit = 100000;
    if (!isfinite(v)) v = 0;
    v = v > limit ? limit : v < -limit ? -limit : v;
    long tenths = lround(v * 10);
    ap_buf_printf(out, "%s%ld.%ld", tenths < 0 ? "-" : "", labs(tenths) / 10, labs(tenths) % 10);
}

void ap_html_verdict(ap_buf *out, ap_verdict v) {
    if (v != AP_VERDICT_NONE)
        ap_html_fmt(out, "<span class=\"chip %s\">%s</span>", ap_verdict_class(v), ap_verdict_word(v));
}

void ap_html_num_cell(ap_buf *out, bool known, const char *text) {
    ap_html_fmt(out, "<td class=\"num\">%s</td>", known ? text : "");
}

void ap_html_code_cell(ap_buf *out, const char *name) {
    ap_buf_puts(out, "<td class=\"name\">");
    ap_html_code(out, name);
    ap_buf_puts(out, "</td>");
}

void ap_html_segment(ap_buf *out, const char *css_class, double percent, const char *tooltip) {
    if (!(percent > 0.05)) return;
    ap_html_fmt(out, "<span class=\"%s\" style=\"width:", css_class);
    ap_html_coord(out, percent < 100 ? percent : 100);
    ap_html_fmt(out, "%%\" title=\"%s\"></span>", tooltip);
}

void ap_html_table_open(ap_buf *out, const char *css_class, const char *const *heads, size_t count) {
    ap_html_fmt(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr>", css_class);
    for (size_t i = 0; i < count; i++) {
        bool number = heads[i][0] == '#';
        ap_buf_puts(out, number ? "<th scope=\"col\" class=\"num\">" : "<th scope=\"col\">");
        ap_html_fmt(out, "%s</th>", heads[i] + number);
    }
    ap_buf_puts(out, "</tr></thead><tbody>\n");
}

void ap_html_table_close(ap_buf *out) {
    ap_buf_puts(out, "</tbody></table></div>\n");
}

void ap_html_fact(ap_buf *out, const char *label, const char *text, bool code) {
    if (!text || !*text) return;
    ap_html_fmt(out, "<div><dt>%s</dt><dd>", label);
    if (code)
        ap_html_code(out, text);
    else
        ap_html_text(out, text);
    ap_buf_puts(out, "</dd></div>");
}

void ap_html_items(const json_t *list, ap_buf *out) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        ap_buf text = {0};
        ap_rd_value(json_array_get(list, i), &text);
        if (text.len) ap_html_fmt(out, "<li>%s</li>\n", ap_buf_str(&text));
        ap_buf_free(&text);
    }
}

// ---- operator families ----

static const char *const family_names[AP_OP_FAMILIES] = {"convolution", "matmul",       "activation",
                                                         "elementwise", "pool, resize", "normalize, reduce",
                                                         "quantize",    "shape, move",  "other"};

// How operator names of a family begin. First hit wins, so MaxPool stands before Max and Expand before Exp.
static const struct {
    ap_op_family family;
    const char *prefixes;
} families[] = {
    {AP_OP_CONV, "Conv FusedConv"},
    {AP_OP_MATMUL, "MatMul Gemm Einsum LSTM GRU RNN Attention MultiHead"},
    {AP_OP_QUANT, "Quantize Dequantize QLinear DynamicQuantize"},
    {AP_OP_ACTIVATION, "Sigmoid Relu LeakyRelu PRelu Tanh HardS Gelu Elu Selu Erf Clip Softplus Swish Mish"},
    {AP_OP_NORM, "Softmax LogSoftmax Reduce BatchN LayerN InstanceN GroupN RMSN Lp ArgMax ArgMin TopK"},
    {AP_OP_POOL, "MaxPool AveragePool Global Resize Upsample GridSample RoiAlign"},
    {AP_OP_SHAPE,
     "Cast Concat Reshape Transpose Split Slice Gather Scatter Expand Unsqueeze Squeeze Flatten Shape "
     "Range Pad Tile Identity DepthToSpace SpaceToDepth Constant"},
    {AP_OP_ELEMENTWISE,
     "Mul Add Sub Div Pow Sqrt Exp Log Neg Abs Min Max Where Reciprocal Sin Cos Floor Round Mod"},
};

static bool begins_with_word_of(const char *s, const char *words) {
    while (*words) {
        size_t n = strcspn(words, " ");
        if (strncmp(s, words, n) == 0) return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

ap_op_family ap_op_family_of(const char *op) {
    for (size_t i = 0; op && i < sizeof families / sizeof *families; i++) {
        if (begins_with_word_of(op, families[i].prefixes)) return families[i].family;
    }
    return AP_OP_OTHER;
}

const char *ap_op_family_name(ap_op_family f) {
    return family_names[f];
}
