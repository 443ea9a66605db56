// SPDX-License-Identifier: Apache-2.0
// What the files behind base/file.h share. Not for other rooms.
#ifndef AP_BASE_FILE_INTERNAL_H
#define AP_BASE_FILE_INTERNAL_H

#include "base/file.h"

// An errno error with `path` as subject; `doing` is a verb phrase ("read").
ap_err ap_file_err(int errnum, int writing, const char *doing, const char *path);
// Makes a rename, link or unlink in the folder of `path` durable.
AP_MUST ap_err ap_file_sync_parent(const char *path);
// fsync that accepts file systems without one.
AP_MUST ap_err ap_file_sync(int fd, const char *path);
// A fresh name beside `path`: ".NAME.PID-RAND.tmp". malloc'ed.
char *ap_file_temp_name(const char *path);
// Names in an open folder, sorted; takes over dir_fd. `path` only names it in errors.
AP_MUST ap_err ap_file_list_fd(int dir_fd, const char *path, ap_arena *arena, const char ***names,
                               size_t *count);

#endif
