/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cli_option cli_common_options[] = {
    {.name = "json",
     .kind = CLI_FLAG,
     .offset = offsetof(cli_common, json),
     .help = "print one JSON document"},
    {.name = "quiet",
     .letter = 'q',
     .kind = CLI_FLAG,
     .offset = offsetof(cli_common, quiet),
     .help = "no progress and no warnings on stderr, only errors"},
    {.name = "verbose",
     .letter = 'v',
     .kind = CLI_COUNT,
     .offset = offsetof(cli_common, verbose),
     .help = "say more on stderr; twice: say all"},
    {.name = "color",
     .kind = CLI_TEXT,
     .offset = offsetof(cli_common, color),
     .arg = "WHEN",
     .choices = "auto always never",
     .help = "colour the output; auto does on a terminal unless NO_COLOR is set"},
    {.name = "help",
     .letter = 'h',
     .kind = CLI_FLAG,
     .offset = offsetof(cli_common, help),
     .help = "show the help of the command"},
    {0},
};

/* Only in front of the command, so no command lists it. */
static const cli_option version_option = {
    .name = "version", .letter = 'V', .kind = CLI_FLAG, .offset = offsetof(cli_common, version)};

void *cli_zalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) {
        (void)fputs("aipc: error: out of memory\n", stderr);
        exit(CLI_EXIT_MEMORY);
    }
    return p;
}

char *cli_text_from(const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *s = cli_zalloc(len < 0 ? 1 : (size_t)len + 1, 1);
    if (len > 0) (void)vsnprintf(s, (size_t)len + 1, fmt, again);
    va_end(again);
    return s;
}

char *cli_text(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *s = cli_text_from(fmt, args);
    va_end(args);
    return s;
}

aipc_error *cli_usage(const char *hint, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *message = cli_text_from(fmt, args);
    va_end(args);
    aipc_error *e = aipc_error_usage(message, hint);
    free(message);
    return e;
}

/* ---- words ---- */

void cli_choice_each(const char *choices, void (*each)(void *user, const char *word), void *user) {
    for (const char *s = choices; s && *s;) {
        size_t len = strcspn(s, " ");
        char word[64];
        (void)snprintf(word, sizeof word, "%.*s", (int)len, s);
        if (len) each(user, word);
        s += len;
        s += strspn(s, " ");
    }
}

bool cli_choice_has(const char *choices, const char *word) {
    size_t len = strlen(word);
    for (const char *s = choices; s && *s;) {
        size_t n = strcspn(s, " ");
        if (n == len && n && strncmp(s, word, n) == 0) return true;
        s += n;
        s += strspn(s, " ");
    }
    return false;
}

/* Letters to change, insert, drop or swap with the neighbour; words beyond 63 letters are never near. */
static size_t edit_distance(const char *a, const char *b) {
    enum { MAX = 64 };
    size_t la = strlen(a), lb = strlen(b), d[3][MAX];
    if (la >= MAX || lb >= MAX) return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++) d[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *row = d[i % 3], *above = d[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[(i - 2) % 3][j - 2] + 1 < best) best = d[(i - 2) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return d[la % 3][lb];
}

void cli_nearest_offer(cli_nearest *n, const char *candidate) {
    size_t distance = edit_distance(n->word, candidate);
    /* A whole word typed short ("prec" for "precision") is near however much is missing. */
    size_t typed = strlen(n->word);
    if (typed >= 3 && strncmp(n->word, candidate, typed) == 0) distance = 1;
    if (distance > 1 + typed / 3) return;
    if (!n->best || distance < n->distance) {
        n->best = candidate;
        n->distance = distance;
    }
}

/* ---- storing one value ---- */

typedef struct parser {
    const cli_parse *p;
    int argc;
    char **argv;
    int at;
    size_t positional; /* arguments seen */
} parser;

static char *where_text(const cli_parse *p) {
    return p->command ? cli_text("aipc %s", p->command) : cli_text("aipc");
}

static aipc_error *parse_number(const char *label, const char *value, uint64_t min, uint64_t max,
                                uint64_t *out) {
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end)
        return cli_usage(NULL, "%s wants a whole number, not '%s'", label, value);
    if (errno == ERANGE || n < min || n > max)
        return cli_usage(NULL, "%s must be between %llu and %llu, not %s", label, (unsigned long long)min,
                         (unsigned long long)max, value);
    *out = n;
    return NULL;
}

static void list_add(cli_list *list, const char *value, int capacity) {
    if (!list->items) list->items = cli_zalloc((size_t)capacity, sizeof *list->items);
    list->items[list->count++] = value;
}

static void choice_join(void *user, const char *word) {
    char **list = user;
    char *longer = **list ? cli_text("%s, %s", *list, word) : cli_text("%s", word);
    free(*list);
    *list = longer;
}

static aipc_error *check_choice(const char *label, const char *choices, const char *value) {
    if (!choices || cli_choice_has(choices, value)) return NULL;
    char *list = cli_text("%s", "");
    cli_choice_each(choices, choice_join, &list);
    aipc_error *e = cli_usage(NULL, "%s must be one of %s; '%s' is none of them", label, list, value);
    free(list);
    return e;
}

static aipc_error *store(parser *s, const cli_option *o, void *base, const char *label, const char *value) {
    char *field = (char *)base + o->offset;
    aipc_error *e = value ? check_choice(label, o->choices, value) : NULL;
    if (e) return e;
    uint64_t number = 0;
    switch (o->kind) {
    case CLI_FLAG: *(bool *)(void *)field = true; break;
    case CLI_COUNT: ++*(unsigned *)(void *)field; break;
    case CLI_TEXT: *(const char **)(void *)field = value; break;
    case CLI_PAIRS:
        if (value[0] == '=' || !strchr(value, '=') || !strchr(value, '=')[1])
            return cli_usage(NULL, "%s wants %s, not '%s'", label, o->arg, value);
        /* fallthrough */
    case CLI_LIST: list_add((cli_list *)(void *)field, value, s->argc); break;
    case CLI_UINT:
        e = parse_number(label, value, o->min, o->max ? o->max : UINT_MAX, &number);
        if (!e) *(unsigned *)(void *)field = (unsigned)number;
        break;
    case CLI_U64:
        e = parse_number(label, value, 0, UINT64_MAX, &number);
        if (!e) *(cli_u64 *)(void *)field = (cli_u64){number, true};
        break;
    }
    return e;
}

/* ---- finding an option ---- */

static bool same_name(const cli_option *o, const char *name, size_t len) {
    return strlen(o->name) == len && strncmp(o->name, name, len) == 0;
}

/* Looks in the command's table, then in the common one. `base` gets the struct the value goes to. */
static const cli_option *find_option(const cli_parse *p, const char *name, size_t len, char letter,
                                     void **base) {
    for (const cli_option *o = p->options; o && o->name; o++) {
        *base = p->values;
        if (letter ? o->letter == letter : same_name(o, name, len)) return o;
    }
    *base = p->common;
    for (const cli_option *o = cli_common_options; o->name; o++)
        if (letter ? o->letter == letter : same_name(o, name, len)) return o;
    const cli_option *o = &version_option;
    if (!p->command && (letter ? o->letter == letter : same_name(o, name, len))) return o;
    return NULL;
}

static aipc_error *unknown_option(const cli_parse *p, const char *word, const char *name) {
    cli_nearest near = {.word = name};
    if (name) {
        for (const cli_option *o = p->options; o && o->name; o++) cli_nearest_offer(&near, o->name);
        for (const cli_option *o = cli_common_options; o->name; o++) cli_nearest_offer(&near, o->name);
        if (!p->command) cli_nearest_offer(&near, "version");
    }
    char *where = where_text(p);
    char *hint = near.best ? cli_text("did you mean '--%s'? '%s --help' lists the options", near.best, where)
                           : cli_text("'%s --help' lists the options", where);
    aipc_error *e = cli_usage(hint, "unknown option '%s' of '%s'", word, where);
    free(hint);
    free(where);
    return e;
}

static bool is_flag(const cli_option *o) {
    return o->kind == CLI_FLAG || o->kind == CLI_COUNT;
}

static aipc_error *missing_value(const cli_option *o, const char *label) {
    return cli_usage(NULL, "%s needs a value: %s %s", label, label, o->arg);
}

static aipc_error *parse_long(parser *s, const char *word) {
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    void *base;
    const cli_option *o = find_option(s->p, name, len, 0, &base);
    if (!o) {
        char *label = cli_text("%.*s", (int)len, name);
        char *shown = cli_text("--%s", label);
        aipc_error *e = unknown_option(s->p, shown, label);
        free(shown);
        free(label);
        return e;
    }
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    char *label = cli_text("--%s", o->name);
    aipc_error *e = NULL;
    if (is_flag(o) && value) e = cli_usage(NULL, "%s takes no value", label);
    if (!is_flag(o) && !value) {
        if (s->at < s->argc)
            value = s->argv[s->at++];
        else
            e = missing_value(o, label);
    }
    if (!e) e = store(s, o, base, label, value);
    free(label);
    return e;
}

/* "-qv", "-o DIR", "-oDIR". */
static aipc_error *parse_short(parser *s, const char *word) {
    for (const char *c = word + 1; *c; c++) {
        char label[3] = {'-', *c, 0};
        void *base;
        const cli_option *o = find_option(s->p, NULL, 0, *c, &base);
        if (!o) return unknown_option(s->p, (unsigned char)*c < 0x80 ? label : word, NULL);
        const char *value = NULL;
        if (!is_flag(o)) {
            value = c[1] ? c + 1 : s->at < s->argc ? s->argv[s->at++] : NULL;
            if (!value) return missing_value(o, label);
        }
        aipc_error *e = store(s, o, base, label, value);
        if (e) return e;
        if (value) break;
    }
    return NULL;
}

/* ---- positional arguments ---- */

static aipc_error *parse_positional(parser *s, const char *word) {
    const cli_argument *a = s->p->arguments;
    size_t i = 0;
    for (; a && a[i].name && !a[i].list && i < s->positional; i++) {
    }
    if (!a || !a[i].name) {
        char *where = where_text(s->p);
        char *hint = cli_text("'%s --help' shows the usage", where);
        aipc_error *e = cli_usage(hint, "unexpected argument '%s' of '%s'", word, where);
        free(hint);
        free(where);
        return e;
    }
    aipc_error *e = check_choice(a[i].name, a[i].choices, word);
    if (e) return e;
    char *field = (char *)s->p->values + a[i].offset;
    if (a[i].list)
        list_add((cli_list *)(void *)field, word, s->argc);
    else
        *(const char **)(void *)field = word;
    s->positional++;
    return NULL;
}

static aipc_error *check_required(const parser *s) {
    const cli_argument *a = s->p->arguments;
    for (size_t i = 0; a && a[i].name; i++) {
        if (!a[i].required || i < s->positional) continue;
        char *where = where_text(s->p);
        char *hint = cli_text("'%s --help' shows the usage", where);
        aipc_error *e = cli_usage(hint, "'%s' needs %s: %s", where, a[i].name, a[i].help);
        free(hint);
        free(where);
        return e;
    }
    return NULL;
}

aipc_error *cli_parse_words(const cli_parse *p, int argc, char **argv, int *used) {
    parser s = {.p = p, .argc = argc, .argv = argv};
    aipc_error *e = NULL;
    bool only_arguments = false;
    while (!e && s.at < argc) {
        const char *word = argv[s.at];
        bool option = !only_arguments && word[0] == '-' && word[1];
        if (!option && !p->command) break;
        s.at++;
        if (!option)
            e = parse_positional(&s, word);
        else if (strcmp(word, "--") == 0)
            only_arguments = true;
        else if (word[1] == '-')
            e = parse_long(&s, word);
        else
            e = parse_short(&s, word);
    }
    if (used) *used = s.at;
    if (!e && p->command && !p->common->help) e = check_required(&s);
    return e;
}

void cli_parse_release(const cli_parse *p) {
    for (const cli_option *o = p->options; o && o->name; o++) {
        if (o->kind != CLI_LIST && o->kind != CLI_PAIRS) continue;
        cli_list *list = (cli_list *)(void *)((char *)p->values + o->offset);
        free((void *)list->items);
        *list = (cli_list){0};
    }
    for (const cli_argument *a = p->arguments; a && a->name; a++) {
        if (!a->list) continue;
        cli_list *list = (cli_list *)(void *)((char *)p->values + a->offset);
        free((void *)list->items);
        *list = (cli_list){0};
    }
}
