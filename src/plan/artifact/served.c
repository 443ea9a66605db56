// SPDX-License-Identifier: Apache-2.0
// What is deployed in the folders of a server.
#include "plan/artifact/served.h"

#include "base/file.h"
#include "base/hash.h"
#include "plan/artifact/index.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

// ---- identities

// "CLASS/ARCH/CONTENT" and the method, or a session's sha256.
static char *key_of(ap_arena *a, const json_t *model) {
    const json_t *id = json_object_get(model, "identity");
    const char *path = ap_json_str(model, "path", "");
    if (strcmp(ap_json_str(model, "kind", ""), "session") == 0)
        return ap_arena_strdup(a, ap_json_str(id, "sha256", ""));
    return ap_arena_printf(a, "%s/%s/%s%s", ap_json_str(id, "class", ""), ap_json_str(id, "arch", ""),
                           ap_json_str(id, "content", ""), *path == '.' ? path : "");
}

aipc_served *ap_server_find(const aipc_server *s, const char *identity) {
    aipc_served *m = s->models;
    while (m && strcmp(m->key, identity) != 0) m = m->next;
    return m;
}

// Two folders may hold deployments of one model, for other shapes.
static aipc_served *model_for(aipc_server *s, const char *key, const char *name, const json_t *entry) {
    aipc_served *m = ap_server_find(s, key), **end = &s->models;
    if (m) return m;
    while (*end) end = &(*end)->next;
    *end = m = ap_arena_calloc(&s->arena, 1, sizeof *m);
    *m = (aipc_served){.server = s, .name = ap_arena_strdup(&s->arena, name), .key = key, .entry = entry};
    return m;
}

// ---- one artifact

// The target of the server among those of the artifact; NULL: none.
static const char *target_of(const aipc_server *s, const aipc_artifact *a) {
    const json_t *list = json_object_get(a->manifest, "targets"), *t;
    size_t n = s->target ? strlen(s->target) : 0;
    bool family = n && s->target[n - 1] == ':';
    for (size_t i = 0; (t = json_array_get(list, i)) != NULL; i++) {
        const char *name = ap_json_str(t, "target", "");
        if (!n || (family ? strncmp(name, s->target, n) == 0 : strcmp(name, s->target) == 0)) return name;
    }
    return NULL;
}

static bool is_module(const aipc_served *m) {
    return strcmp(ap_json_str(m->entry, "kind", ""), "module") == 0;
}

static int64_t leaf_of(const json_t *feeds, const char *input) {
    return ap_json_int(ap_json_find(feeds, "input", input), "leaf", -1);
}

static ap_err read_feeds(aipc_server *s, aipc_deployed *d) {
    const json_t *fixed = json_object_get(d->call, "fixed"), *feeds = json_object_get(d->call, "feeds");
    const json_t *leaves = json_object_get(d->call, "inputs");
    size_t inputs = d->contract->input_count;
    d->feeds = ap_arena_calloc(&s->arena, inputs + json_array_size(fixed) + 1, sizeof *d->feeds);
    for (size_t i = 0; i < inputs + json_array_size(fixed); i++) {
        const json_t *f = i < inputs ? NULL : json_array_get(fixed, i - inputs);
        const char *name = f ? ap_json_str(f, "input", "") : d->contract->inputs[i].name;
        int64_t leaf = f ? ap_json_int(f, "leaf", -1) : leaf_of(feeds, name);
        if (is_module(d->model) && (leaf < 0 || (uint64_t)leaf >= json_array_size(leaves)))
            return ap_err_new(AP_ERR_CORRUPT, "the index has no leaf for input '%s' of %s", name, d->dir);
        d->feeds[d->feed_count++] = (ap_feed){.name = name,
                                              .leaf = leaf < 0 ? 0 : (size_t)leaf,
                                              .fixed = f != NULL,
                                              .value = ap_json_int(f, "value", 0)};
    }
    return NULL;
}

static size_t output_of(const aipc_deployed *d, size_t leaf) {
    const json_t *made = json_object_get(d->call, "results"), *r;
    for (size_t i = 0; (r = json_array_get(made, i)) != NULL; i++)
        for (size_t k = 0; ap_json_int(r, "leaf", -1) == (int64_t)leaf && k < d->contract->output_count; k++)
            if (strcmp(ap_json_str(r, "output", ""), d->contract->outputs[k].name) == 0) return k;
    return AP_NO_OUTPUT;
}

// A tensor of the answer that the program does not read: it has no output, only type and shape.
static bool is_unread(const json_t *leaf) {
    const json_t *dims = json_object_get(leaf, "dims"), *dim;
    for (size_t i = 0; (dim = json_array_get(dims, i)) != NULL; i++)
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) return false;
    return json_is_array(dims) && !ap_json_bool(leaf, "read", true);
}

static ap_err read_results(aipc_server *s, aipc_deployed *d) {
    const json_t *leaves = json_object_get(d->call, "outputs");
    size_t count = json_array_size(leaves);
    d->results = ap_arena_calloc(&s->arena, count + 1, sizeof *d->results);
    for (size_t i = 0; i < count; i++)
        if ((d->results[i] = output_of(d, i)) == AP_NO_OUTPUT && !is_unread(json_array_get(leaves, i)))
            return ap_err_new(AP_ERR_CORRUPT, "the index has no output for tensor %zu of the answer of %s", i,
                              d->dir);
    return NULL;
}

static ap_err add(aipc_server *s, const char *dir, aipc_served *m, const json_t *call, aipc_artifact *a) {
    aipc_deployed *d = ap_arena_calloc(&s->arena, 1, sizeof *d), **end = &m->list;
    const char *target = target_of(s, a);
    ap_err err = NULL;
    *d = (aipc_deployed){.model = m, .dir = ap_arena_strdup(&s->arena, dir), .call = call};
    while (*end) end = &(*end)->next;
    *end = d;
    d->contract = a;
    if (!target) {
        size_t n = strlen(s->target);
        d->refusal = s->target[n - 1] == ':' ? ap_arena_printf(&s->arena, "not deployed for any %.*s target",
                                                               (int)n - 1, s->target)
                                             : ap_arena_printf(&s->arena, "not deployed for %s", s->target);
        goto done;
    }
    if (strcmp(target, ap_json_str(a->target, "target", "")) != 0) { // opened with its first
        ap_artifact_close(a);
        d->contract = NULL;
        AP_TRY(ap_artifact_open_manifest(s->ctx, dir, target, &d->contract));
    }
    if (strcmp(ap_json_str(d->contract->target, "verdict", "pass"), "fail") == 0 ||
        strcmp(ap_json_str(call, "verdict", "pass"), "fail") == 0)
        d->refusal = "its deployment failed a gate";
done:
    if (!err) err = read_feeds(s, d);
    if (!err && is_module(m)) err = read_results(s, d);
    if (!err && !d->refusal) ap_artifact_want(d->contract);
    return err;
}

// ---- folders

static ap_err add_model(aipc_server *s, const char *folder, const json_t *model) {
    const json_t *list = json_object_get(model, "artifacts"), *call;
    aipc_served *m = model_for(s, key_of(&s->arena, model), ap_json_str(model, "name", "model"), model);
    for (size_t i = 0; (call = json_array_get(list, i)) != NULL; i++) {
        const char *dir = ap_json_str(call, "dir", "");
        if (!ap_index_inside(dir))
            return ap_err_new(AP_ERR_CORRUPT, "the index names a folder outside: '%s'", dir);
        char *full = ap_path_join(&s->arena, folder, dir);
        aipc_artifact *a = NULL;
        if (!ap_file_exists(ap_path_join(&s->arena, full, AP_MANIFEST))) continue;
        ap_err err = ap_artifact_open_manifest(s->ctx, full, NULL, &a);
        if (!err) err = add(s, full, m, call, a);
        if (err) return err;
    }
    return NULL;
}

static ap_err look_in(aipc_server *s, const char *folder) {
    json_t *index = NULL;
    const json_t *m;
    aipc_artifact *a = NULL;
    ap_err err = NULL;
    AP_TRY(ap_index_load(folder, &index));
    if (!index) {
        if (!ap_file_exists(ap_path_join(&s->arena, folder, AP_MANIFEST))) goto done; // nothing deployed yet
        AP_TRY(ap_artifact_open_manifest(s->ctx, folder, NULL, &a));
        const char *sha = ap_json_str(json_object_get(a->manifest, "model"), "sha256", "");
        AP_TRY(add(s, folder, model_for(s, ap_arena_strdup(&s->arena, sha), ap_path_base(folder), NULL), NULL,
                   a));
        goto done;
    }
    json_array_append(s->indexes, index);
    for (size_t i = 0; (m = json_array_get(json_object_get(index, "models"), i)) != NULL; i++)
        AP_TRY(add_model(s, folder, m));
done:
    json_decref(index);
    return ap_err_subject(err, folder);
}

ap_err ap_server_open(aipc_context *c, const char *folders, const char *target, aipc_server **out) {
    aipc_server *s = ap_calloc(1, sizeof *s);
    ap_err err = NULL;
    s->ctx = c;
    s->target = target && *target ? ap_arena_strdup(&s->arena, target) : NULL;
    s->indexes = json_array();
    s->counts = AP_COUNTS_NONE;
    pthread_mutex_init(&s->lock, NULL);
    char *rest = ap_arena_strdup(&s->arena, folders ? folders : "");
    for (char *part; (part = strsep(&rest, ":")) != NULL;)
        if (*part) AP_TRY(look_in(s, part));
    *out = s;
    s = NULL;
done:
    ap_server_close(s);
    return err;
}

void ap_server_close(aipc_server *s) {
    if (!s) return;
    for (aipc_served *m = s->models; m; m = m->next)
        for (aipc_deployed *d = m->list; d; d = d->next) {
            ap_artifact_close(d->contract);
            ap_artifact_close(d->running);
        }
    ap_counts_close(&s->counts);
    json_decref(s->indexes);
    pthread_mutex_destroy(&s->lock);
    ap_arena_release(&s->arena);
    free(s);
}

// What is lent belongs to both from now on. No lock: the thread that forks may hold it, to start a worker.
void ap_server_forking(aipc_server *s) {
    for (aipc_served *m = s->models; m; m = m->next)
        for (aipc_deployed *d = m->list; d; d = d->next) {
            aipc_artifact *a = d->running;
            if (a) ap_pool_forking(a->pool);
        }
}

// Nobody else lives here: a lock that was held stays so, and the workers are the parent's.
void ap_server_forked(aipc_server *s) {
    pthread_mutex_init(&s->lock, NULL);
    for (aipc_served *m = s->models; m; m = m->next)
        for (aipc_deployed *d = m->list; d; d = d->next) {
            ap_artifact_close(d->running);
            d->running = NULL;
        }
}

json_t *ap_server_models(const aipc_server *s) {
    json_t *list = json_array();
    for (const aipc_served *m = s->models; m; m = m->next) {
        const json_t *id = json_object_get(m->entry, "identity");
        json_array_append_new(list, json_pack("{so,ss,ss,so,so}", "name", ap_json_string(m->name), "kind",
                                              ap_json_str(m->entry, "kind", "session"), "class",
                                              ap_json_str(id, "class", ""), "arch",
                                              ap_json_string(ap_json_str(id, "arch", NULL)), "path",
                                              ap_json_string(ap_json_str(m->entry, "path", NULL))));
    }
    return list;
}

ap_err ap_server_find_model(const aipc_server *s, const char *path, const void *bytes, size_t len,
                            aipc_served **out) {
    ap_digest hash;
    ap_err err = NULL;
    *out = NULL;
    if (!s->models) return NULL; // nothing is hashed for nothing
    if (path)
        AP_TRY(ap_sha256_file(path, &hash));
    else
        hash = ap_sha256_of(bytes, len);
    *out = ap_server_find(s, hash.hex);
done:
    return err;
}
