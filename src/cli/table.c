/* SPDX-License-Identifier: Apache-2.0 */
/* Tables aligned to their content, and numbers for people. */
#include "cli/term.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_COLUMNS = 16, GAP = 2, MIN_COLUMN = 12 };

typedef struct cell {
    char *text;
    cli_style style;
} cell;

typedef struct row {
    cell cells[MAX_COLUMNS];
    size_t count;
} row;

struct term_table {
    row *rows; /* rows[0] is the heading */
    size_t count, room;
    size_t width[MAX_COLUMNS];
    bool right[MAX_COLUMNS];
    bool heading;
};

void table_row(term_table *t) {
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 16;
        row *rows = cli_zalloc(room, sizeof *rows);
        if (t->count) memcpy(rows, t->rows, t->count * sizeof *rows);
        free(t->rows);
        t->rows = rows;
        t->room = room;
    }
    t->count++;
}

void table_cell_take(term_table *t, cli_style style, char *text) {
    row *r = &t->rows[t->count - 1];
    if (r->count == MAX_COLUMNS) {
        free(text);
        return;
    }
    char *clean = term_clean(text && *text ? text : "-", false);
    free(text);
    size_t width = term_width(clean);
    if (width > t->width[r->count]) t->width[r->count] = width;
    r->cells[r->count++] = (cell){clean, style};
}

void table_cell(term_table *t, cli_style style, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    table_cell_take(t, style, cli_text_from(fmt, args));
    va_end(args);
}

term_table *table_new(const char *head) {
    term_table *t = cli_zalloc(1, sizeof *t);
    table_row(t);
    t->heading = *head != 0;
    for (size_t i = 0; *head && i < MAX_COLUMNS; i++) {
        t->right[i] = *head == '>';
        if (t->right[i]) head++;
        size_t len = strcspn(head, "|");
        table_cell_take(t, CLI_BOLD, cli_text("%.*s", (int)len, head));
        head += len;
        if (*head) head++;
    }
    return t;
}

/* Takes columns from the widest left-aligned ones, evenly, until the table fits the terminal. */
static void fit(term_table *t, FILE *to) {
    struct winsize w;
    int fd = fileno(to);
    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &w) != 0 || w.ws_col == 0) return;
    size_t total = 0;
    for (size_t i = 0; i < MAX_COLUMNS && t->width[i]; i++) total += t->width[i] + (i ? GAP : 0);
    while (total > w.ws_col) {
        size_t widest = MAX_COLUMNS;
        for (size_t i = 0; i < MAX_COLUMNS && t->width[i]; i++)
            if (!t->right[i] && (widest == MAX_COLUMNS || t->width[i] > t->width[widest])) widest = i;
        if (widest == MAX_COLUMNS || t->width[widest] <= MIN_COLUMN) return;
        t->width[widest]--;
        total--;
    }
}

static void cut(char *text, size_t width) {
    size_t at = strlen(text);
    while (at > 0 && term_width(text) + 1 > width) {
        do at--;
        while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
        text[at] = 0;
    }
}

static void put_cell(const term_table *t, const row *r, size_t i, FILE *to) {
    char *text = r->cells[i].text;
    bool shorten = term_width(text) > t->width[i];
    if (shorten) cut(text, t->width[i]);
    size_t width = term_width(text) + shorten;
    int pad = (int)(t->width[i] - width);
    if (t->right[i]) (void)fprintf(to, "%*s", pad, "");
    term_put(to, r->cells[i].style, text);
    if (shorten) (void)fputs("\xe2\x80\xa6", to);
    if (!t->right[i] && i + 1 < r->count) (void)fprintf(to, "%*s", pad, "");
    if (i + 1 < r->count) (void)fprintf(to, "%*s", GAP, "");
}

void table_print(term_table *t, FILE *to) {
    if (to) fit(t, to);
    for (size_t i = 0; i < t->count; i++) {
        row *r = &t->rows[i];
        for (size_t k = 0; k < r->count; k++) {
            if (to) put_cell(t, r, k, to);
            free(r->cells[k].text);
        }
        if (to && (i || t->heading)) (void)fputc('\n', to);
    }
    free(t->rows);
    free(t);
}

/* ---- numbers ---- */

static char *scaled(double x, double base, const char *const *units, size_t count) {
    size_t i = 0;
    for (; i + 1 < count && fabs(x) >= base; i++) x /= base;
    /* 999.96 would print as "1000.0". */
    int digits = i == 0 ? 0 : fabs(x) < 9.995 ? 2 : fabs(x) < 99.95 ? 1 : 0;
    return cli_text("%.*f%s", digits, x, units[i]);
}

char *fmt_bytes(double bytes) {
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled(bytes, 1024, units, 5);
}

char *fmt_count(double n) {
    static const char *const units[] = {"", " K", " M", " G", " T"};
    return scaled(n, 1000, units, 5);
}

char *fmt_seconds(double s) {
    if (!isfinite(s) || s < 0) return cli_text("-");
    if (s < 1e-3) return cli_text("%.0f us", s * 1e6);
    if (s < 0.01) return cli_text("%.2f ms", s * 1e3);
    if (s < 0.9995) return cli_text("%.0f ms", s * 1e3);
    if (s < 59.95) return cli_text("%.*f s", s < 9.995 ? 2 : 1, s);
    unsigned long whole = (unsigned long)(s + 0.5);
    if (whole < 3600) return cli_text("%lu min %02lu s", whole / 60, whole % 60);
    return cli_text("%lu h %02lu min", whole / 3600, whole / 60 % 60);
}

char *fmt_number(double x) {
    if (isnan(x)) return cli_text("nan");
    if (isinf(x)) return cli_text(x > 0 ? "inf" : "-inf");
    return cli_text("%.4g", x);
}
