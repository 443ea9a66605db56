// SPDX-License-Identifier: Apache-2.0
// The table with other numbers and other shapes: what a probe says should not hang on the one shape somebody
// wrote down. Sizes grow (indices stay in range), the same size the same way everywhere in a variant, so that
// what has to agree goes on agreeing. What shapes an operator takes is not known here: the oracle says so,
// and a variant it cannot run is changed less, in the end not at all.
#include "base/rand.h"
#include "surgery/probe/probe_priv.h"

#include <stdlib.h>
#include <string.h>

// How a variant is changed, the boldest first.
enum { ALL, ALL_EVENLY, LARGEST, SECOND, THIRD, NONE, ATTEMPTS };
enum { MOST_SIZES = 64 };

typedef struct sizes {
    int64_t list[MOST_SIZES], to[MOST_SIZES]; // distinct, the largest first
    size_t count;
} sizes;

// ---- which sizes there are

static void note_size(sizes *s, int64_t d) {
    size_t at = 0;
    while (at < s->count && s->list[at] > d) at++;
    if (d < 2 || s->count == MOST_SIZES || (at < s->count && s->list[at] == d)) return;
    memmove(&s->list[at + 1], &s->list[at], (s->count - at) * sizeof *s->list);
    s->list[at] = d;
    s->count++;
}

static void each_dims(json_t *j, void (*visit)(void *user, json_t *dims), void *user) {
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(j)) json_array_foreach(j, i, value) each_dims(value, visit, user);
    json_object_foreach(j, key, value) {
        if (!strcmp(key, "dims"))
            visit(user, value);
        else
            each_dims(value, visit, user);
    }
}

static void note_dims(void *user, json_t *dims) {
    size_t i;
    json_t *d;
    json_array_foreach(dims, i, d) note_size(user, json_integer_value(d));
}

// ---- what becomes of them

static int64_t grown(int64_t d, uint64_t h, bool evenly) {
    int64_t step = 1, most = d / 2 > 1 ? d / 2 : 1;
    while (evenly && step < 4 && d % (2 * step) == 0) step *= 2; // what is split in groups stays so
    return d + step * (1 + (int64_t)(h % (uint64_t)most) / step);
}

static void choose(sizes *s, uint64_t seed, unsigned attempt) {
    for (size_t i = 0; i < s->count; i++) {
        bool all = attempt == ALL || attempt == ALL_EVENLY;
        bool changes = all || (attempt < NONE && i == attempt - LARGEST);
        uint64_t h = ap_mix64(seed ^ ap_mix64((uint64_t)s->list[i] + 97 * attempt));
        s->to[i] = changes ? grown(s->list[i], h, attempt == ALL_EVENLY) : s->list[i];
    }
}

static void change_dims(void *user, json_t *dims) {
    const sizes *s = user;
    for (size_t i = 0; i < json_array_size(dims); i++)
        for (size_t k = 0; k < s->count; k++)
            if (s->list[k] == json_integer_value(json_array_get(dims, i))) {
                json_array_set_new(dims, i, json_integer(s->to[k]));
                break;
            }
}

static uint64_t seed_for(const json_t *variant, uint64_t seed) {
    uint64_t h = ap_mix64(seed);
    for (const char *p = ap_json_str(variant, "op", ""); *p; p++) h = ap_mix64(h ^ (unsigned char)*p);
    for (const char *p = ap_json_str(variant, "name", ""); *p; p++) h = ap_mix64(h ^ (unsigned char)*p);
    return h;
}

static json_t *changed(const json_t *variant, const ap_probe_variation *v, unsigned attempt) {
    json_t *copy = json_deep_copy(variant);
    uint64_t seed = seed_for(variant, v->seed);
    sizes s = {.count = 0};
    each_dims(copy, note_dims, &s);
    choose(&s, seed, v->shapes ? attempt : NONE);
    each_dims(copy, change_dims, &s);
    json_object_set_new(copy, "seed", json_integer((json_int_t)(seed >> 1)));
    return copy;
}

static ap_err add_changed(ap_probe_set *s, const json_t *variant, int64_t opset, const ap_probe_variation *v,
                          unsigned attempt) {
    json_t *j = changed(variant, v, attempt);
    ap_err err = ap_probe_add_variant(s, j, opset);
    json_decref(j);
    return err;
}

// ---- the table

ap_err ap_probe_add_varied(ap_probe_set *s, const char *op, const ap_probe_variation *v, size_t *added) {
    json_t *table = NULL, *variant;
    size_t i;
    ap_err err = ap_probe_table(&table);
    *added = 0;
    if (err) return err;
    json_array_foreach(json_object_get(table, "variants"), i, variant) {
        if (!ap_probe_is_about(variant, op)) continue;
        AP_TRY(add_changed(s, variant, ap_json_int(table, "opset", 17), v, 0));
        ap_probe *p = &s->list[s->count - 1];
        p->place = i + 1;
        ++*added;
    }
done:
    json_decref(table);
    return err;
}

// The probe that takes p's place in the set.
static ap_err try_again(ap_probe_set *s, size_t i, const json_t *table, const ap_probe_variation *v) {
    size_t place = s->list[i].place;
    unsigned attempt = s->list[i].attempt + 1;
    ap_err err = add_changed(s, json_array_get(json_object_get(table, "variants"), place - 1),
                             ap_json_int(table, "opset", 17), v, attempt);
    if (err) return err;
    s->list[i] = s->list[--s->count];
    s->list[i].place = place;
    s->list[i].attempt = attempt;
    return NULL;
}

ap_err ap_probe_vary_again(ap_probe_set *s, const ap_probe_variation *v, size_t *again) {
    json_t *table = NULL;
    ap_err err = ap_probe_table(&table);
    *again = 0;
    if (err) return err;
    for (size_t i = 0; i < s->count; i++) {
        const ap_probe *p = &s->list[i];
        if (!v->shapes || !p->place || p->verdict != AP_PROBE_INVALID || p->attempt + 1 >= ATTEMPTS) continue;
        AP_TRY(try_again(s, i, table, v));
        ++*again;
    }
done:
    json_decref(table);
    return err;
}
