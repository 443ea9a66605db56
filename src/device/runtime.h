// SPDX-License-Identifier: Apache-2.0
// runtime: vendor libraries and sample files that are not part of aipc: fetched as Python wheels, checked
// against a pinned sha256, unpacked into the user's data folder.
//
// The pins are data/runtimes.json. An installed one is the folder DATA/runtimes/NAME-VERSION with the files
// and a record.json; the folder appears by one rename, so it is whole or not there. Everything that changes
// DATA/runtimes holds the lock DATA/runtimes/.lock. What it knows: names, versions, hashes, pip. What it
// never does: load a library (engine and worker do), run anything out of a wheel.
#ifndef AP_DEVICE_RUNTIME_H
#define AP_DEVICE_RUNTIME_H

#include "base/mem.h"

#include <jansson.h>

// An installed runtime. Strings live in `arena`; release with ap_runtime_release.
typedef struct ap_runtime {
    const char *name, *version;
    const char *dir;    // absolute
    const char *sha256; // of the wheel it came from
    const char *licence;
    ap_arena arena;
} ap_runtime;

// Everywhere below, data_dir NULL means ap_path_data().
//
// Finds an installed runtime of the pinned version. Looks at the record and at the size of every file, so a
// damaged one is noticed at the cost of a few stat calls. Errors: USAGE (no such name, with the nearest one),
// RUNTIME_MISSING (hint "aipc runtime install NAME"), CORRUPT (a file is missing or has another size).
AP_MUST ap_err ap_runtime_find(const char *data_dir, const char *name, ap_runtime *out);
void ap_runtime_release(ap_runtime *rt); // a zeroed struct is fine
// Path of one of its files ("libQnnHtp.so"); lives in the runtime's arena.
const char *ap_runtime_file(ap_runtime *rt, const char *file);
// Hashes every file and compares with the pins: about a second for the big one; for doctor. Errors:
// RUNTIME_HASH with the file as subject, CORRUPT.
AP_MUST ap_err ap_runtime_verify(const ap_runtime *rt);

typedef struct ap_runtime_options {
    const char *data_dir;   // NULL: ap_path_data()
    const char *wheels_dir; // folder that may hold the wheels; NULL: $AIPC_WHEELS; "": none
    uint64_t deadline_ms;   // for the download; 0: one hour
    // Bytes so far and in all, with what is being done. May be NULL. Called by the calling thread only.
    void (*progress)(void *user, size_t done, size_t total, const char *text);
    void *user;
} ap_runtime_options;

// Installs a runtime: the wheel comes from the wheels folder or by `pip download`. One that is installed and
// whole is left alone, without any network; a damaged one is replaced. `document` (may be NULL) gets
// {name, version, dir, already, from, bytes, wheel_sha256, licence}: `from` is "installed", "folder" or
// "pip". Errors: USAGE (no such name), RUNTIME_MISSING (no pip, no network), RUNTIME_HASH (both hashes in the
// message), CORRUPT (not the wheel it should be), BUSY, disk errors. An error leaves what was installed
// before.
AP_MUST ap_err ap_runtime_install(const ap_runtime_options *o, const char *name, json_t **document);
// Removes every installed version of it. Error: RUNTIME_MISSING when there is none.
AP_MUST ap_err ap_runtime_remove(const char *data_dir, const char *name);
// The `runtime list` document (docs/documents.md); a new reference.
AP_MUST ap_err ap_runtime_list(const char *data_dir, json_t **document);

#endif
