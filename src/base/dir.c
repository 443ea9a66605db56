// SPDX-License-Identifier: Apache-2.0
// Folders: make, list, measure, remove. Walks go by descriptor with O_NOFOLLOW, so a link put in the way by
// somebody else is never walked through.
#include "base/file_internal.h"
#include "base/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ap_err ap_mkdirs(const char *path) {
    ap_err err = NULL;
    char *p = ap_strdup(path);
    for (char *slash = p;; slash++) {
        while (*slash == '/') slash++;
        slash += strcspn(slash, "/");
        char end = *slash;
        *slash = 0;
        // Asked first: mkdir of a folder that exists fails with EROFS or EACCES on some file systems.
        if (!ap_is_dir(p) && mkdir(p, 0777) && !(errno == EEXIST && ap_is_dir(p))) {
            int e = errno == EEXIST ? ENOTDIR : errno; // something is there, but no folder
            err = ap_err_context(ap_file_err(e, 1, "make the folder", p), "making '%s'", path);
            break;
        }
        if (!end) break;
        *slash = end;
    }
    free(p);
    return err;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ap_err ap_file_list_fd(int dir_fd, const char *path, ap_arena *arena, const char ***names, size_t *count) {
    DIR *dir = fdopendir(dir_fd);
    if (!dir) {
        int e = errno;
        close(dir_fd);
        return ap_file_err(e, 0, "list", path);
    }
    char **list = NULL;
    size_t n = 0, cap = 0;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (n == cap) list = ap_realloc(list, (cap = cap ? cap * 2 : 32) * sizeof *list);
        list[n++] = ap_arena_strdup(arena, entry->d_name);
    }
    ap_err err = errno ? ap_file_err(errno, 0, "list", path) : NULL;
    if (!err) {
        if (n) qsort(list, n, sizeof *list, by_name);
        *names = ap_arena_calloc(arena, n + 1, sizeof **names);
        for (size_t i = 0; i < n; i++) (*names)[i] = list[i];
        *count = n;
    }
    free(list);
    closedir(dir);
    return err;
}

ap_err ap_list_dir(const char *path, ap_arena *arena, const char ***names, size_t *count) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ap_file_err(errno, 0, "list", path);
    return ap_file_list_fd(fd, path, arena, names, count);
}

// One step of a walk: opens folder `name` below dir_fd and lists it. *fd is for the caller to close.
static ap_err enter(int dir_fd, const char *name, int *fd, ap_arena *a, const char ***names, size_t *count) {
    int f = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (f < 0) return ap_file_err(errno, 0, "open the folder", name);
    int again = fcntl(f, F_DUPFD_CLOEXEC, 0);
    ap_err err = again < 0 ? ap_file_err(errno, 0, "open the folder", name)
                           : ap_file_list_fd(again, name, a, names, count);
    if (err)
        close(f);
    else
        *fd = f;
    return err;
}

// Removes `name` below dir_fd. The names are read in full before the first is removed: readdir over a folder
// that changes may miss some.
static ap_err remove_tree(int dir_fd, const char *name) {
    if (!unlinkat(dir_fd, name, 0) || errno == ENOENT) return NULL;
    struct stat st;
    int e = errno;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode)) {
        return ap_file_err(e, 1, "remove", name);
    }
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    int fd = -1;
    ap_err err = enter(dir_fd, name, &fd, &a, &names, &count);
    for (size_t i = 0; !err && i < count; i++) err = remove_tree(fd, names[i]);
    if (fd >= 0) close(fd);
    ap_arena_release(&a);
    if (err) return ap_err_context(err, "in '%s'", name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) && errno != ENOENT) return ap_file_err(errno, 1, "remove", name);
    return NULL;
}

ap_err ap_rmtree(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--; // "link/" would be the folder behind the link
    char *p = ap_strndup(path, len);
    const char *base = ap_path_base(p);
    ap_err err;
    if (!base[0] || !strcmp(base, ".") || !strcmp(base, "..")) {
        err = ap_err_new(AP_ERR_INTERNAL, "refusing to remove the folder '%s'", path);
    } else {
        err = remove_tree(AT_FDCWD, p);
    }
    free(p);
    return err;
}

static ap_err tree_bytes(int dir_fd, const char *name, uint64_t *sum) {
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW)) return ap_file_err(errno, 0, "look at", name);
    if (S_ISREG(st.st_mode)) *sum += (uint64_t)st.st_size;
    if (!S_ISDIR(st.st_mode)) return NULL;
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    int fd = -1;
    ap_err err = enter(dir_fd, name, &fd, &a, &names, &count);
    for (size_t i = 0; !err && i < count; i++) {
        err = tree_bytes(fd, names[i], sum);
        if (ap_err_code(err) == AP_ERR_NOT_FOUND) { // removed by somebody since it was listed
            ap_err_free(err);
            err = NULL;
        }
    }
    if (fd >= 0) close(fd);
    ap_arena_release(&a);
    return err;
}

ap_err ap_tree_bytes(const char *path, uint64_t *bytes) {
    uint64_t sum = 0;
    ap_err err = tree_bytes(AT_FDCWD, path, &sum);
    if (!err) *bytes = sum;
    return err;
}

// ---- temporary folders: prefix-PID-TTTTTTTTRRRRRRRR, T naming the world in which PID means something ----

enum { TAG_DIGITS = 8, RANDOM_DIGITS = 8, FOREIGN_MAX_AGE_S = 7 * 24 * 3600 };

// Containers may share /dev/shm or /tmp but not their process numbers: "no such process" proves nothing about
// a folder made elsewhere. The tag is a hash of host name and PID namespace.
static uint32_t pid_world(void) {
    char host[256] = "";
    struct stat ns = {0};
    if (gethostname(host, sizeof host - 1) || stat("/proc/self/ns/pid", &ns)) errno = 0;
    uint64_t h = ap_mix64((uint64_t)ns.st_ino);
    for (const char *c = host; *c; c++) h = ap_mix64(h ^ (unsigned char)*c);
    return (uint32_t)h;
}

static bool is_left_over(const char *parent, const char *name, const char *prefix) {
    size_t len = strlen(prefix);
    if (strncmp(name, prefix, len) || name[len] != '-') return false;
    char *end;
    const char *digits = name + len + 1;
    errno = 0;
    long pid = strtol(digits, &end, 10);
    if (digits[0] < '1' || digits[0] > '9' || *end != '-' || errno || pid > INT32_MAX) return false;
    const char *random = end + 1;
    bool tagged = strlen(random) == TAG_DIGITS + RANDOM_DIGITS &&
                  strspn(random, "0123456789abcdef") == TAG_DIGITS + RANDOM_DIGITS;
    if (tagged) {
        char own[TAG_DIGITS + 1];
        ap_buf b = {0};
        ap_buf_printf(&b, "%08" PRIx32, pid_world());
        memcpy(own, b.data, sizeof own);
        ap_buf_free(&b);
        if (memcmp(own, random, TAG_DIGITS)) {
            ap_arena a = {0};
            struct stat st;
            bool old =
                !lstat(ap_path_join(&a, parent, name), &st) && time(NULL) - st.st_mtime > FOREIGN_MAX_AGE_S;
            ap_arena_release(&a);
            return old;
        }
    }
    return kill((pid_t)pid, 0) && errno == ESRCH;
}

static void sweep(const char *parent, const char *prefix) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    ap_err err = ap_list_dir(parent, &a, &names, &count);
    ap_err_free(err);
    for (size_t i = 0; i < count; i++) {
        if (!is_left_over(parent, names[i], prefix)) continue;
        ap_err_free(ap_rmtree(ap_path_join(&a, parent, names[i]))); // another user's: not ours to remove
    }
    ap_arena_release(&a);
}

ap_err ap_mkdtemp(const char *parent, const char *prefix, ap_arena *a, char **out) {
    ap_err err = ap_mkdirs(parent);
    if (err) return err;
    sweep(parent, prefix);
    char *path = NULL;
    for (int tries = 0; tries < 100; tries++) {
        path = ap_arena_printf(a, "%s/%s-%ld-%08" PRIx32 "%08" PRIx32, parent, prefix, (long)getpid(),
                               pid_world(), (uint32_t)ap_random_u64());
        if (!mkdir(path, 0700)) {
            *out = path;
            return NULL;
        }
        if (errno != EEXIST) break;
    }
    return ap_file_err(errno, 1, "make the folder", path);
}
