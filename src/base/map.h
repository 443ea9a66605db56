// SPDX-License-Identifier: Apache-2.0
// map: string keys to pointers, insertion order kept. Keys are copied into the map.
//
// Lookup is O(1) with a per-map random seed (keys come from hostile models).
#ifndef AP_BASE_MAP_H
#define AP_BASE_MAP_H

#include "base/mem.h"

typedef struct ap_map_entry {
    const char *key; // owned by the map
    void *value;     // borrowed
    uint64_t hash;
} ap_map_entry;

// Zero-initialised is valid and empty. Iterate with for (size_t i = 0; i < m.count; i++) m.entries[i];
// every entry below count is live.
typedef struct ap_map {
    ap_map_entry *entries;
    size_t count, cap;
    uint32_t *slots; // index into entries + 1; 0 = empty
    size_t slot_count;
    uint64_t seed;
    ap_arena keys;
} ap_map;

// Returns the value or NULL. `found` may be NULL.
void *ap_map_get(const ap_map *m, const char *key);
bool ap_map_has(const ap_map *m, const char *key);
void ap_map_set(ap_map *m, const char *key, void *value); // replaces
// Adds only when absent; false (and nothing changed) when the key is there already.
bool ap_map_add(ap_map *m, const char *key, void *value);
// Number variants, for name → index maps. -1 when absent.
int64_t ap_map_get_index(const ap_map *m, const char *key);
void ap_map_set_index(ap_map *m, const char *key, size_t index);
// Takes an entry out; the last entry moves to its place. False (and nothing changed) when it is not there.
// Key texts stay valid until ap_map_free.
bool ap_map_remove(ap_map *m, const char *key);
void ap_map_free(ap_map *m);

#endif
