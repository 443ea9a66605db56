// SPDX-License-Identifier: Apache-2.0
// Example inputs: files, photos, or seeded random numbers.
#include "base/hash.h"
#include "golden/contract.h"
#include "golden/request.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

static ap_err check_fits(const ap_input_job *j, const ap_tensor *t) {
    if (t->dtype != j->dtype &&
        !(ap_dtype_bits(t->dtype) == ap_dtype_bits(j->dtype) && t->dtype == AP_U16 && j->dtype == AP_BF16))
        return ap_err_subject(ap_err_new(AP_ERR_INPUT_DTYPE, "input '%s': %s holds %s, the model wants %s",
                                         j->name, j->file, ap_dtype_name(t->dtype), ap_dtype_name(j->dtype)),
                              j->name);
    if (ap_shape_equal(t->dims, t->rank, j->dims, j->rank)) return NULL;
    ap_buf have = {0}, want = {0};
    ap_shape_format(t->dims, t->rank, &have);
    ap_shape_format(j->dims, j->rank, &want);
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "input '%s': %s has shape %s, the model wants %s", j->name,
                            j->file, ap_buf_str(&have), ap_buf_str(&want));
    ap_buf_free(&have);
    ap_buf_free(&want);
    return ap_err_subject(err, j->name);
}

static ap_err load_image(const ap_input_job *j, ap_tensor *out, json_t *source) {
    ap_image_recipe recipe;
    ap_buf text = {0};
    ap_err err = NULL;
    ap_image_recipe_default(&recipe);
    if (j->recipe) AP_TRY(ap_image_recipe_parse(j->recipe, &recipe));
    AP_TRY(ap_image_load(j->file, &recipe, j->dtype, j->dims, j->rank, out));
    ap_image_recipe_format(&recipe, &text);
    json_object_set_new(source, "kind", json_string("image"));
    json_object_set_new(source, "recipe", json_string(ap_buf_str(&text)));
done:
    ap_buf_free(&text);
    return err;
}

static ap_err load_file(const ap_input_job *j, ap_tensor *out, json_t *source) {
    const char *ext = ap_path_ext(j->file), *kind = ext + (*ext == '.');
    ap_digest digest;
    ap_err err = NULL;
    AP_TRY(ap_sha256_file(j->file, &digest));
    if (strcmp(ext, ".npy") == 0) {
        AP_TRY(ap_npy_map(j->file, out));
    } else if (strcmp(ext, ".pb") == 0) {
        AP_TRY(ap_tensor_load_pb(j->file, out));
    } else if (strcmp(ext, ".raw") == 0 || strcmp(ext, ".bin") == 0) {
        kind = "raw";
        AP_TRY(ap_raw_map(j->file, j->dtype, j->dims, j->rank, out));
    } else if (ap_image_is_image(j->file) || strcmp(ext, ".jpg") == 0 || strcmp(ext, ".jpeg") == 0 ||
               strcmp(ext, ".png") == 0) {
        AP_TRY(load_image(j, out, source));
    } else {
        err = ap_err_hint(
            ap_err_new(AP_ERR_INPUT_FILE, "%s is no .npy, .pb, .raw, .bin, .jpg or .png file", j->file),
            "convert it, or rename a dump of the tensor's bytes to .raw");
        goto done;
    }
    if (!json_object_get(source, "kind")) json_object_set_new(source, "kind", json_string(kind));
    json_object_set_new(source, "file", ap_json_string(j->file));
    json_object_set_new(source, "sha256", json_string(digest.hex));
    AP_TRY(check_fits(j, out));
done:
    return err;
}

static ap_err make_random(const ap_input_job *j, ap_tensor *out, json_t *source, json_t *warnings) {
    // Ints get small non-negative numbers: they are mostly indices, and an index out of range is no test of a
    // backend.
    ap_err err = ap_tensor_alloc(j->dtype, j->dims, j->rank, out);
    if (!err) err = ap_tensor_random(out, j->seed, 0.0, ap_dtype_is_int(j->dtype) ? 4.0 : 1.0);
    if (err) return ap_err_subject(ap_err_context(err, "input '%s'", j->name), j->name);
    json_object_set_new(source, "kind", json_string("random"));
    json_object_set_new(source, "seed", json_integer((json_int_t)j->seed));
    char *text = NULL;
    ap_buf b = {0};
    ap_buf_printf(
        &b,
        "input '%s' is seeded random (seed %llu): the gates say little about real data; give --input %s=FILE",
        j->name, (unsigned long long)j->seed, j->name);
    text = ap_buf_detach(&b);
    json_array_append_new(warnings, ap_json_string(text));
    free(text);
    return NULL;
}

static ap_err check_finite(const ap_input_job *j, const ap_tensor *t) {
    int64_t at = ap_tensor_find_nonfinite(t);
    if (at < 0) return NULL;
    ap_err err = ap_err_new(AP_ERR_INPUT_NAN, "input '%s': %s holds %g at flat index %lld", j->name,
                            j->file ? j->file : "it", ap_tensor_at(t, (size_t)at), (long long)at);
    return ap_err_hint(ap_err_subject(err, j->name),
                       "a golden run on NaN or Inf proves nothing; clean the input");
}

ap_err ap_contract_input(const ap_input_job *j, json_t *inputs, json_t *tensors, json_t *warnings) {
    json_t *source = json_object();
    ap_tensor t = {0};
    ap_err err = NULL;
    if (j->file)
        AP_TRY(load_file(j, &t, source));
    else
        AP_TRY(make_random(j, &t, source, warnings));
    t.dtype = j->dtype;
    AP_TRY(check_finite(j, &t));
    AP_TRY(ap_npy_write(j->npy_path, &t));
    ap_digest data = ap_sha256_of(t.data, t.bytes);
    json_t *io = json_pack("{so,ss,so}", "name", ap_json_string(j->name), "dtype", ap_dtype_name(j->dtype),
                           "dims", ap_json_dims(j->dims, j->rank));
    json_t *tensor = json_deep_copy(io);
    json_object_set_new(tensor, "file", json_string(j->npy_path));
    json_array_append_new(tensors, tensor);
    json_object_set_new(io, "data_sha256", json_string(data.hex));
    json_object_set(io, "source", source);
    json_array_append_new(inputs, io);
done:
    json_decref(source);
    ap_tensor_free(&t);
    return err;
}

static ap_err check_names(const ap_model *m, const char *const *list, size_t count, const char *flag,
                          const char *wants) {
    ap_arena a = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        char *name = NULL;
        const char *rest = NULL;
        AP_TRY(ap_request_split(list[i], flag, wants, &a, &name, &rest));
        if (!ap_request_is_input(m, name)) AP_TRY(ap_request_unknown_input(m, name, flag));
        if (ap_request_find(list, i, name)) AP_FAIL(AP_ERR_USAGE, "%s names input '%s' twice", flag, name);
    }
done:
    ap_arena_release(&a);
    return err;
}

ap_err ap_contract_inputs(ap_model *m, const ap_input_request *r, const char *dir, json_t **inputs,
                          json_t **tensors, json_t *warnings) {
    ap_arena a = {0};
    json_t *in = json_array(), *ts = json_array();
    ap_err err = NULL;
    AP_TRY(check_names(m, r->inputs, r->input_count, "--input", "NAME=FILE"));
    AP_TRY(check_names(m, r->recipes, r->recipe_count, "--recipe", "NAME=layout=nchw,…"));
    for (size_t i = 0; i < m->graph->input_count; i++) {
        const ap_value *v = m->graph->inputs[i];
        ap_input_job j = {.name = v->name, .seed = r->seed + i};
        j.file = ap_request_find(r->inputs, r->input_count, j.name);
        j.recipe = ap_request_find(r->recipes, r->recipe_count, j.name);
        j.npy_path = ap_path_join(&a, dir, ap_arena_printf(&a, "%zu.npy", i));
        if (!ap_value_shape(v, &j.dtype, j.dims, &j.rank, NULL))
            AP_FAIL(AP_ERR_INPUT_DTYPE, "input '%s' is no tensor; only tensor inputs can be deployed",
                    j.name);
        AP_TRY(ap_contract_input(&j, in, ts, warnings));
    }
    *inputs = in;
    *tensors = ts;
    in = ts = NULL;
done:
    json_decref(in);
    json_decref(ts);
    ap_arena_release(&a);
    return err;
}
