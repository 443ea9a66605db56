// SPDX-License-Identifier: Apache-2.0
// What a program leaves: texts, pictures, tensors, other files.
#include "base/file.h"
#include "base/log.h"
#include "plan/verify.h"
#include "tensor/image_decode.h"
#include "tensor/npy.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 16 << 20, MAX_NUMBERS = 64, MAX_LINES = 4096 };
#define PSNR_DB 40.0 // pictures, unless the task says otherwise

json_t *ap_verify_gate(const char *what, const char *metric, double value, const char *op, double threshold) {
    bool good = strcmp(op, ">=") == 0 ? value >= threshold : value <= threshold; // NaN fails
    return json_pack("{so,ss,so,ss,so,ss}", "what", ap_json_string(what), "metric", metric, "value",
                     ap_json_real(value), "op", op, "threshold", ap_json_real(threshold), "verdict",
                     good ? "pass" : "fail");
}

// ---- numbers in texts

typedef struct number {
    double value;
    const char *end;
    bool time; // "12.3 ms": what a clock says is never the same twice
} number;

static bool is_time(const char *p) {
    static const char *const units[] = {"ms", "us", "ns", "s", "sec", "seconds", "fps", "FPS", "it/s", "min"};
    while (*p == ' ') p++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i]);
        if (strncmp(p, units[i], n) == 0 && !isalnum((unsigned char)p[n])) return true;
    }
    return false;
}

// A number at `p`: not inside a word ("conv2d", "sm8650").
static bool number_at(const char *start, const char *p, number *out) {
    const char *digit = p + (*p == '-' || *p == '+');
    if (p > start && (isalnum((unsigned char)p[-1]) || p[-1] == '_')) return false;
    digit += *digit == '.';
    if (!isdigit((unsigned char)*digit)) return false;
    char *end = NULL;
    out->value = strtod(p, &end);
    out->end = end;
    out->time = is_time(end);
    return end > p;
}

static bool near(const number *a, const number *b, double tolerance) {
    double scale = fmax(1.0, fmax(fabs(a->value), fabs(b->value)));
    return (a->time && b->time) || fabs(a->value - b->value) <= tolerance * scale;
}

// The same words, and numbers within the tolerance (relative above 1, absolute below).
static bool texts_near(const char *a, const char *b, double tolerance) {
    const char *a0 = a, *b0 = b;
    for (;;) {
        number x, y;
        if (isspace((unsigned char)*a) && isspace((unsigned char)*b)) {
            while (isspace((unsigned char)*a)) a++;
            while (isspace((unsigned char)*b)) b++;
        } else if (number_at(a0, a, &x) && number_at(b0, b, &y)) {
            if (!near(&x, &y, tolerance)) return false;
            a = x.end;
            b = y.end;
        } else if (*a != *b)
            return false;
        else if (!*a)
            return true;
        else {
            a++;
            b++;
        }
    }
}

// ---- boxes: lines whose last four numbers are x0 y0 x1 y1; the words of the line are the class

typedef struct box {
    double n[4];
    char words[256];
    bool used;
} box;

static bool box_of(const char *line, box *out) {
    double numbers[MAX_NUMBERS];
    size_t count = 0, w = 0;
    for (const char *p = line; *p;) {
        number n;
        if (number_at(line, p, &n)) {
            if (count < MAX_NUMBERS) numbers[count++] = n.value;
            p = n.end;
        } else {
            if (!isspace((unsigned char)*p) && w + 1 < sizeof out->words) out->words[w++] = *p;
            p++;
        }
    }
    out->words[w] = '\0';
    out->used = false;
    if (count < 4) return false;
    memcpy(out->n, numbers + count - 4, sizeof out->n);
    return out->n[2] >= out->n[0] && out->n[3] >= out->n[1];
}

static size_t boxes_of(const char *text, box *out) {
    size_t n = 0;
    char *copy = ap_strdup(text), *rest = copy;
    for (char *line; n < MAX_LINES && (line = strsep(&rest, "\n")) != NULL;) n += box_of(line, &out[n]);
    free(copy);
    return n;
}

static double iou(const box *a, const box *b) {
    double w = fmin(a->n[2], b->n[2]) - fmax(a->n[0], b->n[0]),
           h = fmin(a->n[3], b->n[3]) - fmax(a->n[1], b->n[1]);
    double both = fmax(w, 0) * fmax(h, 0);
    double all = (a->n[2] - a->n[0]) * (a->n[3] - a->n[1]) + (b->n[2] - b->n[0]) * (b->n[3] - b->n[1]) - both;
    return all > 0 ? both / all : 1;
}

// The worst of the best matches; 0 when a box has none of its class, or there are none at all.
static double boxes_near(const char *a, const char *b) {
    box *x = ap_calloc(MAX_LINES, sizeof *x), *y = ap_calloc(MAX_LINES, sizeof *y);
    size_t n = boxes_of(a, x), m = boxes_of(b, y);
    double worst = n && n == m ? 1 : 0;
    for (size_t i = 0; i < n && worst > 0; i++) {
        double best = 0;
        size_t at = m;
        for (size_t k = 0; k < m; k++)
            if (!y[k].used && strcmp(x[i].words, y[k].words) == 0 && (at == m || iou(&x[i], &y[k]) > best)) {
                best = iou(&x[i], &y[k]);
                at = k;
            }
        if (at < m) y[at].used = true;
        worst = fmin(worst, best);
    }
    free(x);
    free(y);
    return worst;
}

// ---- the tasks

static double value_text(const ap_task *t, const char *a, const char *b) {
    return texts_near(a, b, t->value) ? 1 : 0;
}
static double value_exact(const ap_task *t, const char *a, const char *b) {
    (void)t;
    return strcmp(a, b) == 0 ? 1 : 0;
}
static double value_boxes(const ap_task *t, const char *a, const char *b) {
    (void)t;
    return boxes_near(a, b);
}

static const struct {
    const char *name, *metric;
    double value; // default of the task's number
    bool is_threshold;
    double (*texts)(const ap_task *t, const char *a, const char *b); // NULL: stdout is not looked at
} tasks[] = {
    {"text", "same_text", 1e-3, false, value_text}, // words equal, numbers within VALUE, times left out
    {"exact", "equal_text", 1, true, value_exact},
    {"boxes", "worst_iou", 0.95, true, value_boxes}, // the same boxes in any order
    {"psnr", NULL, PSNR_DB, true, NULL},             // only the files; pictures by PSNR
};
enum { TASKS = sizeof tasks / sizeof *tasks };

ap_err ap_task_parse(const char *text, ap_task *out) {
    const char *eq = text ? strchr(text, '=') : NULL;
    size_t n = !text ? 0 : eq ? (size_t)(eq - text) : strlen(text), i = 0;
    while (text && i < TASKS && (strlen(tasks[i].name) != n || strncmp(tasks[i].name, text, n) != 0)) i++;
    char *end = NULL;
    double value = eq ? strtod(eq + 1, &end) : 0;
    if (i == TASKS || (eq && (end == eq + 1 || *end || isnan(value))))
        return ap_err_hint(ap_err_new(AP_ERR_USAGE, "--task: '%s' is no task", text),
                           "text[=TOLERANCE], exact, boxes[=IOU] or psnr[=DB]");
    *out = (ap_task){.name = tasks[i].name, .value = eq ? value : tasks[i].value};
    return NULL;
}

static size_t index_of(const ap_task *task) {
    size_t i = 0;
    while (i + 1 < TASKS && strcmp(tasks[i].name, task->name) != 0) i++;
    return i;
}

json_t *ap_verify_text(const ap_task *task, const char *what, const ap_buf *plain, const ap_buf *served) {
    size_t i = index_of(task);
    if (!tasks[i].texts) return NULL;
    double value = tasks[i].texts(task, ap_buf_str(plain), ap_buf_str(served));
    return ap_verify_gate(what, tasks[i].metric, value, ">=", tasks[i].is_threshold ? task->value : 1);
}

// ---- files

static double psnr(const ap_pixels *a, const ap_pixels *b) {
    size_t n = a->width * a->height * 3;
    double sum = 0;
    if (a->width != b->width || a->height != b->height) return -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a->rgb[i] - (double)b->rgb[i];
        sum += d * d;
    }
    return sum > 0 ? 10 * log10(255.0 * 255.0 * (double)n / sum) : INFINITY;
}

static ap_err picture_gate(const ap_task *task, const char *what, const ap_buf *a, const ap_buf *b,
                           json_t **out) {
    ap_pixels x = {0}, y = {0};
    ap_err err = NULL;
    AP_TRY(ap_image_decode(a->data, a->len, &x));
    AP_TRY(ap_image_decode(b->data, b->len, &y));
    *out = ap_verify_gate(what, "psnr_db", psnr(&x, &y),
                          ">=", strcmp(task->name, "psnr") == 0 ? task->value : PSNR_DB);
done:
    ap_pixels_free(&x);
    ap_pixels_free(&y);
    return err;
}

static ap_err tensor_gate(const ap_gates *gates, const char *what, const char *plain, const char *served,
                          json_t **out) {
    ap_tensor x = {0}, y = {0};
    ap_metrics m;
    ap_err err = NULL;
    AP_TRY(ap_npy_map(plain, &x));
    AP_TRY(ap_npy_map(served, &y));
    err = ap_metrics_compare(&x, &y, &m);
    *out = ap_verify_gate(what, "cosine", err ? NAN : m.cosine, ">=", ap_gates_threshold(gates, "cosine"));
    ap_err_free(err); // another shape or type: the gate says so
    err = NULL;
done:
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

ap_err ap_verify_file(const ap_task *task, const ap_gates *gates, const char *what, const char *plain,
                      const char *served, json_t **out) {
    ap_buf a = {0}, b = {0};
    ap_err err = NULL;
    *out = NULL;
    if (!ap_file_exists(plain) || !ap_file_exists(served)) {
        *out = ap_verify_gate(what, ap_file_exists(plain) ? "written_served" : "written_alone", 0, ">=", 1);
        return NULL;
    }
    if (strcmp(ap_path_ext(plain), ".npy") == 0) return tensor_gate(gates, what, plain, served, out);
    AP_TRY(ap_file_read(plain, MAX_TEXT, &a));
    AP_TRY(ap_file_read(served, MAX_TEXT, &b));
    if (ap_image_kind_of(a.data, a.len) != AP_IMAGE_NONE && ap_image_kind_of(b.data, b.len) != AP_IMAGE_NONE)
        AP_TRY(picture_gate(task, what, &a, &b, out));
    else if (!memchr(ap_buf_str(&a), 0, a.len) && !memchr(ap_buf_str(&b), 0, b.len))
        *out = ap_verify_text(task, what, &a, &b);
    if (!*out)
        *out = ap_verify_gate(what, "equal_bytes",
                              a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0), ">=", 1);
done:
    ap_buf_free(&a);
    ap_buf_free(&b);
    return err;
}
