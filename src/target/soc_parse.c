// SPDX-License-Identifier: Apache-2.0
// Target texts: what a user writes, and what to suggest when it is wrong.
#include "target/soc.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_CHARS = 48, // longer names are no SoC
    SHOWN_CHARS = 64     // of a wrong text in a message
};

static const char HOW[] = "name a SoC as in htp:sm8650 or htp:soc_model=57; `aipc targets` lists them";

// Lower case without '-', '_' and ' '. False when it does not fit: then it is no name of ours.
static bool simplify(const char *text, char out[NAME_MAX_CHARS + 1]) {
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '-' || *text == '_' || *text == ' ') continue;
        if (n == NAME_MAX_CHARS) return false;
        out[n++] = (char)tolower((unsigned char)*text);
    }
    out[n] = 0;
    return true;
}

static bool is_name_of(const ap_soc *s, const char *simple) {
    char name[NAME_MAX_CHARS + 1];
    if (!strcmp(s->id, simple)) return true;
    for (size_t i = 0; i < s->alias_count; i++) {
        if (simplify(s->aliases[i], name) && !strcmp(name, simple)) return true;
    }
    return false;
}

// "57" or "socmodel=57" (already simplified); -1 when it is no number.
static int64_t model_number(const char *simple) {
    if (!strncmp(simple, "socmodel=", 9)) simple += 9;
    size_t n = strspn(simple, "0123456789");
    return n && n < 10 && !simple[n] ? strtoll(simple, NULL, 10) : -1;
}

const ap_soc *ap_soc_find(const char *text) {
    char simple[NAME_MAX_CHARS + 1];
    if (!text || !simplify(text, simple) || !simple[0]) return NULL;
    size_t n = ap_soc_count();
    for (size_t i = 0; i < n; i++) {
        if (is_name_of(ap_soc_at(i), simple)) return ap_soc_at(i);
    }
    return ap_soc_by_model(model_number(simple));
}

// The SoC with the name nearest to a wrong one. Numbers have no near ones.
static const ap_soc *nearest_soc(const char *simple) {
    if (!simple[0] || model_number(simple) >= 0) return NULL;
    size_t n = ap_soc_count(), count = 0, used = 0;
    for (size_t i = 0; i < n; i++) count += 1 + ap_soc_at(i)->alias_count;
    const char **words = ap_calloc(count + 1, sizeof *words);
    for (size_t i = 0; i < n; i++) {
        const ap_soc *s = ap_soc_at(i);
        words[used++] = s->id;
        for (size_t j = 0; j < s->alias_count; j++) words[used++] = s->aliases[j];
    }
    const char *best = ap_nearest(simple, words, used);
    free(words);
    return best ? ap_soc_find(best) : NULL;
}

// A piece of a wrong text that is safe to show.
static const char *shown(const char *text, char out[SHOWN_CHARS + 4]) {
    size_t len = strlen(text);
    size_t n = ap_text_cut(text, len, SHOWN_CHARS);
    memcpy(out, text, n);
    strcpy(out + n, n < len ? "..." : "");
    ap_text_utf8(out, strlen(out));
    ap_text_printable(out);
    return out;
}

static ap_err unknown_soc(const char *name) {
    char simple[NAME_MAX_CHARS + 1] = "", show[SHOWN_CHARS + 4];
    const ap_soc *near = simplify(name, simple) ? nearest_soc(simple) : NULL;
    ap_err e = ap_err_new(AP_ERR_SOC_UNKNOWN, "unknown SoC '%s'", shown(name, show));
    if (near) return ap_err_hint(e, "did you mean htp:%s (%s)? see `aipc targets`", near->id, near->product);
    return ap_err_hint(e, "%s", HOW);
}

static ap_err unknown_target(const char *text) {
    char simple[NAME_MAX_CHARS + 1] = "", show[SHOWN_CHARS + 4];
    static const char *const kinds[] = {"cpu", "htp"};
    ap_err e = ap_err_new(AP_ERR_TARGET_UNKNOWN, "unknown target '%s'", shown(text, show));
    const ap_soc *soc = ap_soc_find(text);
    if (!soc && simplify(text, simple) && !strchr(simple, ':') && strlen(simple) > 3)
        soc = nearest_soc(simple);
    if (soc) return ap_err_hint(e, "did you mean htp:%s? see `aipc targets`", soc->id);
    const char *colon = strchr(simple, ':');
    if (colon) simple[colon - simple] = 0;
    const char *kind = ap_nearest(simple, kinds, 2);
    if (kind && !strcmp(kind, "cpu") && !colon) return ap_err_hint(e, "did you mean cpu?");
    if (kind && !strcmp(kind, "htp") && colon) return ap_err_hint(e, "did you mean htp:SOC? %s", HOW);
    return ap_err_hint(e, "targets are cpu and htp:SOC; %s", HOW);
}

static void set_id(ap_target_id *id, const char *kind, const ap_soc *soc) {
    *id = (ap_target_id){.soc = soc};
    snprintf(id->kind, sizeof id->kind, "%s", kind);
    snprintf(id->text, sizeof id->text, soc ? "%s:%s" : "%s", kind, soc ? soc->id : "");
    snprintf(id->folder, sizeof id->folder, soc ? "%s-%s" : "%s", kind, soc ? soc->id : "");
}

ap_err ap_target_parse(const char *text, ap_target_id *out) {
    char simple[NAME_MAX_CHARS + 1] = "";
    if (!text) text = "";
    if (!ap_soc_count()) return ap_err_new(AP_ERR_INTERNAL, "the SoC table of this build cannot be read");
    bool fits = simplify(text, simple);
    if (fits && !strcmp(simple, "cpu")) {
        set_id(out, "cpu", NULL);
        return NULL;
    }
    if (fits && (!strcmp(simple, "htp") || !strcmp(simple, "htp:"))) {
        return ap_err_hint(ap_err_new(AP_ERR_TARGET_UNKNOWN, "target 'htp' does not say which SoC"), "%s",
                           HOW);
    }
    if (strncmp(simple, "htp:", 4) != 0) return unknown_target(text);
    const char *name = strchr(text, ':') + 1;
    const ap_soc *soc = fits ? ap_soc_find(name) : NULL;
    if (!soc) return unknown_soc(name);
    set_id(out, "htp", soc);
    return NULL;
}
