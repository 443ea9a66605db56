// SPDX-License-Identifier: Apache-2.0
// store: results of stages, named by the hash of what went in. A second run of the same thing is a look-up.
//
// ROOT/objects/KEY/ holds a stage's files and record.json (what went in, what came out, gates, times: the
// journal). The folder appears by one rename after everything in it is on disk; a kill -9 loses the running
// stage and leaves a ROOT/tmp folder that a later run sweeps. Any number of aipc processes may share a store.
#ifndef AP_PLAN_STORE_H
#define AP_PLAN_STORE_H

#include "base/file.h"
#include "base/json.h"

typedef struct ap_store {
    ap_arena arena;
    const char *objects, *tmp;
} ap_store;

AP_MUST ap_err ap_store_open(const char *root, ap_store *out); // makes the folders
void ap_store_close(ap_store *s);

// SHA-256 of the canonical JSON.
void ap_store_key(const json_t *inputs, char hex[65]);

// *dir and *record are NULL when the result is not there. A result whose files are missing or were changed
// counts as not there and is thrown away. *record is a new reference.
AP_MUST ap_err ap_store_get(const ap_store *s, const char *key, ap_arena *a, char **dir, json_t **record);
// Throws a result away, so that the next one takes its place. Missing is fine.
AP_MUST ap_err ap_store_drop(const ap_store *s, const char *key);
// A fresh folder to work in.
AP_MUST ap_err ap_store_begin(const ap_store *s, ap_arena *a, char **work_dir);
// What lies in a work folder: [{file, bytes, sha256}]; the files are flushed to the disk.
AP_MUST ap_err ap_store_files(const char *work_dir, ap_arena *a, json_t **out);
// Writes record.json (its `files` are added when they are not there yet), makes all durable, and puts the
// folder in place. When another process was faster, its result stays and ours goes.
AP_MUST ap_err ap_store_commit(const ap_store *s, const char *key, const char *work_dir, json_t *record,
                               ap_arena *a, char **dir);
void ap_store_discard(const char *work_dir); // best effort; NULL is fine

// Parses a record's text: an object with a `files` list of plain file names and sizes. Error CORRUPT. The
// fuzz target's door.
AP_MUST ap_err ap_record_parse(const char *text, size_t len, json_t **out);

// TENSOR lists in a record name files relative to their folder; in requests they are whole paths.
void ap_tensors_to_names(json_t *tensors);
void ap_tensors_to_paths(json_t *tensors, const char *dir);

#endif
