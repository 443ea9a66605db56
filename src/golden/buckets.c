// SPDX-License-Identifier: Apache-2.0
#include "golden/buckets.h"

#include "golden/request.h"

#include <ctype.h>
#include <string.h>

enum { DIGITS = 9 }; // of a size: far below what overflows

// The sizes one place may have.
typedef struct sizes {
    int64_t list[AP_BUCKETS_MAX];
    size_t count;
} sizes;

// One argument, read.
typedef struct shape_arg {
    const char *arg, *name;
    bool symbol;
    sizes dims[AP_MAX_RANK];
    size_t rank, choices; // choices: the product of what its places may be
} shape_arg;

bool ap_buckets_likely(const char *const *shapes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *rest = strchr(shapes[i], '=');
        if (rest && (strstr(rest, "..") || strpbrk(rest, "/,"))) return true;
    }
    return false;
}

static ap_err unreadable(const char *arg, const char *at) {
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "--shape %s: no size at \"%.20s\"", arg, at);
    return ap_err_hint(err, "several sizes are written 1/2/4, 1..4, 32..128+32 or 16..128*2");
}

static ap_err read_number(const char **p, const char *arg, int64_t *out) {
    const char *from = *p;
    for (*out = 0; isdigit((unsigned char)**p); (*p)++) {
        if (*p - from == DIGITS) return unreadable(arg, from);
        *out = *out * 10 + (**p - '0');
    }
    if (*p == from) return unreadable(arg, from);
    if (*out < 1) return ap_err_new(AP_ERR_INPUT_SHAPE, "--shape %s: sizes start at 1", arg);
    return NULL;
}

static ap_err add_size(sizes *s, int64_t size, const char *arg) {
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i] == size)
            return ap_err_new(AP_ERR_USAGE, "--shape %s names %lld twice", arg, (long long)size);
    if (s->count == AP_BUCKETS_MAX) {
        ap_err err =
            ap_err_new(AP_ERR_USAGE, "--shape %s names more than %d sizes at one place", arg, AP_BUCKETS_MAX);
        return ap_err_hint(
            err, "each becomes an artifact of its own: take steps, such as 32..512+32 or 16..512*2");
    }
    s->list[s->count++] = size;
    return NULL;
}

// N or a range.
static ap_err read_size(const char **p, const char *arg, sizes *s) {
    int64_t first, last, step = 1;
    char how = '+';
    ap_err err = NULL;
    AP_TRY(read_number(p, arg, &first));
    if (strncmp(*p, "..", 2) != 0) return add_size(s, first, arg);
    *p += 2;
    AP_TRY(read_number(p, arg, &last));
    if (**p == '+' || **p == '*') {
        how = *(*p)++;
        AP_TRY(read_number(p, arg, &step));
        if (how == '*' && step < 2) AP_FAIL(AP_ERR_USAGE, "--shape %s: a factor is 2 or more", arg);
    }
    if (last < first) AP_FAIL(AP_ERR_USAGE, "--shape %s: the range runs backwards", arg);
    for (int64_t n = first; n <= last; n = how == '+' ? n + step : n * step) AP_TRY(add_size(s, n, arg));
done:
    return err;
}

static ap_err read_sizes(const char **p, const char *arg, bool commas, sizes *s) {
    ap_err err = read_size(p, arg, s);
    while (!err && (**p == '/' || (commas && **p == ','))) {
        (*p)++;
        err = read_size(p, arg, s);
    }
    return err;
}

static ap_err read_arg(const ap_model *m, const char *arg, ap_arena *a, shape_arg *out) {
    char *name = NULL;
    const char *p = NULL;
    ap_err err = NULL;
    AP_TRY(ap_request_split(arg, "--shape", "INPUT=1,3,224,224 or SYMBOL=1", a, &name, &p));
    *out = (shape_arg){.arg = arg, .name = name, .choices = 1};
    out->symbol = !ap_request_is_input(m, name);
    for (;;) {
        if (out->rank == AP_MAX_RANK)
            AP_FAIL(AP_ERR_INPUT_SHAPE, "--shape %s has more than %d dimensions", arg, AP_MAX_RANK);
        sizes *s = &out->dims[out->rank++];
        AP_TRY(read_sizes(&p, arg, out->symbol, s));
        out->choices *= s->count;
        if (out->choices > AP_BUCKETS_MAX) break; // said of all of them together
        if (!*p) break;
        if (out->symbol || (*p != ',' && *p != 'x')) {
            err = unreadable(arg, p);
            goto done;
        }
        p++;
    }
done:
    return err;
}

// The argument with the `k`-th of its choices, and what it adds to the name.
static const char *choice(const shape_arg *s, size_t k, ap_arena *a, ap_buf *name) {
    ap_buf dims = {0};
    size_t below = s->choices;
    for (size_t i = 0; i < s->rank; i++) {
        below /= s->dims[i].count;
        ap_buf_printf(&dims, "%s%lld", i ? "x" : "",
                      (long long)s->dims[i].list[k / below % s->dims[i].count]);
    }
    if (s->choices > 1) ap_buf_printf(name, "%s%s-%s", name->len ? "_" : "", s->name, ap_buf_str(&dims));
    const char *text = ap_arena_printf(a, "%s=%s", s->name, ap_buf_str(&dims));
    ap_buf_free(&dims);
    return text;
}

// A name of a file: what is unusual there becomes '_'.
static const char *file_name(const ap_buf *name, ap_arena *a) {
    char *s = ap_arena_strdup(a, name->len ? ap_buf_str(name) : "all");
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-.", *p)) *p = '_';
    if (*s == '.') *s = '_';
    return s;
}

static ap_bucket make(const shape_arg *args, size_t count, size_t k, size_t total, ap_arena *a) {
    const char **shapes = ap_arena_calloc(a, count + 1, sizeof *shapes);
    ap_buf name = {0};
    for (size_t i = 0; i < count; i++) {
        total /= args[i].choices;
        bool varies = args[i].choices > 1;
        shapes[i] = varies ? choice(&args[i], k / total % args[i].choices, a, &name) : args[i].arg;
    }
    ap_bucket b = {.name = file_name(&name, a), .shapes = shapes};
    ap_buf_free(&name);
    return b;
}

// Two names that became one by what is unusual in them.
static void keep_apart(ap_bucket *list, size_t n, ap_arena *a) {
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(list[i].name, list[k].name) == 0)
                list[i].name = ap_arena_printf(a, "%s.%zu", list[i].name, i);
}

// Commas alone are the shape of an input, and a list of sizes of a symbol.
static bool may_vary(const ap_model *m, const char *arg, ap_arena *a) {
    const char *rest = strchr(arg, '=');
    if (!rest) return false;
    if (strstr(rest, "..") || strchr(rest, '/')) return true;
    return strchr(rest, ',') && !ap_request_is_input(m, ap_arena_strndup(a, arg, (size_t)(rest - arg)));
}

ap_err ap_buckets_of(const ap_model *m, const char *const *shapes, size_t count, ap_arena *a, ap_bucket **out,
                     size_t *n) {
    shape_arg *args = ap_arena_calloc(a, count + 1, sizeof *args);
    size_t total = 1;
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        args[i] = (shape_arg){.arg = shapes[i], .choices = 1}; // one size: read where it is used
        if (may_vary(m, shapes[i], a)) AP_TRY(read_arg(m, shapes[i], a, &args[i]));
        total *= args[i].choices;
        if (total > AP_BUCKETS_MAX) {
            err = ap_err_new(AP_ERR_USAGE, "--shape asks for more than %d artifacts, up to %s",
                             AP_BUCKETS_MAX, shapes[i]);
            err = ap_err_hint(err, "name fewer sizes, or deploy in several calls into folders of their own");
            goto done;
        }
    }
    *out = ap_arena_calloc(a, total, sizeof **out);
    for (size_t k = 0; k < total; k++) (*out)[k] = make(args, count, k, total, a);
    keep_apart(*out, total, a);
    *n = total;
done:
    return err;
}
