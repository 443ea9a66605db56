// SPDX-License-Identifier: Apache-2.0
// Answers kept between runs: one SQLite file, keyed by backend (versions, SoC) and signature.
#include "base/file.h"
#include "surgery/probe/probe_priv.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA 3
#define BUSY_MS 5000

struct ap_probe_cache {
    sqlite3 *db; // NULL: switched off after trouble that could not be mended
    sqlite3_stmt *get, *put;
    char *path, *backend;
    void (*warn)(void *user, const char *text);
    void *user;
};

static void warn(ap_probe_cache *c, const char *fmt, ...) AP_PRINTF(2, 3);
static void warn(ap_probe_cache *c, const char *fmt, ...) {
    if (!c->warn) return;
    ap_buf b = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&b, fmt, args);
    va_end(args);
    c->warn(c->user, ap_buf_str(&b));
    ap_buf_free(&b);
}

static void shut(ap_probe_cache *c) {
    sqlite3_finalize(c->get);
    sqlite3_finalize(c->put);
    sqlite3_close(c->db);
    c->get = c->put = NULL;
    c->db = NULL;
}

static int exec(ap_probe_cache *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

static int read_version(ap_probe_cache *c, int *version) {
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &q, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) *version = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

// Opens the file and prepares the two statements. Anything but SQLITE_OK leaves the cache shut.
static int open_db(ap_probe_cache *c) {
    int version = 0, rc = sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK) sqlite3_busy_timeout(c->db, BUSY_MS);
    if (rc == SQLITE_OK) rc = read_version(c, &version);
    if (rc == SQLITE_OK && version != 0 && version != SCHEMA) rc = exec(c, "DROP TABLE IF EXISTS probes");
    if (rc == SQLITE_OK) rc = exec(c, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    if (rc == SQLITE_OK)
        rc = exec(
            c, "CREATE TABLE IF NOT EXISTS probes(backend TEXT NOT NULL, key TEXT NOT NULL, op TEXT NOT NULL,"
               " verdict TEXT NOT NULL, reason TEXT, error REAL NOT NULL, folded INTEGER NOT NULL,"
               " inexact INTEGER NOT NULL, signature TEXT NOT NULL, nodes TEXT, PRIMARY KEY(backend, key)) "
               "WITHOUT ROWID;"
               "PRAGMA user_version=3");
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(
            c->db,
            "SELECT verdict, reason, error, folded, inexact, nodes FROM probes WHERE backend=?1 AND key=?2",
            -1, SQLITE_PREPARE_PERSISTENT, &c->get, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(c->db, "INSERT OR REPLACE INTO probes VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
                                -1, SQLITE_PREPARE_PERSISTENT, &c->put, NULL);
    if (rc != SQLITE_OK) shut(c);
    return rc;
}

static void remove_files(const ap_probe_cache *c) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    ap_arena a = {0};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        ap_err_free(ap_file_remove(ap_arena_printf(&a, "%s%s", c->path, ends[i])));
    ap_arena_release(&a);
}

static bool is_damage(int rc) {
    rc &= 0xff;
    return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_ERROR || rc == SQLITE_SCHEMA;
}

// Throws the file away and begins anew; without success there is no cache for this run.
static void rebuild(ap_probe_cache *c, int why) {
    shut(c);
    if (is_damage(why)) {
        warn(c, "%s is damaged (%s): it is made anew", c->path, sqlite3_errstr(why));
        remove_files(c);
        why = open_db(c);
    }
    if (why != SQLITE_OK) warn(c, "no cache of probes in this run: %s: %s", c->path, sqlite3_errstr(why));
}

ap_err ap_probe_cache_open(const char *path, const char *backend, void (*tell)(void *user, const char *text),
                           void *user, ap_probe_cache **out) {
    ap_arena a = {0};
    ap_err err = ap_mkdirs(ap_path_dir(&a, path));
    ap_arena_release(&a);
    if (err) return err;
    ap_probe_cache *c = ap_calloc(1, sizeof *c);
    c->path = ap_strdup(path);
    c->backend = ap_strdup(backend);
    c->warn = tell;
    c->user = user;
    int rc = open_db(c);
    if (rc != SQLITE_OK) rebuild(c, rc);
    *out = c;
    return NULL;
}

void ap_probe_cache_close(ap_probe_cache *c) {
    if (!c) return;
    shut(c);
    free(c->path);
    free(c->backend);
    free(c);
}

// "2 5": which nodes were refused.
static void read_nodes(ap_probe *p, const char *text, ap_arena *arena) {
    size_t most = text ? strlen(text) : 0, *nodes = ap_arena_calloc(arena, most + 1, sizeof *nodes);
    char *end;
    p->refused_count = 0;
    for (const char *at = text; at && *at; at = end) {
        unsigned long n = strtoul(at, &end, 10);
        if (end == at) break;
        if (p->graph && n < p->graph->n_node) nodes[p->refused_count++] = n;
    }
    p->refused = nodes;
}

static void read_row(ap_probe_cache *c, ap_probe *p, ap_arena *arena) {
    p->verdict = ap_probe_verdict_from((const char *)sqlite3_column_text(c->get, 0));
    p->reason = ap_arena_strdup(arena, (const char *)sqlite3_column_text(c->get, 1));
    p->error = sqlite3_column_double(c->get, 2);
    p->folded = sqlite3_column_int(c->get, 3) != 0;
    p->inexact = sqlite3_column_int(c->get, 4) != 0;
    read_nodes(p, (const char *)sqlite3_column_text(c->get, 5), arena);
}

bool ap_probe_cache_get(ap_probe_cache *c, ap_probe *p, ap_arena *arena) {
    if (!c->db) return false;
    sqlite3_bind_text(c->get, 1, c->backend, -1, SQLITE_STATIC);
    sqlite3_bind_text(c->get, 2, p->key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(c->get);
    bool found = rc == SQLITE_ROW && sqlite3_column_text(c->get, 0) != NULL;
    if (found) read_row(c, p, arena);
    sqlite3_reset(c->get);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) rebuild(c, rc);
    return found && p->verdict != AP_PROBE_UNASKED;
}

static int put_one(ap_probe_cache *c, const ap_probe *p) {
    sqlite3_stmt *q = c->put;
    sqlite3_bind_text(q, 1, c->backend, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, p->key, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 3, p->op, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 4, ap_probe_verdict_word(p->verdict), -1, SQLITE_STATIC);
    if (p->reason)
        sqlite3_bind_text(q, 5, p->reason, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(q, 5);
    sqlite3_bind_double(q, 6, p->error);
    sqlite3_bind_int(q, 7, p->folded);
    sqlite3_bind_int(q, 8, p->inexact);
    sqlite3_bind_text(q, 9, p->signature, -1, SQLITE_STATIC);
    ap_buf nodes = {0};
    for (size_t i = 0; i < p->refused_count; i++) ap_buf_printf(&nodes, i ? " %zu" : "%zu", p->refused[i]);
    sqlite3_bind_text(q, 10, ap_buf_str(&nodes), -1, SQLITE_STATIC);
    int rc = sqlite3_step(q);
    sqlite3_reset(q);
    ap_buf_free(&nodes);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void ap_probe_cache_put(ap_probe_cache *c, ap_probe *const *list, size_t count) {
    if (!c->db) return;
    int rc = exec(c, "BEGIN IMMEDIATE");
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
        if (list[i]->verdict != AP_PROBE_UNASKED && list[i]->verdict != AP_PROBE_HUNG)
            rc = put_one(c, list[i]);
    if (rc == SQLITE_OK) rc = exec(c, "COMMIT");
    if (rc == SQLITE_OK) return;
    (void)exec(c, "ROLLBACK");
    rebuild(c, rc);
}
