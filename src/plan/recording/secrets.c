// SPDX-License-Identifier: Apache-2.0
// Which words of a command line look like secrets. Better one too many: a recording is handed around.
#include "plan/recording/record.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "\xe2\x80\xa6" // …

// Words of an option's or a variable's name, between '-' and '_'.
static const char *const secret_words[] = {"password",   "passwd",      "pass",   "passphrase",
                                           "pwd",        "secret",      "token",  "auth",
                                           "credential", "credentials", "apikey", "bearer"};
// "key" alone is a dictionary's; behind one of these it opens something.
static const char *const key_words[] = {"api", "access", "secret", "private", "account", "signing"};
// How the keys of well-known services begin.
static const char *const prefixes[] = {"sk-", "ghp_",  "gho_",  "github_pat_", "glpat-",
                                       "hf_", "xoxb-", "xoxp-", "AKIA",        "Bearer "};

static bool is_one(const char *word, size_t n, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == n && !strncasecmp(word, list[i], n)) return true;
    return false;
}

static bool names_secret(const char *name, size_t len) {
    bool opens = false;
    for (size_t at = 0; at < len;) {
        size_t n = 0;
        while (at + n < len && isalnum((unsigned char)name[at + n])) n++;
        if (is_one(name + at, n, secret_words, sizeof secret_words / sizeof *secret_words)) return true;
        if (opens && n == 3 && !strncasecmp(name + at, "key", 3)) return true;
        opens = is_one(name + at, n, key_words, sizeof key_words / sizeof *key_words);
        at += n + 1;
    }
    return false;
}

// "https://user:word@host"
static bool has_login(const char *s) {
    const char *host = strstr(s, "://"), *at = host ? strchr(host, '@') : NULL;
    const char *colon = host ? strchr(host + 3, ':') : NULL;
    return at && colon && colon < at && !memchr(host + 3, '/', (size_t)(at - host - 3));
}

static bool is_key(const char *s) {
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (!strncmp(s, prefixes[i], n) && strlen(s) >= n + 12) return true;
    }
    return has_login(s);
}

json_t *ap_command_json(const char *const *argv, size_t count, bool *redacted) {
    json_t *all = json_array();
    bool next = false; // the value of the option before
    *redacted = false;
    for (size_t i = 0; i < count; i++) {
        const char *word = argv[i], *value = strchr(word, '=');
        size_t name = value ? (size_t)(value - word) : strlen(word);
        bool dash = word[0] == '-', hide = (next && !dash) || is_key(word);
        bool half = !hide && value && value[1] && (names_secret(word, name) || is_key(value + 1));
        next = dash && !value && names_secret(word, name);
        *redacted = *redacted || hide || half;
        if (hide)
            json_array_append_new(all, json_string(HIDDEN));
        else if (half)
            json_array_append_new(all, json_sprintf("%.*s=" HIDDEN, (int)name, word));
        else
            json_array_append_new(all, ap_json_string(word));
    }
    return all;
}
