// SPDX-License-Identifier: Apache-2.0
// runtime_table: the pins of data/runtimes.json as structs, and the steps of an install. Private to the room
// and its tests, which bring a table of their own.
#ifndef AP_DEVICE_RUNTIME_TABLE_H
#define AP_DEVICE_RUNTIME_TABLE_H

#include "base/file.h"
#include "device/runtime.h"

typedef struct ap_runtime_member {
    const char *path; // in the wheel
    const char *name; // of the installed file: no '/', no leading '.', not record.json
    const char *sha256;
    uint64_t bytes;
} ap_runtime_member;

typedef struct ap_runtime_link {
    const char *name, *target; // both plain file names
} ap_runtime_link;

typedef struct ap_runtime_spec {
    const char *name, *kind, *what, *version, *licence;
    const char *package; // as pip knows it
    const char *platform, *python, *implementation,
        *abi; // pip's tags: they pick the very same file everywhere
    const char *wheel, *wheel_sha256;
    uint64_t wheel_bytes;
    const ap_runtime_member *members;
    size_t member_count;
    const ap_runtime_link *links;
    size_t link_count;
} ap_runtime_spec;

typedef struct ap_runtime_table {
    const ap_runtime_spec *items;
    size_t count;
    ap_arena arena;
} ap_runtime_table;

// Checks what it reads: names that could leave the folder are an INTERNAL error (the table is ours).
AP_MUST ap_err ap_runtime_table_parse(const char *text, size_t len, ap_runtime_table *out);
AP_MUST ap_err ap_runtime_table_builtin(ap_runtime_table *out);
void ap_runtime_table_release(ap_runtime_table *t); // a zeroed struct is fine
// Error: USAGE with the nearest name.
AP_MUST ap_err ap_runtime_table_find(const ap_runtime_table *t, const char *name,
                                     const ap_runtime_spec **out);
uint64_t ap_runtime_spec_bytes(const ap_runtime_spec *s); // installed size

// The public functions with the table as an argument.
AP_MUST ap_err ap_runtime_find_in(const ap_runtime_table *t, const char *data_dir, const char *name,
                                  ap_runtime *out);
AP_MUST ap_err ap_runtime_install_in(const ap_runtime_table *t, const ap_runtime_options *o, const char *name,
                                     json_t **document);
AP_MUST ap_err ap_runtime_remove_in(const ap_runtime_table *t, const char *data_dir, const char *name);
AP_MUST ap_err ap_runtime_list_in(const ap_runtime_table *t, const char *data_dir, json_t **document);
AP_MUST ap_err ap_runtime_verify_in(const ap_runtime_table *t, const ap_runtime *rt);

// DATA/runtimes and DATA/runtimes/NAME-VERSION.
char *ap_runtime_root(ap_arena *a, const char *data_dir);
char *ap_runtime_dir(ap_arena *a, const char *data_dir, const ap_runtime_spec *s);
// Makes DATA/runtimes and takes its lock. Error: BUSY.
AP_MUST ap_err ap_runtime_lock(const char *data_dir, ap_lock *out);

// Finds or downloads the wheel of `s`; nothing about its content is checked. `tmp_dir` exists and takes the
// download. `path` lives in `a`; `from` becomes "folder" or "pip".
AP_MUST ap_err ap_runtime_fetch(const ap_runtime_spec *s, const ap_runtime_options *o, const char *tmp_dir,
                                ap_arena *a, const char **path, const char **from);
// Checks the wheel and unpacks the members, links and record.json into `dir`, which exists.
AP_MUST ap_err ap_runtime_unpack(const ap_runtime_spec *s, const char *wheel, const char *dir);

#endif
