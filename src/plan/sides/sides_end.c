// SPDX-License-Identifier: Apache-2.0
// What a program leaves: texts, pictures, tensors, other files.
#include "base/file.h"
#include "plan/sides/sides.h"
#include "tensor/image_decode.h"
#include "tensor/npy.h"

#include <math.h>
#include <string.h>

enum { MAX_TEXT = 64 << 20 };

// ---- texts

ap_err ap_verify_read(const char *path, const char *folder, ap_buf *out) {
    ap_buf raw = {0};
    size_t n = strlen(folder);
    ap_err err = ap_file_read(path, MAX_TEXT, &raw);
    if (err) return err;
    const char *p = ap_buf_str(&raw), *end = p + raw.len;
    for (const char *hit; n && (hit = memmem(p, (size_t)(end - p), folder, n)) != NULL; p = hit + n) {
        ap_buf_append(out, p, (size_t)(hit - p));
        ap_buf_puts(out, "work");
    }
    ap_buf_append(out, p, (size_t)(end - p));
    ap_buf_free(&raw);
    return NULL;
}

// ---- pictures and tensors

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
    ap_task usual = {0};
    ap_pixels x = {0}, y = {0};
    ap_err err = NULL;
    AP_TRY(ap_task_parse("psnr", NULL, &usual));
    AP_TRY(ap_image_decode(a->data, a->len, &x));
    AP_TRY(ap_image_decode(b->data, b->len, &y));
    double least = strcmp(task->name, "psnr") == 0 ? task->value : usual.value;
    *out = ap_verify_gate(what, "psnr_db", psnr(&x, &y), ">=", least);
done:
    ap_pixels_free(&x);
    ap_pixels_free(&y);
    return err;
}

static ap_err tensor_gate(const ap_gates *gates, const char *what, const char *const paths[2], json_t **out) {
    ap_tensor x = {0}, y = {0};
    ap_metrics m;
    ap_err err = NULL;
    AP_TRY(ap_npy_map(paths[0], &x));
    AP_TRY(ap_npy_map(paths[1], &y));
    err = ap_metrics_compare(&x, &y, AP_CHANNEL_AXIS, &m);
    *out = ap_verify_gate(what, "cosine", err ? NAN : m.cosine, ">=", ap_gates_threshold(gates, "cosine"));
    ap_err_free(err); // another shape or type: the gate says so
    err = NULL;
done:
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

// ---- files

static bool is_picture(const ap_buf *b) {
    return ap_image_kind_of(b->data, b->len) != AP_IMAGE_NONE;
}

static bool is_text(const ap_buf *b) {
    return !memchr(ap_buf_str(b), 0, b->len);
}

static bool same_bytes(const ap_buf *a, const ap_buf *b) {
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static ap_err compare(const ap_task *task, const ap_gates *gates, const char *what,
                      const char *const paths[2], const char *const roots[2], json_t **out) {
    bool exact = strcmp(task->name, "exact") == 0;
    ap_buf a = {0}, b = {0};
    ap_err err = NULL;
    AP_TRY(ap_verify_read(paths[0], roots[0], &a));
    AP_TRY(ap_verify_read(paths[1], roots[1], &b));
    if (!exact && is_picture(&a) && is_picture(&b))
        AP_TRY(picture_gate(task, what, &a, &b, out));
    else if (!exact && strcmp(ap_path_ext(what), ".npy") == 0)
        AP_TRY(tensor_gate(gates, what, paths, out));
    else if (is_text(&a) && is_text(&b))
        *out = ap_task_compare(task, what, ap_buf_str(&a), ap_buf_str(&b));
    else
        *out = ap_verify_gate(what, "equal_bytes", same_bytes(&a, &b), ">=", 1);
done:
    ap_buf_free(&a);
    ap_buf_free(&b);
    return err;
}

ap_err ap_verify_file(const ap_task *task, const ap_gates *gates, const char *what,
                      const char *const roots[2], json_t **out) {
    ap_arena a = {0};
    const char *paths[2] = {ap_path_join(&a, roots[0], what), ap_path_join(&a, roots[1], what)};
    ap_err err = NULL;
    *out = NULL;
    if (strcmp(task->name, "none") == 0) goto done;
    if (!ap_file_exists(paths[0]) || !ap_file_exists(paths[1]))
        *out =
            ap_verify_gate(what, ap_file_exists(paths[0]) ? "written_served" : "written_alone", 0, ">=", 1);
    else
        AP_TRY(compare(task, gates, what, paths, roots, out));
done:
    ap_arena_release(&a);
    return err;
}
