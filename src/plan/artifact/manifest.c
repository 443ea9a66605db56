// SPDX-License-Identifier: Apache-2.0
// The manifest's text is outside data: everything in it is checked before anything uses it.
#include "plan/artifact/artifact.h"

#include <string.h>

static bool plain_name(const char *s) {
    return s && *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static ap_err check_tensor(const json_t *t, const char *what) {
    int64_t dims[AP_MAX_RANK];
    const json_t *list = json_object_get(t, "dims");
    size_t rank = json_array_size(list), bytes = 0;
    ap_dtype dtype = ap_dtype_from_name(ap_json_str(t, "dtype", ""));
    if (!ap_json_str(t, "name", NULL) || dtype == AP_DTYPE_NONE || !json_is_array(list) || rank > AP_MAX_RANK)
        return ap_err_new(AP_ERR_CORRUPT, AP_MANIFEST ": a tensor of its %s is malformed", what);
    for (size_t i = 0; i < rank; i++) { // what is no integer is no size: -1 is refused below
        const json_t *d = json_array_get(list, i);
        dims[i] = json_is_integer(d) ? json_integer_value(d) : -1;
    }
    ap_err bad = ap_shape_bytes(dtype, dims, rank, &bytes), err = NULL;
    if (bad)
        err = ap_err_new(AP_ERR_CORRUPT, AP_MANIFEST ": '%s': %s", ap_json_str(t, "name", ""),
                         ap_err_message(bad));
    ap_err_free(bad);
    return err;
}

static ap_err check_tensors(const json_t *owner, const char *key, bool with_file) {
    json_t *list = NULL, *t;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_json_get_arr(owner, key, AP_MANIFEST, AP_ERR_CORRUPT, &list));
    json_array_foreach(list, i, t) {
        AP_TRY(check_tensor(t, key));
        if (with_file && !plain_name(ap_json_str(t, "file", NULL)))
            AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST ": golden tensor %zu names a file outside the folder", i);
    }
done:
    return err;
}

static ap_err check_target(const json_t *t) {
    json_t *files = NULL, *f;
    const char *text = NULL, *dir = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(t, "target", AP_MANIFEST, AP_ERR_CORRUPT, &text));
    AP_TRY(ap_json_get_str(t, "dir", AP_MANIFEST, AP_ERR_CORRUPT, &dir));
    AP_TRY(ap_json_get_arr(t, "files", AP_MANIFEST, AP_ERR_CORRUPT, &files));
    if (!plain_name(dir)) AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST ": target folder '%s' lies outside", dir);
    json_array_foreach(files, i, f) {
        const char *sha = ap_json_str(f, "sha256", "");
        if (!plain_name(ap_json_str(f, "file", NULL)))
            AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST ": file %zu of target %s, '%s', lies outside", i, text,
                    ap_json_str(f, "file", ""));
        if (ap_json_int(f, "bytes", -1) < 0 || strlen(sha) != 64)
            AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST ": file %zu of target %s is malformed", i, text);
    }
done:
    return err;
}

ap_err ap_manifest_parse(const char *text, size_t len, json_t **out) {
    json_t *j = NULL, *contract = NULL, *golden = NULL, *targets = NULL, *t;
    int64_t format = 0;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_json_parse(text, len, AP_MANIFEST, AP_ERR_CORRUPT, &j));
    AP_TRY(ap_json_get_int(j, "format", AP_MANIFEST, AP_ERR_CORRUPT, &format));
    if (format != AP_MANIFEST_FORMAT)
        AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST " has format %lld, this aipc reads %d", (long long)format,
                AP_MANIFEST_FORMAT);
    AP_TRY(ap_json_get_obj(j, "contract", AP_MANIFEST, AP_ERR_CORRUPT, &contract));
    AP_TRY(ap_json_get_obj(j, "golden", AP_MANIFEST, AP_ERR_CORRUPT, &golden));
    AP_TRY(ap_json_get_arr(j, "targets", AP_MANIFEST, AP_ERR_CORRUPT, &targets));
    AP_TRY(check_tensors(contract, "inputs", false));
    AP_TRY(check_tensors(contract, "outputs", false));
    AP_TRY(check_tensors(golden, "inputs", true));
    AP_TRY(check_tensors(golden, "outputs", true));
    json_array_foreach(targets, i, t) AP_TRY(check_target(t));
    if (json_array_size(targets) == 0) AP_FAIL(AP_ERR_CORRUPT, AP_MANIFEST " lists no target");
    *out = j;
    j = NULL;
done:
    json_decref(j);
    return err;
}
