// SPDX-License-Identifier: Apache-2.0
// Words of a rule file, and what the parser asks about the next one.
#include "surgery/rule/rule_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct lexer {
    parser *p;
    const char *s;
    size_t len, i, line_start, cap;
    uint32_t line;
} lexer;

static ap_pos here(const lexer *l) {
    return (ap_pos){l->line, (uint32_t)(l->i - l->line_start + 1)};
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static void skip_blanks(lexer *l) {
    for (; l->i < l->len; l->i++) {
        char c = l->s[l->i];
        if (c == '#') {
            while (l->i + 1 < l->len && l->s[l->i + 1] != '\n') l->i++;
        } else if (c == '\n') {
            l->line++;
            l->line_start = l->i + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static bool lex_number(lexer *l, token *t) {
    size_t i = l->i;
    bool real = false;
    while (i < l->len && is_digit(l->s[i])) i++;
    if (i + 1 < l->len && l->s[i] == '.' && is_digit(l->s[i + 1])) { // not the first dot of ".."
        real = true;
        for (i++; i < l->len && is_digit(l->s[i]);) i++;
    }
    if (i < l->len && (l->s[i] == 'e' || l->s[i] == 'E')) {
        size_t k = i + 1;
        if (k < l->len && (l->s[k] == '-' || l->s[k] == '+')) k++;
        if (k < l->len && is_digit(l->s[k])) {
            real = true;
            for (i = k; i < l->len && is_digit(l->s[i]);) i++;
        }
    }
    char *text = ap_arena_strndup(l->p->a, l->s + l->i, i - l->i);
    errno = 0;
    t->kind = real ? TOK_REAL : TOK_INT;
    t->text = text;
    if (real)
        t->f = strtod(text, NULL);
    else
        t->i = strtoll(text, NULL, 10);
    if (errno == ERANGE && !(real && t->f < 1))
        return fail_at(l->p, t->pos, "the number %.40s is too large", text);
    if (!real) t->f = (double)t->i;
    if (i < l->len && is_letter(l->s[i]))
        return fail_at(l->p, t->pos, "expected a number, found '%.*s'", (int)(i - l->i + 1), l->s + l->i);
    l->i = i;
    return true;
}

static bool lex_text(lexer *l, token *t) {
    size_t from = ++l->i;
    while (l->i < l->len && l->s[l->i] != '"' && l->s[l->i] != '\n') l->i++;
    if (l->i >= l->len || l->s[l->i] != '"')
        return fail_at(l->p, t->pos, "expected a closing \", found the line's end");
    t->kind = TOK_TEXT;
    t->text = ap_arena_strndup(l->p->a, l->s + from, l->i - from);
    l->i++;
    return true;
}

static bool lex_mark(lexer *l, token *t) {
    static const char *const marks[] = {"...", "..", "::", "==", "!=", "<=", ">=", "{", "}", "(",
                                        ")",   "[",  "]",  ",",  ";",  ":",  "=",  "<", ">", "+",
                                        "-",   "*",  "/",  "%",  "?",  "|",  "!",  "@", ".", NULL};
    for (size_t k = 0; marks[k]; k++) {
        size_t n = strlen(marks[k]);
        if (l->len - l->i < n || memcmp(l->s + l->i, marks[k], n) != 0) continue;
        t->kind = TOK_MARK;
        t->text = marks[k];
        l->i += n;
        return true;
    }
    unsigned char c = (unsigned char)l->s[l->i];
    if (c > 32 && c < 127) return fail_at(l->p, t->pos, "the character '%c' has no meaning here", c);
    return fail_at(l->p, t->pos, "the byte 0x%02x has no meaning here", c);
}

static bool lex_one(lexer *l, token *t) {
    char c = l->s[l->i];
    if (is_digit(c)) return lex_number(l, t);
    if (c == '"') return lex_text(l, t);
    if (!is_letter(c)) return lex_mark(l, t);
    size_t from = l->i;
    while (l->i < l->len && (is_letter(l->s[l->i]) || is_digit(l->s[l->i]))) l->i++;
    t->kind = TOK_NAME;
    t->text = ap_arena_strndup(l->p->a, l->s + from, l->i - from);
    return true;
}

static token *next_slot(lexer *l) {
    parser *p = l->p;
    if (p->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        p->toks = ap_realloc(p->toks, l->cap * sizeof *p->toks);
    }
    token *t = &p->toks[p->count++];
    *t = (token){.pos = here(l), .from = l->i, .to = l->i, .text = ""};
    return t;
}

bool lex_source(parser *p, size_t len) {
    lexer l = {.p = p, .s = p->src, .len = len, .line = 1};
    for (;;) {
        skip_blanks(&l);
        token *t = next_slot(&l);
        if (l.i >= len) return true;
        if (!lex_one(&l, t)) {
            t->kind = TOK_END;
            return false;
        }
        t->to = l.i;
    }
}

// ---- the parser's view

const token *ahead(parser *p, size_t n) {
    size_t i = p->at + n;
    return &p->toks[i < p->count ? i : p->count - 1];
}

const token *peek(parser *p) {
    const token *t = ahead(p, 0);
    if (t->kind != TOK_NAME) return t;
    for (size_t i = 0; i < p->choice_count; i++) {
        if (strcmp(p->choices[i].name, t->text) != 0) continue;
        p->replaced = p->choices[i].value;
        p->replaced.pos = t->pos;
        p->replaced.from = t->from;
        p->replaced.to = t->to;
        return &p->replaced;
    }
    return t;
}

void advance(parser *p) {
    if (p->at + 1 < p->count) p->at++;
}

bool is_mark(parser *p, const char *mark) {
    const token *t = peek(p);
    return t->kind == TOK_MARK && !strcmp(t->text, mark);
}

bool take_mark(parser *p, const char *mark) {
    if (p->failed || !is_mark(p, mark)) return false;
    advance(p);
    return true;
}

bool is_word(parser *p, const char *word) {
    const token *t = peek(p);
    return t->kind == TOK_NAME && !strcmp(t->text, word);
}

bool fail_at(parser *p, ap_pos pos, const char *fmt, ...) {
    if (p->failed) return false;
    p->failed = true;
    p->error_pos = pos;
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->error, sizeof p->error, fmt, args);
    va_end(args);
    return false;
}

bool fail_here(parser *p, const char *expected) {
    const token *t = peek(p);
    switch (t->kind) {
    case TOK_END: return fail_at(p, t->pos, "expected %s, found the end of the file", expected);
    case TOK_TEXT: return fail_at(p, t->pos, "expected %s, found the text \"%.60s\"", expected, t->text);
    default: return fail_at(p, t->pos, "expected %s, found '%.60s'", expected, t->text);
    }
}

bool want_mark(parser *p, const char *mark) {
    if (p->failed) return false;
    if (take_mark(p, mark)) return true;
    char text[16];
    snprintf(text, sizeof text, "'%s'", mark);
    return fail_here(p, text);
}

const char *want_name(parser *p, const char *what) {
    if (p->failed) return NULL;
    const token *t = peek(p);
    if (t->kind != TOK_NAME) {
        fail_here(p, what);
        return NULL;
    }
    const char *name = t->text;
    advance(p);
    return name;
}

bool enter(parser *p) {
    if (++p->depth <= AP_RULE_MAX_DEPTH) return true;
    return fail_at(p, peek(p)->pos, "nested deeper than %d levels", (int)AP_RULE_MAX_DEPTH);
}
