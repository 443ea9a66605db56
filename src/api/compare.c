// SPDX-License-Identifier: Apache-2.0
#include "api/compare.h"

#include "graph/inspect.h"
#include "tensor/metrics.h"
#include "tensor/npy.h"

#include <string.h>

typedef enum kind { KIND_NONE, KIND_TENSOR, KIND_FOLDER, KIND_MODEL } kind;

static bool is_tensor_file(const char *path) {
    const char *ext = ap_path_ext(path);
    return strcmp(ext, ".npy") == 0 || strcmp(ext, ".pb") == 0;
}

static kind kind_of(const char *path) {
    if (ap_is_dir(path)) return KIND_FOLDER;
    if (is_tensor_file(path)) return KIND_TENSOR;
    return strcmp(ap_path_ext(path), ".onnx") == 0 ? KIND_MODEL : KIND_NONE;
}

static ap_err load(const char *path, ap_tensor *out) {
    return strcmp(ap_path_ext(path), ".pb") == 0 ? ap_tensor_load_pb(path, out) : ap_npy_map(path, out);
}

// One pair. A pair that cannot be compared (shapes differ) is a result with an error, not the end of the
// comparison.
static ap_err compare_pair(const char *name, const char *a, const char *b, json_t *list, bool *equal) {
    ap_tensor x = {0}, y = {0};
    ap_metrics m;
    ap_err err = NULL;
    AP_TRY(load(a, &x));
    AP_TRY(load(b, &y));
    ap_err differ = ap_metrics_compare(&x, &y, AP_CHANNEL_AXIS, &m);
    json_array_append_new(list, json_pack("{so,so,so}", "name", ap_json_string(name), "metrics",
                                          differ ? json_null() : ap_metrics_json(&m), "error",
                                          differ ? ap_json_from_err(differ) : json_null()));
    *equal = *equal && !differ && m.bit_equal;
    ap_err_free(differ);
done:
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

static ap_err compare_folders(const char *a, const char *b, json_t *doc, bool *equal) {
    ap_arena arena = {0};
    const char **names[2] = {NULL, NULL};
    size_t count[2] = {0, 0};
    ap_err err = NULL;
    AP_TRY(ap_list_dir(a, &arena, &names[0], &count[0]));
    AP_TRY(ap_list_dir(b, &arena, &names[1], &count[1]));
    for (size_t i = 0, k = 0; i < count[0] || k < count[1];) { // both lists are sorted
        int order = i == count[0] ? 1 : k == count[1] ? -1 : strcmp(names[0][i], names[1][k]);
        const char *name = order <= 0 ? names[0][i] : names[1][k];
        if (order == 0 && is_tensor_file(name)) {
            AP_TRY(compare_pair(name, ap_path_join(&arena, a, name), ap_path_join(&arena, b, name),
                                json_object_get(doc, "tensors"), equal));
        } else if (is_tensor_file(name)) {
            json_array_append_new(json_object_get(doc, order < 0 ? "only_a" : "only_b"),
                                  ap_json_string(name));
            *equal = false;
        }
        i += order <= 0;
        k += order >= 0;
    }
    if (json_array_size(json_object_get(doc, "tensors")) == 0)
        AP_FAIL(AP_ERR_INPUT_FILE, "%s and %s have no .npy or .pb file of the same name", a, b);
done:
    ap_arena_release(&arena);
    return err;
}

static ap_err compare_models(const char *a, const char *b, json_t **document) {
    ap_model *x = NULL, *y = NULL;
    ap_err err = NULL;
    AP_TRY(ap_model_load(a, &x));
    AP_TRY(ap_model_load(b, &y));
    AP_TRY(ap_model_diff(x, y, document));
    json_object_set_new(*document, "kind", json_string("model"));
done:
    ap_model_free(x);
    ap_model_free(y);
    return err;
}

ap_err ap_compare(const char *a, const char *b, json_t **document) {
    const char *paths[] = {a, b};
    for (size_t i = 0; i < 2; i++)
        if (!ap_file_exists(paths[i]))
            return ap_err_subject(ap_err_new(AP_ERR_NOT_FOUND, "%s does not exist", paths[i]), paths[i]);
    kind ka = kind_of(a), kb = kind_of(b);
    if (ka == KIND_NONE || ka != kb)
        return ap_err_hint(ap_err_new(AP_ERR_INPUT_FILE, "cannot compare %s with %s", a, b),
                           "give two tensors (.npy, .pb), two folders of them, or two models (.onnx)");
    if (ka == KIND_MODEL) return compare_models(a, b, document);
    bool equal = true;
    json_t *doc = json_pack("{ss,s[],s[],s[]}", "kind", ka == KIND_TENSOR ? "tensor" : "folder", "tensors",
                            "only_a", "only_b");
    ap_err err = ka == KIND_TENSOR
                     ? compare_pair(ap_path_base(b), a, b, json_object_get(doc, "tensors"), &equal)
                     : compare_folders(a, b, doc, &equal);
    if (err) {
        json_decref(doc);
        return err;
    }
    json_object_set_new(doc, "equal", json_boolean(equal));
    *document = doc;
    return NULL;
}
