// SPDX-License-Identifier: Apache-2.0
// file: everything aipc does with the file system.
//
// Writes are atomic: a temporary name in the same folder, fsync, rename. A reader sees the old file, or the
// new one, never a half. System calls live here so that other hosts (Windows, macOS) need only this room
// changed.
#ifndef AP_BASE_FILE_H
#define AP_BASE_FILE_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

// A read-only mapping of a whole file, or of anonymous/shared memory when made by ap_filemap_create.
typedef struct ap_filemap {
    uint8_t *data; // NULL when bytes == 0
    size_t bytes;
    bool writable;
} ap_filemap;

// Maps a regular file read-only. Errors: NOT_FOUND, IO (folder, device, fifo), with the path as subject.
AP_MUST ap_err ap_filemap_open(const char *path, ap_filemap *out);
// Creates (truncating) a file of `bytes` and maps it writable and shared. Space is reserved first, so a full
// disk is an error here and not a SIGBUS later.
AP_MUST ap_err ap_filemap_create(const char *path, size_t bytes, ap_filemap *out);
void ap_filemap_close(ap_filemap *m); // zeroed struct is fine

// Reads at most `max_bytes` (error INPUT_FILE beyond). The buffer is NUL-ended behind its length.
// `out` is overwritten (pass an empty one). Files under /proc and pipes are read to their end.
AP_MUST ap_err ap_file_read(const char *path, size_t max_bytes, ap_buf *out);
// Appends the value behind `key` in a text file of lines "key<separators>value", as the system writes them;
// nothing when there is none. Key "": the first line.
void ap_file_field(const char *path, const char *key, ap_buf *out);
AP_MUST ap_err ap_file_write(const char *path, const void *data, size_t bytes); // atomic, fsynced
// Atomic writer for big or streamed files: begin, write to fd, then commit or abort. A link is written
// through to its target, which keeps its mode; a pipe or device (/dev/null, /dev/stdout) is written directly.
typedef struct ap_file_writer {
    int fd;
    char *tmp_path, *path;
} ap_file_writer;
AP_MUST ap_err ap_file_writer_begin(const char *path, ap_file_writer *w);
AP_MUST ap_err ap_file_writer_put(ap_file_writer *w, const void *data, size_t bytes);
AP_MUST ap_err ap_file_writer_commit(ap_file_writer *w); // fsync + rename; aborts itself on error
void ap_file_writer_abort(ap_file_writer *w);            // safe after commit and on a zeroed struct

bool ap_file_exists(const char *path); // any kind
bool ap_is_dir(const char *path);
bool ap_file_is_program(const char *path); // a file that may be executed
void ap_file_flush(const char *path);      // to the disk, best effort (some file systems cannot)
AP_MUST ap_err ap_file_size(const char *path, uint64_t *bytes);
AP_MUST ap_err ap_file_copy(const char *from, const char *to); // bytes, atomic
AP_MUST ap_err ap_file_link_or_copy(const char *from,
                                    const char *to); // hard link; copy across devices; replaces `to`
AP_MUST ap_err ap_file_rename(const char *from, const char *to); // replaces; fsyncs the parent folder
AP_MUST ap_err ap_file_remove(const char *path);                 // missing is fine
AP_MUST ap_err ap_mkdirs(const char *path);                      // like mkdir -p
AP_MUST ap_err ap_rmtree(const char *path);                      // like rm -rf, never follows links
// Names in a folder, sorted, without . and .. ; strings live in `arena`.
AP_MUST ap_err ap_list_dir(const char *path, ap_arena *arena, const char ***names, size_t *count);
AP_MUST ap_err ap_tree_bytes(const char *path, uint64_t *bytes); // sum of file sizes below

// Path helpers; results live in the arena.
char *ap_path_join(ap_arena *a, const char *dir, const char *name); // absolute `name` wins
char *ap_path_dir(ap_arena *a, const char *path);                   // "." when there is none
const char *ap_path_base(const char *path);                         // points into `path`
const char *ap_path_ext(const char *path); // ".npy", "" when none; points into `path`
AP_MUST ap_err ap_path_real(const char *path, ap_arena *a, char **out); // realpath; NOT_FOUND when missing
// True when `path` (already real) is `dir` (already real) or lies below it.
bool ap_path_inside(const char *dir, const char *path);
// User folders. Cache: $AIPC_CACHE, else $XDG_CACHE_HOME/aipc, else ~/.cache/aipc. Data: $AIPC_DATA, else
// $XDG_DATA_HOME/aipc, else ~/.local/share/aipc. Scratch for shared tensors: /dev/shm when it is a writable
// folder, else $TMPDIR, else /tmp.
char *ap_path_cache(ap_arena *a);
char *ap_path_data(ap_arena *a);
char *ap_path_scratch(ap_arena *a);
// Makes a fresh folder `parent/prefix-PID-RANDOM` (mode 0700). Sweeps siblings of the same prefix whose
// process is gone, so a kill -9 leaves nothing for long. RANDOM also tells process numbers of other
// containers or hosts that share the folder from ours; what those leave is swept after a week.
AP_MUST ap_err ap_mkdtemp(const char *parent, const char *prefix, ap_arena *a, char **out);
// Path of this program's own executable file, or of the library's when linked into another program.
AP_MUST ap_err ap_self_exe(ap_arena *a, char **out);

// An exclusive advisory lock on a file, released by the kernel when the process dies.
typedef struct ap_lock {
    int fd; // -1 or 0-initialised with held=false when not held
    bool held;
} ap_lock;
// Error BUSY (message names the pid that holds it) when another process has it.
AP_MUST ap_err ap_lock_take(const char *path, ap_lock *out);
void ap_lock_release(ap_lock *l);

#endif
