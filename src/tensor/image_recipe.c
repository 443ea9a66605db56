// SPDX-License-Identifier: Apache-2.0
// The recipe's text form: key=value pairs between commas. Strict, because it is part of the interface
// contract: a key read in silence as something else would change every number of the run.
#include "tensor/image.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 65535, MAX_FRACTION = 1 << 24 };

static const char *const layouts[] = {"nchw", "nhwc", NULL};
static const char *const colors[] = {"rgb", "bgr", "gray", NULL};
static const char *const resizes[] = {"stretch", "letterbox", "crop", "none", NULL};

// A piece of the text, not NUL-ended.
typedef struct span {
    const char *p;
    size_t n;
} span;

void ap_image_recipe_default(ap_image_recipe *r) {
    *r = (ap_image_recipe){.layout = AP_LAYOUT_NCHW,
                           .color = AP_COLOR_RGB,
                           .resize = AP_RESIZE_LETTERBOX,
                           .scale = 1.0 / 255,
                           .std = {1, 1, 1},
                           .pad = 114};
}

// At most 60 bytes of hostile text are repeated in a message.
static int shown(span s) {
    return (int)(s.n < 60 ? s.n : 60);
}

static ap_err bad_value(const char *key, span v, const char *allowed) {
    return ap_err_new(AP_ERR_USAGE, "image recipe: %s=\"%.*s\" is not %s", key, shown(v), v.p, allowed);
}

static bool span_is(span s, const char *word) {
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static ap_err read_word(const char *key, span v, const char *const *words, const char *allowed,
                        unsigned *out) {
    for (unsigned i = 0; words[i]; i++) {
        if (!span_is(v, words[i])) continue;
        *out = i;
        return NULL;
    }
    return bad_value(key, v, allowed);
}

// A plain decimal number; no hex, no "inf", no "nan", no spaces, all of which strtod would take.
static bool read_plain(span v, double *out) {
    char text[64], *end;
    if (v.n == 0 || v.n >= sizeof text) return false;
    for (size_t i = 0; i < v.n; i++)
        if (!strchr("0123456789+-.eE", v.p[i]) || v.p[i] == '\0') return false;
    memcpy(text, v.p, v.n);
    text[v.n] = '\0';
    double d = strtod(text, &end);
    if (*end || !isfinite(d)) return false;
    *out = d;
    return true;
}

// Splits at the first `c`; false when there is none.
static bool split(span s, char c, span *left, span *right) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    if (!at) return false;
    *left = (span){s.p, (size_t)(at - s.p)};
    *right = (span){at + 1, s.n - left->n - 1};
    return true;
}

static ap_err read_scale(span v, double *out) {
    span top, bottom;
    double a, b = 1;
    bool ok = split(v, '/', &top, &bottom) ? read_plain(top, &a) && read_plain(bottom, &b) && b != 0
                                           : read_plain(v, &a);
    if (!ok) return bad_value("scale", v, "a number or a fraction like 1/255");
    if (!isfinite(a / b) || a / b == 0) return bad_value("scale", v, "a finite number other than 0");
    *out = a / b;
    return NULL;
}

// One number for all channels, or three between slashes.
static ap_err read_three(const char *key, span v, double out[3]) {
    span rest = v, part;
    double d[3];
    size_t n = 0;
    while (n < 3 && split(rest, '/', &part, &rest)) {
        if (!read_plain(part, &d[n])) return bad_value(key, v, "one number, or three like 0.5/0.4/0.3");
        n++;
    }
    if ((n != 0 && n != 2) || !read_plain(rest, &d[n]))
        return bad_value(key, v, "one number, or three like 0.5/0.4/0.3");
    for (size_t i = 0; i < 3; i++) out[i] = n == 0 ? d[0] : d[i];
    return NULL;
}

static bool read_side(span s, int64_t *out) {
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (s.p[i] - '0');
        if (v > MAX_SIDE) return false;
    }
    *out = v;
    return v > 0;
}

static ap_err read_size(span v, ap_image_recipe *r) {
    span w, h;
    int64_t width = 0, height = 0;
    if (!span_is(v, "input") && !(split(v, 'x', &w, &h) && read_side(w, &width) && read_side(h, &height)))
        return bad_value("size", v, "WIDTHxHEIGHT like 640x480 (sides 1 to 65535) or input");
    r->width = width;
    r->height = height;
    return NULL;
}

static ap_err read_pad(span v, double *out) {
    double d;
    if (!read_plain(v, &d) || d < 0 || d > 255) return bad_value("pad", v, "a number from 0 to 255");
    *out = d;
    return NULL;
}

static ap_err read_std(span v, double out[3]) {
    double d[3];
    ap_err err = read_three("std", v, d);
    if (err) return err;
    if (d[0] == 0 || d[1] == 0 || d[2] == 0) return bad_value("std", v, "a divisor: it holds a 0");
    memcpy(out, d, sizeof d);
    return NULL;
}

static const char *const keys[] = {"layout", "color", "resize", "size", "scale", "mean", "std", "pad"};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

static ap_err read_key(size_t key, span v, ap_image_recipe *r) {
    unsigned i = 0;
    ap_err err = NULL;
    switch (key) {
    case 0:
        err = read_word("layout", v, layouts, "one of nchw, nhwc", &i);
        if (!err) r->layout = (ap_image_layout)i;
        return err;
    case 1:
        err = read_word("color", v, colors, "one of rgb, bgr, gray", &i);
        if (!err) r->color = (ap_image_color)i;
        return err;
    case 2:
        err = read_word("resize", v, resizes, "one of stretch, letterbox, crop, none", &i);
        if (!err) r->resize = (ap_image_resize)i;
        return err;
    case 3: return read_size(v, r);
    case 4: return read_scale(v, &r->scale);
    case 5: return read_three("mean", v, r->mean);
    case 6: return read_std(v, r->std);
    default: return read_pad(v, &r->pad);
    }
}

static ap_err read_pair(span item, ap_image_recipe *r, unsigned *seen) {
    span key, value;
    if (!split(item, '=', &key, &value))
        return ap_err_new(AP_ERR_USAGE, "image recipe: \"%.*s\" is not key=value", shown(item), item.p);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!span_is(key, keys[i])) continue;
        if (*seen & 1U << i) return ap_err_new(AP_ERR_USAGE, "image recipe: %s is given twice", keys[i]);
        *seen |= 1U << i;
        return read_key(i, value, r);
    }
    return ap_err_new(
        AP_ERR_USAGE,
        "image recipe: unknown key \"%.*s\"; the keys are layout, color, resize, size, scale, mean, "
        "std, pad",
        shown(key), key.p);
}

ap_err ap_image_recipe_parse(const char *text, ap_image_recipe *out) {
    ap_image_recipe r;
    ap_image_recipe_default(&r);
    unsigned seen = 0;
    span rest = {text, strlen(text)}, item;
    while (rest.n > 0) {
        bool more = split(rest, ',', &item, &rest);
        if (!more) item = rest;
        ap_err err = read_pair(item, &r, &seen);
        if (err) return err;
        if (!more) break;
        // "a=1," is a mistake, not an empty last pair.
        if (rest.n == 0)
            return ap_err_new(AP_ERR_USAGE, "image recipe: nothing stands behind the last comma");
    }
    *out = r;
    return NULL;
}

// The shortest decimal text that reads back as the same double.
static void put_number(ap_buf *out, double v) {
    char text[40];
    for (int digits = 1; digits <= DBL_DECIMAL_DIG; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    ap_buf_puts(out, text);
}

static void put_three(ap_buf *out, const char *key, const double v[3]) {
    ap_buf_printf(out, ",%s=", key);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) ap_buf_putc(out, '/');
        put_number(out, v[i]);
    }
}

void ap_image_recipe_format(const ap_image_recipe *r, ap_buf *out) {
    ap_buf_printf(out, "layout=%s,color=%s,resize=%s,size=", layouts[r->layout], colors[r->color],
                  resizes[r->resize]);
    if (r->width > 0 && r->height > 0)
        ap_buf_printf(out, "%lldx%lld", (long long)r->width, (long long)r->height);
    else
        ap_buf_puts(out, "input");
    // 1/255 is what people write and read; as a decimal it has 16 digits.
    double inverse = rint(1 / r->scale);
    ap_buf_puts(out, ",scale=");
    if (inverse > 1 && inverse <= MAX_FRACTION && 1 / inverse == r->scale) {
        ap_buf_puts(out, "1/");
        ap_buf_printf(out, "%.0f", inverse);
    } else {
        put_number(out, r->scale);
    }
    put_three(out, "mean", r->mean);
    put_three(out, "std", r->std);
    ap_buf_puts(out, ",pad=");
    put_number(out, r->pad);
}
