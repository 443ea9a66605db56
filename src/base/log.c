// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

ap_log ap_log_silent(void) {
    return (ap_log){.level = AP_LOG_SILENT, .fd = -1, .started_us = ap_now_us()};
}

ap_log ap_log_stderr(ap_level level) {
    bool tty = isatty(STDERR_FILENO);
    // In a pipe only warnings, unless somebody asked for debug lines.
    if (!tty && level == AP_LOG_INFO) level = AP_LOG_WARN;
    return (ap_log){.level = level, .fd = STDERR_FILENO, .tty = tty, .started_us = ap_now_us()};
}

// One write per line, so that lines of several processes do not mix. Nobody can be told of a failure.
static void emit(const ap_log *l, const ap_buf *b) {
    size_t done = 0;
    while (done < b->len) {
        ssize_t n = write(l->fd, b->data + done, b->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += (size_t)n;
    }
}

// Adds what wipes the progress line. Blanks, not escape sequences: every terminal knows them.
static void wipe(ap_log *l, ap_buf *b) {
    if (!l->drawn_cols) return;
    ap_buf_putc(b, '\r');
    for (size_t i = 0; i < l->drawn_cols; i++) ap_buf_putc(b, ' ');
    ap_buf_putc(b, '\r');
    l->drawn_cols = 0;
}

void ap_log_line(ap_log *l, ap_level level, const char *fmt, ...) {
    if (!l || l->fd < 0 || level < l->level || level >= AP_LOG_SILENT) return;
    ap_buf b = {0};
    wipe(l, &b);
    size_t text_at = b.len;
    if (level == AP_LOG_DEBUG) {
        ap_buf_printf(&b, "debug: %.3fs ", (double)(ap_now_us() - l->started_us) / 1e6);
    } else if (level == AP_LOG_WARN) {
        ap_buf_puts(&b, "warning: ");
    } else if (level == AP_LOG_ERROR) {
        ap_buf_puts(&b, "error: ");
    }
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&b, fmt, args);
    va_end(args);
    ap_text_printable(b.data + text_at);
    ap_buf_putc(&b, '\n');
    emit(l, &b);
    ap_buf_free(&b);
}

// Columns of the terminal, less one: a full line wraps on some.
static size_t usable_cols(int fd) {
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) || w.ws_col < 2) return 79;
    return w.ws_col - 1u;
}

// Cuts text to `cols` characters and returns how many it has; a character is taken to be one column wide.
static size_t fit(char *text, size_t cols) {
    size_t n = 0;
    for (char *c = text; *c; c++) {
        if (*c == '\n' || *c == '\t') *c = ' ';
        if (((unsigned char)*c & 0xc0) == 0x80) continue;
        if (n == cols) {
            *c = 0;
            break;
        }
        n++;
    }
    return n;
}

void ap_log_progress(ap_log *l, size_t done, size_t total, const char *fmt, ...) {
    if (!l || l->fd < 0 || !l->tty || l->level > AP_LOG_INFO) return;
    ap_buf text = {0}, line = {0};
    if (total) ap_buf_printf(&text, "[%zu/%zu] ", done, total);
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    ap_text_printable(text.data);
    size_t cols = fit(text.data, usable_cols(l->fd));
    ap_buf_printf(&line, "\r%s", text.data);
    for (size_t i = cols; i < l->drawn_cols; i++) ap_buf_putc(&line, ' ');
    l->drawn_cols = cols > l->drawn_cols ? cols : l->drawn_cols;
    emit(l, &line);
    ap_buf_free(&line);
    ap_buf_free(&text);
}

void ap_log_progress_end(ap_log *l) {
    if (!l || l->fd < 0 || !l->drawn_cols) return;
    ap_buf b = {0};
    wipe(l, &b);
    emit(l, &b);
    ap_buf_free(&b);
}

// ---- nearest word ----

enum { WORD_MAX = 64 };

static char lower(char c) {
    return (char)tolower((unsigned char)c);
}

static size_t min3(size_t a, size_t b, size_t c) {
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

// Edits (insert, delete, replace, swap of neighbours) between two words of at most WORD_MAX bytes.
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++) last[j] = before[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            char ca = lower(a[i - 1]), cb = lower(b[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (ca != cb));
            bool swapped = i > 1 && j > 1 && ca == lower(b[j - 2]) && cb == lower(a[i - 2]);
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[nb];
}

const char *ap_nearest(const char *word, const char *const *candidates, size_t count) {
    size_t len = word ? strlen(word) : 0;
    if (!len || len > WORD_MAX) return NULL;
    const char *best = NULL;
    size_t best_distance = 1 + len / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t n = candidates[i] ? strlen(candidates[i]) : 0;
        if (!n || n > WORD_MAX) continue;
        size_t d = edit_distance(word, len, candidates[i], n);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}
