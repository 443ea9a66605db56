// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Weights outside the model file. A model names a file; a hostile one names /etc/shadow. So a location is
// relative, climbs nowhere, and after all links are resolved lies inside the model's folder.

bool ap_is_external(const Onnx__TensorProto *t) {
    return t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__LOCATION__EXTERNAL;
}

static const char *entry(const Onnx__TensorProto *t, const char *key) {
    for (size_t i = 0; i < t->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = t->external_data[i];
        if (e->key && !strcmp(e->key, key)) return e->value ? e->value : "";
    }
    return NULL;
}

const char *ap_external_location(const Onnx__TensorProto *t) {
    return entry(t, "location");
}

static bool climbs(const char *path) {
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/\\");
        if (n == 2 && p[0] == '.' && p[1] == '.') return true;
        p += n;
        if (*p) p++;
    }
    return false;
}

static ap_err bad_location(const char *location, const char *why) {
    ap_err err = ap_err_new(AP_ERR_MODEL_EXTERNAL, "external data location \"%s\" %s", location, why);
    return ap_err_hint(err, "external data must be a file beside the model or in a folder below it");
}

ap_err ap_external_path(const ap_model *m, const char *location, ap_arena *arena, char **out) {
    if (!m->dir)
        return bad_location(location, "cannot be used: the model was read from memory and has no folder");
    if (!*location) return bad_location(location, "is empty");
    bool drive = location[0] && location[1] == ':'; // a Windows path is absolute too
    if (location[0] == '/' || location[0] == '\\' || drive)
        return bad_location(location, "is an absolute path");
    if (climbs(location)) return bad_location(location, "leaves the model's folder");
    char *dir = NULL, *real = NULL;
    ap_err err = ap_path_real(m->dir, arena, &dir);
    if (err) return err;
    err = ap_path_real(ap_path_join(arena, dir, location), arena, &real);
    if (err) {
        ap_err_free(err);
        err = ap_err_new(AP_ERR_MODEL_EXTERNAL, "external data file \"%s\" is not in %s", location, dir);
        return ap_err_hint(err, "put the file beside the model");
    }
    if (!ap_path_inside(dir, real)) return bad_location(location, "is a link that leaves the model's folder");
    *out = real;
    return NULL;
}

static ap_err open_location(const ap_model *m, const char *location, const ap_filemap **out) {
    // The cache does not change what the model is; ap_model_verify and readers hold it const.
    ap_map *cache = (ap_map *)(uintptr_t)&m->external;
    ap_filemap *map = ap_map_get(cache, location);
    if (!map) {
        ap_arena scratch = {0};
        char *path = NULL;
        ap_filemap opened = {0};
        ap_err err = ap_external_path(m, location, &scratch, &path);
        if (!err) {
            err = ap_filemap_open(path, &opened);
            if (err) {
                ap_err cause = err;
                err = ap_err_new(AP_ERR_MODEL_EXTERNAL, "external data file \"%s\" cannot be read: %s",
                                 location, ap_err_message(cause));
                ap_err_free(cause);
            }
        }
        ap_arena_release(&scratch);
        if (err) return err;
        map = ap_alloc(sizeof *map);
        *map = opened;
        ap_map_set(cache, location, map);
    }
    *out = map;
    return NULL;
}

// A number as the format writes it: decimal digits only.
static bool read_number(const char *s, uint64_t *out) {
    if (!*s || strspn(s, "0123456789") != strlen(s)) return false;
    errno = 0;
    *out = strtoull(s, NULL, 10);
    return errno == 0;
}

static ap_err number_entry(const Onnx__TensorProto *t, const char *key, uint64_t fallback, uint64_t *out) {
    const char *s = entry(t, key);
    *out = fallback;
    if (s && !read_number(s, out))
        return ap_err_new(AP_ERR_MODEL_EXTERNAL,
                          "tensor \"%s\": external data %s is \"%s\", not a number of bytes",
                          ap_proto_name(t), key, s);
    return NULL;
}

ap_err ap_external_data(const ap_model *m, const Onnx__TensorProto *t, const uint8_t **data, size_t *bytes) {
    const char *name = ap_proto_name(t), *location = ap_external_location(t);
    const ap_filemap *map = NULL;
    size_t count, need;
    uint64_t offset = 0, length = 0;
    ap_err err = NULL;
    if (!location)
        AP_FAIL(AP_ERR_MODEL_EXTERNAL, "tensor \"%s\" says its data is external but names no file", name);
    AP_TRY(ap_proto_bytes(t, &count, &need));
    if (need == SIZE_MAX)
        AP_FAIL(AP_ERR_MODEL_EXTERNAL, "tensor \"%s\": data of type %d cannot be external", name,
                (int)t->data_type);
    AP_TRY(number_entry(t, "offset", 0, &offset));
    AP_TRY(number_entry(t, "length", need, &length));
    if (length != need)
        AP_FAIL(AP_ERR_MODEL_EXTERNAL,
                "tensor \"%s\": external data length is %llu bytes, its type and shape need %zu", name,
                (unsigned long long)length, need);
    AP_TRY(open_location(m, location, &map));
    if (offset > map->bytes || need > map->bytes - offset)
        AP_FAIL(AP_ERR_MODEL_EXTERNAL, "tensor \"%s\" needs bytes %llu to %llu of \"%s\", which has %zu",
                name, (unsigned long long)offset, (unsigned long long)offset + need, location, map->bytes);
    *data = map->data ? map->data + offset : NULL;
    *bytes = need;
done:
    return ap_err_subject(err, name);
}
