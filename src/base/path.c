// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *ap_path_join(ap_arena *a, const char *dir, const char *name) {
    size_t len = strlen(dir);
    if (!len || name[0] == '/') return ap_arena_strdup(a, name);
    return ap_arena_printf(a, dir[len - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

static size_t strip_slashes(const char *path, size_t len) {
    while (len > 1 && path[len - 1] == '/') len--;
    return len;
}

char *ap_path_dir(ap_arena *a, const char *path) {
    size_t len = strip_slashes(path, strlen(path));
    while (len && path[len - 1] != '/') len--;
    if (!len) return ap_arena_strdup(a, ".");
    return ap_arena_strndup(a, path, strip_slashes(path, len));
}

const char *ap_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *ap_path_ext(const char *path) {
    const char *base = ap_path_base(path), *dot = strrchr(base, '.');
    return dot && dot != base ? dot : base + strlen(base); // ".profile" is a name, not an extension
}

ap_err ap_path_real(const char *path, ap_arena *a, char **out) {
    char *real = realpath(path, NULL);
    if (!real) return ap_err_subject(ap_err_errno(errno, 0, "cannot resolve '%s'", path), path);
    *out = ap_arena_strdup(a, real);
    free(real);
    return NULL;
}

bool ap_path_inside(const char *dir, const char *path) {
    size_t len = strip_slashes(dir, strlen(dir));
    if (len == 1 && dir[0] == '/') return path[0] == '/';
    return len && !strncmp(dir, path, len) && (path[len] == 0 || path[len] == '/');
}

static const char *env_text(const char *name) {
    const char *v = getenv(name);
    return v && v[0] ? v : NULL;
}

static char *home_dir(ap_arena *a) {
    const char *home = env_text("HOME");
    if (home) return ap_arena_strdup(a, home);
    struct passwd pw, *found = NULL;
    char *scratch = ap_arena_alloc(a, 16384);
    if (!getpwuid_r(getuid(), &pw, scratch, 16384, &found) && found && found->pw_dir[0] == '/')
        return found->pw_dir;
    return ap_arena_printf(a, "/tmp/aipc-%ld", (long)getuid()); // a container's user without an account
}

static char *user_dir(ap_arena *a, const char *own, const char *xdg, const char *below_home) {
    const char *v = env_text(own);
    if (v) return ap_arena_strdup(a, v);
    v = env_text(xdg);
    if (v && v[0] == '/') return ap_path_join(a, v, "aipc"); // the XDG rules: relative values are ignored
    return ap_path_join(a, home_dir(a), below_home);
}

char *ap_path_cache(ap_arena *a) {
    return user_dir(a, "AIPC_CACHE", "XDG_CACHE_HOME", ".cache/aipc");
}
char *ap_path_data(ap_arena *a) {
    return user_dir(a, "AIPC_DATA", "XDG_DATA_HOME", ".local/share/aipc");
}

char *ap_path_scratch(ap_arena *a) {
    if (ap_is_dir("/dev/shm") && !access("/dev/shm", W_OK | X_OK)) return ap_arena_strdup(a, "/dev/shm");
    const char *tmp = env_text("TMPDIR");
    return ap_arena_strdup(a, tmp ? tmp : "/tmp");
}

ap_err ap_self_exe(ap_arena *a, char **out) {
    // The object that holds this variable is the shared library, or the program when linked statically. The
    // program's link map has an empty name.
    static const char inside_us = 0;
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1(&inside_us, &info, (void **)&map, RTLD_DL_LINKMAP) && map && map->l_name && map->l_name[0]) {
        return ap_path_real(map->l_name, a, out);
    }
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) return ap_err_errno(errno, 0, "cannot find this program's own file");
    path[n] = 0;
    // Replaced by an upgrade while running, the link reads "... (deleted)"; the link itself still executes.
    *out = ap_arena_strdup(a, ap_file_exists(path) ? path : "/proc/self/exe");
    return NULL;
}
