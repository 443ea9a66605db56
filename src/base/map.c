// SPDX-License-Identifier: Apache-2.0
// Entries stand in insertion order in one array; `slots` is an open-addressing index into it (linear probing,
// a power of two, at most two thirds full).
#include "base/map.h"
#include "base/rand.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16 };

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

// SipHash-1-3 (Aumasson, Bernstein): a keyed hash, so a model cannot bring names chosen to collide.
static uint64_t hash_key(uint64_t seed, const char *key, size_t len) {
    uint64_t k0 = seed, k1 = ap_mix64(seed);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    for (size_t left = len, at = 0;; at += 8, left -= 8) {
        uint64_t word = 0;
        memcpy(&word, key + at, left < 8 ? left : 8);
        if (left < 8) word |= (uint64_t)len << 56; // the last word carries the length
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (left < 8) break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// The slot that holds `key`, or the empty one where it would go. Needs slot_count > 0.
static size_t find_slot(const ap_map *m, const char *key, uint64_t hash) {
    size_t mask = m->slot_count - 1, i = (size_t)hash & mask;
    for (; m->slots[i]; i = (i + 1) & mask) {
        const ap_map_entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == hash && !strcmp(e->key, key)) break;
    }
    return i;
}

static ap_map_entry *find(const ap_map *m, const char *key) {
    if (!m->count || !key) return NULL;
    size_t slot = find_slot(m, key, hash_key(m->seed, key, strlen(key)));
    return m->slots[slot] ? &m->entries[m->slots[slot] - 1] : NULL;
}

static void grow_slots(ap_map *m) {
    if (m->slot_count > UINT32_MAX / 2) ap_oom(SIZE_MAX); // indices are 32 bits
    free(m->slots);
    m->slot_count = m->slot_count ? m->slot_count * 2 : FIRST_SLOTS;
    m->slots = ap_calloc(m->slot_count, sizeof *m->slots);
    size_t mask = m->slot_count - 1;
    for (size_t e = 0; e < m->count; e++) {
        size_t i = (size_t)m->entries[e].hash & mask;
        while (m->slots[i]) i = (i + 1) & mask;
        m->slots[i] = (uint32_t)(e + 1);
    }
}

// Adds a key known to be absent.
static void insert(ap_map *m, const char *key, void *value) {
    if (!m->slot_count) m->seed = ap_random_u64();
    if ((m->count + 1) * 3 > m->slot_count * 2) grow_slots(m);
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->entries = ap_realloc(m->entries, m->cap * sizeof *m->entries);
    }
    size_t len = strlen(key);
    uint64_t hash = hash_key(m->seed, key, len);
    m->slots[find_slot(m, key, hash)] = (uint32_t)(m->count + 1);
    m->entries[m->count++] =
        (ap_map_entry){.key = ap_arena_strndup(&m->keys, key, len), .value = value, .hash = hash};
}

void *ap_map_get(const ap_map *m, const char *key) {
    const ap_map_entry *e = find(m, key);
    return e ? e->value : NULL;
}

bool ap_map_has(const ap_map *m, const char *key) {
    return find(m, key) != NULL;
}

void ap_map_set(ap_map *m, const char *key, void *value) {
    ap_map_entry *e = find(m, key);
    if (e)
        e->value = value;
    else
        insert(m, key, value);
}

bool ap_map_add(ap_map *m, const char *key, void *value) {
    if (find(m, key)) return false;
    insert(m, key, value);
    return true;
}

// Indices are stored as pointer values; the offset of one keeps index 0 apart from "no value".
int64_t ap_map_get_index(const ap_map *m, const char *key) {
    const ap_map_entry *e = find(m, key);
    return e ? (int64_t)(uintptr_t)e->value - 1 : -1;
}

void ap_map_set_index(ap_map *m, const char *key, size_t index) {
    ap_map_set(m, key, (void *)(uintptr_t)(index + 1));
}

static size_t slot_of_entry(const ap_map *m, size_t entry) {
    size_t mask = m->slot_count - 1, i = (size_t)m->entries[entry].hash & mask;
    while (m->slots[i] != (uint32_t)(entry + 1)) i = (i + 1) & mask;
    return i;
}

// Empties a slot and moves up those behind it that linear probing would no longer reach.
static void clear_slot(ap_map *m, size_t hole) {
    size_t mask = m->slot_count - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i]; i = (i + 1) & mask) {
        size_t home = (size_t)m->entries[m->slots[i] - 1].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = 0;
}

bool ap_map_remove(ap_map *m, const char *key) {
    const ap_map_entry *e = find(m, key);
    if (!e) return false;
    size_t at = (size_t)(e - m->entries), last = m->count - 1;
    clear_slot(m, slot_of_entry(m, at));
    if (at != last) {
        m->slots[slot_of_entry(m, last)] = (uint32_t)(at + 1);
        m->entries[at] = m->entries[last];
    }
    m->count--;
    return true;
}

void ap_map_free(ap_map *m) {
    free(m->slots);
    free(m->entries);
    ap_arena_release(&m->keys);
    *m = (ap_map){0};
}
