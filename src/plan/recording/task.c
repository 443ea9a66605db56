// SPDX-License-Identifier: Apache-2.0
// How the texts of two runs are compared: a table of tasks.
#include "plan/recording/task.h"
#include "base/file.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 64, MAX_BOXES = 4096, NOTE = 120 };
#define TIE 0.02 // of scores

json_t *ap_verify_gate(const char *what, const char *metric, double value, const char *op, double threshold) {
    bool good = strcmp(op, ">=") == 0 ? value >= threshold : value <= threshold; // NaN fails
    return json_pack("{so,ss,so,ss,so,ss}", "what", ap_json_string(what), "metric", metric, "value",
                     ap_json_real(value), "op", op, "threshold", ap_json_real(threshold), "verdict",
                     good ? "pass" : "fail");
}

// What a comparison says: how far apart (or how near) and where that was first seen.
typedef struct gap {
    double value;
    const char *a, *b; // NULL: nowhere
} gap;

// ---- numbers in texts

typedef struct number {
    double value;
    const char *end;
    bool time, percent; // "12.3 ms": what a clock says is never the same twice
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
    while (*end == ' ') end++;
    out->percent = *end == '%';
    return out->end > p;
}

typedef struct pair {
    number a, b;
} pair;

// One step through two texts: a number each (true), else the same character or run of spaces is passed;
// *apart: the words differ here.
static bool step(const char *a0, const char *b0, const char **a, const char **b, pair *out, bool *apart) {
    if (isspace((unsigned char)**a) && isspace((unsigned char)**b)) {
        while (isspace((unsigned char)**a)) ++*a;
        while (isspace((unsigned char)**b)) ++*b;
    } else if (number_at(a0, *a, &out->a) && number_at(b0, *b, &out->b)) {
        *a = out->a.end;
        *b = out->b.end;
        return true;
    } else if (**a != **b) {
        *apart = true;
    } else {
        ++*a;
        ++*b;
    }
    return false;
}

typedef double (*measure)(const pair *p);
static double relative(const pair *p) { // above 1; absolute below
    double scale = fmax(1.0, fmax(fabs(p->a.value), fabs(p->b.value)));
    return p->a.time && p->b.time ? 0 : fabs(p->a.value - p->b.value) / scale;
}
static double absolute(const pair *p) {
    return p->a.time && p->b.time ? 0 : fabs(p->a.value - p->b.value);
}
static double points(const pair *p) {
    return p->a.percent && p->b.percent ? fabs(p->a.value - p->b.value) : 0;
}

// The largest distance of two numbers; infinite when the words are not the same.
static gap numbers_apart(const char *a, const char *b, measure how) {
    const char *a0 = a, *b0 = b;
    gap worst = {0};
    while (*a || *b) {
        const char *at = a, *bt = b;
        pair p;
        bool apart = false;
        if (step(a0, b0, &a, &b, &p, &apart)) {
            double d = how(&p);
            if (d > worst.value) worst = (gap){d, at, bt};
        }
        if (apart) return (gap){INFINITY, at, bt};
    }
    return worst;
}

static gap compare_text(const char *a, const char *b, double most) {
    (void)most;
    return numbers_apart(a, b, relative);
}
static gap compare_numbers(const char *a, const char *b, double most) {
    (void)most;
    return numbers_apart(a, b, absolute);
}
static gap compare_percent(const char *a, const char *b, double most) {
    (void)most;
    return numbers_apart(a, b, points);
}
static gap compare_exact(const char *a, const char *b, double most) {
    (void)most;
    while (*a && *a == *b) a++, b++;
    return *a || *b ? (gap){1, a, b} : (gap){0};
}

// ---- words: those of a line, in any order; numbers are not looked at

static size_t line_length(const char *p) {
    return strcspn(p, "\n");
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The words of a line that are no numbers, sorted, as one text.
static char *words_of(const char *line, size_t n) {
    char *copy = ap_strndup(line, n), *rest = copy;
    char **words = ap_calloc(n + 1, sizeof *words);
    size_t count = 0;
    ap_buf out = {0};
    for (char *w; (w = strsep(&rest, " \t\r,;")) != NULL;) {
        number x;
        if (*w && !(number_at(w, w, &x) && !x.end[strspn(x.end, "%)]:")])) words[count++] = w;
    }
    qsort(words, count, sizeof *words, by_text);
    for (size_t i = 0; i < count; i++) ap_buf_printf(&out, "%s ", words[i]);
    free(words);
    free(copy);
    return out.data ? ap_buf_detach(&out) : ap_strdup("");
}

static gap compare_words(const char *a, const char *b, double most) {
    (void)most;
    gap g = {0};
    while (*a || *b) {
        size_t n = line_length(a), m = line_length(b);
        char *x = words_of(a, n), *y = words_of(b, m);
        if (strcmp(x, y) != 0 && g.value++ == 0) g = (gap){1, a, b};
        free(x);
        free(y);
        a += n + (a[n] == '\n');
        b += m + (b[m] == '\n');
    }
    return g;
}

// ---- boxes: lines whose last four numbers are x0 y0 x1 y1; the words of the line are the class

typedef struct box {
    double n[4];
    char words[256];
    double score; // the number before the four; NaN: none
    const char *line;
    size_t list;     // boxes of lines that follow each other are a list: a picture's
    bool used, last; // last: of the boxes printed together none has a smaller score, but for TIE
} box;

static bool box_of(const char *line, box *out) {
    double numbers[MAX_NUMBERS];
    size_t count = 0, w = 0;
    const char *end = line + line_length(line);
    for (const char *p = line; p < end;) {
        number n;
        if (number_at(line, p, &n)) {
            if (count == MAX_NUMBERS) return false;
            numbers[count++] = n.value;
            p = n.end;
        } else {
            if (!isspace((unsigned char)*p) && w + 1 < sizeof out->words) out->words[w++] = *p;
            p++;
        }
    }
    out->words[w] = '\0';
    out->used = false;
    out->line = line;
    if (count < 4) return false;
    memcpy(out->n, numbers + count - 4, sizeof out->n);
    out->score = count > 4 ? numbers[count - 5] : NAN;
    out->last = false;
    return out->n[2] >= out->n[0] && out->n[3] >= out->n[1];
}

// The boxes of one list: where it was cut.
static void close_list(box *list, size_t count, size_t index) {
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) least = fmin(least, list[i].score);
    for (size_t i = 0; i < count; i++) {
        list[i].last = list[i].score <= least + TIE;
        list[i].list = index;
    }
}

static size_t boxes_of(const char *text, box **out) {
    size_t n = 0, lines = 1, first = 0, lists = 0;
    for (const char *p = text; *p && lines < MAX_BOXES; p++) lines += *p == '\n';
    *out = ap_calloc(lines, sizeof **out);
    for (const char *line = text; *line && n < lines;) {
        bool is_box = box_of(line, &(*out)[n]);
        if (!is_box && n > first) {
            close_list(*out + first, n - first, lists++);
            first = n;
        }
        n += is_box;
        line += line_length(line);
        line += *line == '\n';
    }
    close_list(*out + first, n - first, lists);
    return n;
}

static double iou(const box *a, const box *b) {
    double w = fmin(a->n[2], b->n[2]) - fmax(a->n[0], b->n[0]),
           h = fmin(a->n[3], b->n[3]) - fmax(a->n[1], b->n[1]);
    double both = fmax(w, 0) * fmax(h, 0);
    double all = (a->n[2] - a->n[0]) * (a->n[3] - a->n[1]) + (b->n[2] - b->n[0]) * (b->n[3] - b->n[1]) - both;
    return all > 0 ? both / all : 1;
}

// The partner of `x`: of those of its list and class that nobody has the one with the largest IoU; m: none.
static size_t partner_of(const box *x, const box *y, size_t m, double *best) {
    size_t at = m;
    *best = 0;
    for (size_t k = 0; k < m; k++)
        if (!y[k].used && x->list == y[k].list && strcmp(x->words, y[k].words) == 0 &&
            (at == m || iou(x, &y[k]) > *best)) {
            *best = iou(x, &y[k]);
            at = k;
        }
    return at;
}

// One of the last places may have gone to another box with as good a score: it has no partner, and needs
// none while there is such a box on the other side.
static bool is_tied(const box *x, box *y, size_t m) {
    for (size_t k = 0; x->last && k < m; k++)
        if (!y[k].used && y[k].last && x->list == y[k].list && fabs(x->score - y[k].score) <= TIE)
            return y[k].used = true;
    return false;
}

// The worst of the best matches; 0 when a box has none of its class, or there are none at all. Matches below
// `least` are none: such boxes must be tied, and at least half of all have a partner.
static gap match_boxes(const char *a, const char *b, double least) {
    box *x, *y;
    size_t n = boxes_of(a, &x), m = boxes_of(b, &y), paired = 0;
    bool *alone = ap_calloc(n + 1, sizeof *alone);
    gap g = {n && n == m ? 1 : 0, NULL, NULL};
    for (size_t i = 0; i < n && g.value > 0; i++) {
        double best;
        size_t at = partner_of(&x[i], y, m, &best);
        alone[i] = best < least;
        if (alone[i]) continue;
        paired++;
        if (at < m) y[at].used = true;
        if (best < g.value) g = (gap){best, x[i].line, at < m ? y[at].line : ""};
    }
    for (size_t i = 0; i < n && g.value > 0; i++)
        if (alone[i] && !is_tied(&x[i], y, m)) g = (gap){0, x[i].line, ""};
    if (g.value > 0 && 2 * paired < n) g = (gap){0, a, b};
    free(alone);
    free(x);
    free(y);
    return g;
}

static gap compare_boxes(const char *a, const char *b, double least) {
    (void)least;
    return match_boxes(a, b, 0);
}
static gap compare_top_boxes(const char *a, const char *b, double least) {
    return match_boxes(a, b, least);
}

// ---- the tasks

static const struct task_kind {
    const char *name, *metric, *op;
    double value; // the threshold when none is given
    gap (*texts)(const char *a, const char *b, double threshold);
} kinds[] = {
    {"text", "difference", "<=", 1e-3, compare_text},       // words equal, numbers near, times left out
    {"numbers", "difference", "<=", 0.02, compare_numbers}, // the same, absolute
    {"percent", "points", "<=", 0.3, compare_percent},      // words equal, numbers before a % near
    {"words", "lines", "<=", 0, compare_words},             // the same words on a line, in any order
    {"exact", "differs", "<=", 0, compare_exact},
    {"boxes", "worst_iou", ">=", 0.95, compare_boxes},        // the same boxes, in any order
    {"topboxes", "worst_iou", ">=", 0.95, compare_top_boxes}, // the same, but for ties at the end of a list
    {"psnr", "difference", "<=", 45, compare_text},           // of pictures; texts as "text"
    {"none", NULL, NULL, 0, NULL},                            // not compared
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct task_kind *kind_of(const char *name, size_t n) {
    for (size_t i = 0; i < KINDS; i++)
        if (strlen(kinds[i].name) == n && strncmp(kinds[i].name, name, n) == 0) return &kinds[i];
    return NULL;
}

ap_err ap_task_parse(const char *text, ap_arena *a, ap_task *out) {
    size_t n = strcspn(text, "=:");
    const struct task_kind *k = kind_of(text, n);
    const char *p = text + n;
    char *end = NULL;
    ap_err err = NULL;
    if (!k) AP_FAIL(AP_ERR_USAGE, "--task: '%s' is no task", text);
    *out = (ap_task){.name = k->name, .value = k->value};
    if (*p == '=') {
        out->value = strtod(p + 1, &end);
        if (end == p + 1 || (*end && *end != ':') || isnan(out->value))
            AP_FAIL(AP_ERR_USAGE, "--task: '%s' has no number behind '='", text);
        p = end;
    }
    if (*p == ':' && !p[1]) AP_FAIL(AP_ERR_USAGE, "--task: '%s' names nothing behind ':'", text);
    if (*p == ':') out->what = ap_arena_strdup(a, p + 1);
done:
    return ap_err_hint(
        err, "text, numbers, percent, words, exact, boxes, topboxes, psnr or none, then =NUMBER, then "
             ":FILE or :stdout");
}

ap_err ap_tasks_check(const char *const *texts, size_t count) {
    ap_arena a = {0};
    ap_task unused;
    ap_err err = NULL;
    for (size_t i = 0; i < count && !err; i++) err = ap_task_parse(texts[i], &a, &unused);
    ap_arena_release(&a);
    return err;
}

ap_task ap_task_for(const ap_task *tasks, size_t count, const char *what) {
    for (size_t i = 0; i < count; i++)
        if (!tasks[i].what || fnmatch(tasks[i].what, what, 0) == 0) return tasks[i];
    return (ap_task){.name = kinds[0].name, .value = kinds[0].value};
}

// "line of the one | line of the other", cut.
static json_t *note_of(const char *a0, const char *b0, const gap *g) {
    const char *a = g->a, *b = g->b;
    if (!a || !b) return json_null();
    while (a > a0 && a[-1] != '\n') a--;
    while (b > b0 && *b && b[-1] != '\n') b--;
    size_t n = line_length(a), m = line_length(b);
    ap_buf text = {0};
    ap_buf_printf(&text, "%.*s | %.*s", (int)(n < NOTE ? n : NOTE), a, (int)(m < NOTE ? m : NOTE), b);
    json_t *note = ap_json_string(ap_buf_str(&text));
    ap_buf_free(&text);
    return note;
}

json_t *ap_task_compare(const ap_task *task, const char *what, const char *plain, const char *served) {
    const struct task_kind *k = kind_of(task->name, strlen(task->name));
    if (!k || !k->texts) return NULL;
    gap g = k->texts(plain, served, task->value);
    double threshold =
        k->texts == compare_text && strcmp(k->name, "text") != 0 ? kinds[0].value : task->value;
    json_t *gate = ap_verify_gate(what, k->metric, g.value, k->op, threshold);
    bool failed = strcmp(ap_json_str(gate, "verdict", ""), "fail") == 0;
    json_object_set_new(gate, "note", failed ? note_of(plain, served, &g) : json_null());
    return gate;
}
