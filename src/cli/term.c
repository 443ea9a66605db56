/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* One program, one terminal: this is the only state of the room. Log and progress callbacks come one at a
 * time. */
static struct {
    bool colour_out, colour_err;
    bool progress; /* stderr is a terminal and nobody asked for quiet */
    bool quiet;
    unsigned verbose;
    volatile sig_atomic_t drawn; /* a progress line is on the screen */
    struct timespec started;
    char *said[64]; /* warnings already printed */
    size_t said_count;
} term;

static bool wants_colour(const char *when, int fd) {
    if (when && strcmp(when, "always") == 0) return true;
    if (when && strcmp(when, "never") == 0) return false;
    const char *no = getenv("NO_COLOR"), *kind = getenv("TERM");
    if (no && *no) return false;
    return isatty(fd) && !(kind && strcmp(kind, "dumb") == 0);
}

/* Ctrl-C in the middle of a progress line: leave a clean line behind, then die of the signal as shells
 * expect. */
static void on_interrupt(int number) {
    if (term.drawn) {
        ssize_t ignored = write(STDERR_FILENO, "\r\033[K", 4);
        (void)ignored;
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

void term_init(const cli_common *common) {
    const char *kind = getenv("TERM");
    term.colour_out = wants_colour(common->color, STDOUT_FILENO);
    term.colour_err = wants_colour(common->color, STDERR_FILENO);
    term.quiet = common->quiet;
    term.verbose = common->verbose;
    bool dumb = kind && strcmp(kind, "dumb") == 0;
    term.progress = !common->quiet && isatty(STDERR_FILENO) && !dumb;
    (void)clock_gettime(CLOCK_MONOTONIC, &term.started);
    if (term.progress) {
        (void)signal(SIGINT, on_interrupt);
        (void)signal(SIGTERM, on_interrupt);
    }
}

static unsigned columns(int fd) {
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    return 80;
}

/* ---- text ---- */

/* Decodes one UTF-8 character; broken or overlong bytes give 0xfffd and length 1. */
static uint32_t utf8_next(const char *s, size_t *len) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
    *len = 1;
    if (n == 1) return c;
    if (n == 0) return 0xfffd;
    uint32_t code = c & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s[i];
        if ((next & 0xc0) != 0x80) return 0xfffd;
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0xfffd;
    *len = n;
    return code;
}

static bool is_wide(uint32_t c) {
    static const uint32_t ranges[][2] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                         {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                         {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return false;
}

static bool is_combining(uint32_t c) {
    return (c >= 0x300 && c < 0x370) || (c >= 0x20d0 && c < 0x2100);
}

/* Control characters, and the marks that turn the writing direction round. */
static bool is_unsafe(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

size_t term_width(const char *text) {
    size_t width = 0, len;
    for (; *text; text += len) {
        uint32_t c = utf8_next(text, &len);
        width += is_combining(c) ? 0 : is_wide(c) ? 2 : 1;
    }
    return width;
}

char *term_clean(const char *text, bool lines) {
    char *clean = cli_zalloc(strlen(text) + 1, 1), *to = clean;
    size_t len;
    for (; *text; text += len) {
        uint32_t c = utf8_next(text, &len);
        bool keep = !is_unsafe(c) || (lines && c == '\n');
        if (!keep) *to++ = c == '\t' ? ' ' : '?';
        for (size_t i = 0; keep && i < len; i++) *to++ = text[i];
    }
    return clean;
}

void term_put(FILE *to, cli_style style, const char *text) {
    static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    bool colour = style != CLI_PLAIN && (to == stderr ? term.colour_err : term.colour_out);
    char *clean = term_clean(text, true);
    /* The colour ends before the line does, or it would leak into a prompt. */
    size_t len = strlen(clean);
    bool newline = len && clean[len - 1] == '\n';
    if (newline) clean[len - 1] = 0;
    (void)fprintf(to, "%s%s%s%s", colour ? codes[style] : "", clean, colour ? "\033[0m" : "",
                  newline ? "\n" : "");
    free(clean);
}

void term_line(cli_style style, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *text = cli_text_from(fmt, args);
    va_end(args);
    char *line = term_clean(text, false);
    term_put(stdout, style, line);
    (void)fputc('\n', stdout);
    free(line);
    free(text);
}

/* ---- progress ---- */

void term_progress_end(void) {
    if (!term.drawn) return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    term.drawn = 0;
}

void term_progress(void *user, size_t done, size_t total, const char *text) {
    (void)user;
    if (!term.progress || !text) return;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    double s =
        (double)(now.tv_sec - term.started.tv_sec) + (double)(now.tv_nsec - term.started.tv_nsec) / 1e9;
    char *clean = term_clean(text, false);
    char *line =
        total ? cli_text("[%zu/%zu] %5.1f s  %s", done, total, s, clean) : cli_text("%5.1f s  %s", s, clean);
    /* One column stays free, or the cursor would wrap and the line could not be wiped. */
    size_t limit = columns(STDERR_FILENO) - 1, width = 0, len, at = 0;
    for (; line[at]; at += len) {
        uint32_t c = utf8_next(line + at, &len);
        width += is_wide(c) ? 2 : 1;
        if (width > limit) break;
    }
    (void)fprintf(stderr, "\r%.*s\033[K", (int)at, line);
    (void)fflush(stderr);
    term.drawn = 1;
    free(line);
    free(clean);
}

/* ---- talk ---- */

static void say(cli_style style, const char *kind, const char *text) {
    term_progress_end(); /* the next progress call draws again */
    term_put(stderr, CLI_BOLD, "aipc: ");
    if (*kind) term_put(stderr, style, kind);
    char *line = term_clean(text, false); /* one line: a name with a newline must not forge another */
    term_put(stderr, CLI_PLAIN, line);
    (void)fputc('\n', stderr);
    free(line);
}

void term_warn(const char *text) {
    if (term.quiet) return;
    for (size_t i = 0; i < term.said_count; i++)
        if (strcmp(term.said[i], text) == 0) return;
    if (term.said_count < sizeof term.said / sizeof *term.said)
        term.said[term.said_count++] = cli_text("%s", text);
    say(CLI_YELLOW, "warning: ", text);
}

void term_log(void *user, aipc_level level, const char *text) {
    (void)user;
    if (level == AIPC_WARN) {
        term_warn(text);
        return;
    }
    unsigned needed = level == AIPC_INFO ? 1 : 2;
    if (!term.quiet && term.verbose >= needed) say(CLI_PLAIN, "", text);
}

void term_error_text(const char *message) {
    say(CLI_RED, "error: ", message);
}

/* "  next: text", further lines under the first. */
static void put_labelled(cli_style style, const char *label, const char *text) {
    size_t indent = strlen(label);
    term_put(stderr, style, label);
    while (*text) {
        size_t len = strcspn(text, "\n");
        char *line = cli_text("%.*s", (int)len, text);
        term_put(stderr, CLI_PLAIN, line);
        free(line);
        text += len;
        if (*text == '\n') text++;
        (void)fprintf(stderr, "\n%*s", *text ? (int)indent : 0, "");
    }
}

void term_error(const aipc_error *e) {
    term_error_text(aipc_error_message(e));
    const char *stage = aipc_error_stage(e), *subject = aipc_error_subject(e), *hint = aipc_error_hint(e);
    if (stage || subject) {
        const char *slash = stage && subject ? "/" : "";
        char *where = cli_text("%s%s%s", stage ? stage : "", slash, subject ? subject : "");
        put_labelled(CLI_DIM, "  where: ", where);
        free(where);
    }
    for (size_t i = 0; i < aipc_error_note_count(e); i++)
        put_labelled(CLI_DIM, "    ", aipc_error_note(e, i));
    if (hint) put_labelled(CLI_GREEN, "  next: ", hint);
}

/* ---- documents ---- */

void term_document(cli_env *env, const char *document) {
    size_t len = strlen(document);
    (void)fwrite(document, 1, len, stdout);
    if (len == 0 || document[len - 1] != '\n') (void)fputc('\n', stdout);
    env->document_printed = true;
}

void term_document_json(cli_env *env, const json_t *document) {
    char *text = json_dumps(document, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    term_document(env, text ? text : "{}");
    free(text);
}

void term_error_document(const aipc_error *e) {
    char *text = aipc_error_document(e);
    json_t *inner = text ? json_loads(text, 0, NULL) : NULL;
    aipc_free(text);
    if (!inner) inner = json_pack("{s:s?}", "message", aipc_error_message(e));
    json_t *whole = json_object_get(inner, "error") ? json_incref(inner) : json_pack("{s:O}", "error", inner);
    char *shown = whole ? json_dumps(whole, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
    (void)printf("%s\n", shown ? shown : "{\"error\": {}}");
    free(shown);
    json_decref(whole);
    json_decref(inner);
}
