// SPDX-License-Identifier: Apache-2.0
#include "plan/recording/export_request.h"

#include "plan/recording/export.h"
#include "tensor/tensor.h"

#include <string.h>

enum { SAMPLES = 4 };

json_t *ap_export_attempts(bool level1_first) {
    static const struct {
        const char *exporter;
        int opset, level1; // level1: with the replacements of level1.py
    } all[] = {{"torch.export", 18, 0}, {"torchscript", 17, 0},  {"torch.export", 18, 1},
               {"torchscript", 17, 1},  {"torch.export", 20, 0}, {"torchscript", 20, 0}};
    json_t *list = json_array();
    for (int round = 0; round < 1 + level1_first; round++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (!level1_first || all[i].level1 != round)
                json_array_append_new(list,
                                      json_pack("[s,i,b]", all[i].exporter, all[i].opset, all[i].level1));
    return list;
}

// ---- a signature

// Tensors of one sample as the replay wants them: leaves with the absolute paths of their files.
static json_t *tensors(const char *recording, const json_t *leaves, const json_t *files) {
    json_t *list = json_array(), *leaf;
    size_t i;
    json_array_foreach(leaves, i, leaf) {
        const char *file = json_string_value(json_array_get(files, i));
        json_t *t = json_copy(leaf);
        json_object_set_new(t, "file", json_sprintf("%s/%s", recording, file ? file : ""));
        json_array_append_new(list, t);
    }
    return list;
}

static bool has_half(const json_t *leaves) {
    size_t i;
    json_t *leaf;
    json_array_foreach(leaves, i, leaf) {
        ap_dtype t = ap_dtype_from_name(ap_json_str(leaf, "dtype", ""));
        if (t == AP_F16 || t == AP_BF16) return true;
    }
    return false;
}

json_t *ap_export_ask_signature(const char *recording, const json_t *model, const json_t *sig) {
    const json_t *inputs = json_object_get(sig, "inputs"), *outputs = json_object_get(sig, "outputs");
    json_t *asked = json_copy((json_t *)(uintptr_t)sig), *samples = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(sig, "samples"), i, one) {
        if (i >= SAMPLES) break;
        json_array_append_new(samples,
                              json_pack("{so,so}", "inputs",
                                        tensors(recording, inputs, json_object_get(one, "inputs")), "outputs",
                                        tensors(recording, outputs, json_object_get(one, "outputs"))));
    }
    bool half = ap_json_bool(model, "half", false) || has_half(inputs) || has_half(outputs);
    json_object_set_new(asked, "samples", samples);
    json_object_set_new(asked, "precision", json_string(half ? "fp16" : "fp32"));
    return asked;
}

// ---- one model for several sizes

static bool same_forms(const json_t *a, const json_t *b) {
    if (json_array_size(a) != json_array_size(b)) return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
        if (strcmp(ap_json_str(x, "dtype", ""), ap_json_str(y, "dtype", "")) != 0 ||
            json_array_size(json_object_get(x, "dims")) != json_array_size(json_object_get(y, "dims")))
            return false;
    }
    return true;
}

static bool differ_in_sizes(const json_t *a, const json_t *b) {
    return json_equal(json_object_get(a, "spec"), json_object_get(b, "spec")) &&
           same_forms(json_object_get(a, "inputs"), json_object_get(b, "inputs")) &&
           same_forms(json_object_get(a, "outputs"), json_object_get(b, "outputs"));
}

static const json_t *dims_of(const json_t *sig, size_t leaf) {
    return json_object_get(json_array_get(json_object_get(sig, "inputs"), leaf), "dims");
}

static double elements(const json_t *sig) {
    const json_t *inputs = json_object_get(sig, "inputs"), *leaf, *dim;
    double all = 0, one;
    size_t i, k;
    json_array_foreach(inputs, i, leaf) {
        one = 1;
        json_array_foreach(json_object_get(leaf, "dims"), k, dim) one *= (double)json_integer_value(dim);
        all += one;
    }
    return all;
}

static const json_t *member(const json_t *signatures, const json_t *group, size_t i) {
    return json_array_get(signatures, (size_t)json_integer_value(json_array_get(group, i)));
}

// Axes of a leaf whose size is not the same in all of the group.
static json_t *open_axes(const json_t *signatures, const json_t *group, size_t leaf) {
    const json_t *dims = dims_of(member(signatures, group, 0), leaf);
    json_t *axes = json_array();
    for (size_t axis = 0; axis < json_array_size(dims); axis++) {
        bool same = true;
        for (size_t i = 1; same && i < json_array_size(group); i++)
            same = json_equal(json_array_get(dims, axis),
                              json_array_get(dims_of(member(signatures, group, i), leaf), axis));
        if (!same) json_array_append_new(axes, json_integer((json_int_t)axis));
    }
    return axes;
}

// Those like the one at `first` that come after it; NULL when it is not the first of its kind, or the only
// one.
static json_t *group_of(const json_t *signatures, size_t first) {
    const json_t *sig = json_array_get(signatures, first), *other;
    json_t *group = json_array();
    double most = -1;
    for (size_t i = 0; (other = json_array_get(signatures, i)) != NULL; i++) {
        if (!differ_in_sizes(sig, other)) continue;
        if (i < first) break;
        bool largest = elements(other) > most;
        if (largest) most = elements(other);
        json_array_insert_new(group, largest ? 0 : json_array_size(group), json_integer((json_int_t)i));
    }
    if (json_array_size(group) > 1) return group;
    json_decref(group);
    return NULL;
}

static json_t *alike(const json_t *signatures) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(signatures); i++) {
        const json_t *inputs = json_object_get(json_array_get(signatures, i), "inputs");
        json_t *group = group_of(signatures, i), *open = json_array();
        for (size_t leaf = 0; group && leaf < json_array_size(inputs); leaf++)
            json_array_append_new(open, open_axes(signatures, group, leaf));
        if (group) json_array_append_new(list, json_pack("{sO,sO}", "signatures", group, "open", open));
        json_decref(group);
        json_decref(open);
    }
    return list;
}

// ---- a model

json_t *ap_export_ask(const char *recording, const json_t *model, bool level1) {
    json_t *signatures = json_array(), *chosen = ap_export_signatures(model), *sig;
    size_t i;
    json_array_foreach(chosen, i, sig)
        json_array_append_new(signatures, ap_export_ask_signature(recording, model, sig));
    json_decref(chosen);
    const char *path = ap_json_str(model, "path", "");
    return json_pack("{sO,sO,ss,sb,sO?,so,so}", "name", json_object_get(model, "name"), "identity",
                     json_object_get(model, "identity"), "method", *path == '.' ? path + 1 : "", "training",
                     ap_json_bool(model, "training", false), "forward_hooks",
                     json_object_get(model, "forward_hooks"), "alike",
                     level1 ? json_array() : alike(signatures), "signatures", signatures);
}
