// SPDX-License-Identifier: Apache-2.0
// The artifact folder: OUT/manifest.json, OUT/report.*, OUT/TARGET/ (what ships), OUT/golden/ (inputs and
// expected outputs).
//
// Folders are made under another name and renamed; the manifest goes first when work begins and comes last,
// with the size and hash of every file, so a reader never takes half of a deployment for a whole one.
#include "base/hash.h"
#include "plan/artifact/artifact.h"
#include "plan/artifact/index.h"
#include "plan/deploy/deploy.h"
#include "report/report.h"
#include "surgery/pass/record.h"

#include <string.h>

// OUT/name.new is complete: it takes the place of OUT/name.
static ap_err swap_in(ap_arena *a, const char *out, const char *name) {
    char *dir = ap_path_join(a, out, name), *fresh = ap_arena_printf(a, "%s.new", dir),
         *old = ap_arena_printf(a, "%s.old", dir);
    ap_err err = ap_rmtree(old);
    if (!err && ap_is_dir(dir)) err = ap_file_rename(dir, old);
    if (!err) err = ap_file_rename(fresh, dir);
    if (!err) err = ap_rmtree(old);
    return err;
}

static ap_err start_new(ap_arena *a, const char *out, const char *name, char **fresh) {
    *fresh = ap_arena_printf(a, "%s.new", ap_path_join(a, out, name));
    ap_err err = ap_rmtree(*fresh);
    return err ? err : ap_mkdirs(*fresh);
}

static ap_err write_target(const ap_deploy_target *t, json_t *manifest_targets) {
    ap_deployment *d = t->d;
    ap_arena a = {0};
    json_t *files = ap_artifact_files(t), *f;
    char *fresh = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(start_new(&a, d->out_dir, t->id.folder, &fresh));
    json_array_foreach(files, i, f) {
        const char *name = ap_json_str(f, "file", "");
        if (strcmp(ap_json_str(f, "role", ""), "plan") == 0) {
            AP_TRY(ap_plan_save(ap_path_join(&a, fresh, name), json_object_get(t->surgery, "plan")));
            continue;
        }
        AP_TRY(ap_file_copy(ap_path_join(&a, t->build_dir, name), ap_path_join(&a, fresh, name)));
    }
    AP_TRY(swap_in(&a, d->out_dir, t->id.folder));
    json_t *m = json_pack("{ss,ss,ss,ss,so,so,sO,sO}", "target", t->id.text, "kind", t->id.kind, "dir",
                          t->id.folder, "precision", t->precision, "soc_model",
                          t->id.soc ? json_integer(t->id.soc->soc_model) : json_null(), "verdict",
                          json_string(t->err ? "fail" : "pass"), "files", files, "gates", t->gate_list);
    json_object_set_new(m, "build_key", json_string(t->build_key));
    const json_t *compat = json_object_get(t->build, "compatibility");
    if (compat) json_object_set(m, "compatibility", (json_t *)(uintptr_t)compat);
    json_array_append_new(manifest_targets, m);
done:
    json_decref(files);
    ap_arena_release(&a);
    return err;
}

// Copies tensors as golden/SIDE-N.npy; the manifest's list names them.
static ap_err copy_tensors(const char *fresh, const char *side, const json_t *tensors, json_t *out) {
    ap_arena a = {0};
    size_t i;
    json_t *t;
    ap_err err = NULL;
    json_array_foreach((json_t *)(uintptr_t)tensors, i, t) {
        char *name = ap_arena_printf(&a, "%s-%zu.npy", side, i), *to = ap_path_join(&a, fresh, name);
        ap_digest h;
        AP_TRY(ap_file_copy(ap_json_str(t, "file", ""), to));
        AP_TRY(ap_sha256_file(to, &h));
        json_array_append_new(out, json_pack("{sO,sO,sO,so,ss}", "name", json_object_get(t, "name"), "dtype",
                                             json_object_get(t, "dtype"), "dims", json_object_get(t, "dims"),
                                             "file", ap_json_string(name), "sha256", h.hex));
    }
done:
    ap_arena_release(&a);
    return err;
}

static ap_err write_golden(const ap_deployment *d, json_t **out) {
    ap_arena a = {0};
    json_t *in = json_array(), *outs = json_array(), *inner = json_array();
    char *fresh = NULL;
    ap_err err = NULL;
    AP_TRY(start_new(&a, d->out_dir, "golden", &fresh));
    AP_TRY(copy_tensors(fresh, "input", d->input_tensors, in));
    AP_TRY(copy_tensors(fresh, "output", d->golden, outs));
    AP_TRY(copy_tensors(fresh, "value", d->intermediates, inner));
    AP_TRY(swap_in(&a, d->out_dir, "golden"));
    *out = json_pack("{sO,sO,sO}", "inputs", in, "outputs", outs, "intermediates", inner);
done:
    json_decref(in);
    json_decref(outs);
    json_decref(inner);
    ap_arena_release(&a);
    return err;
}

ap_err ap_deploy_write(ap_deployment *d, json_t *document) {
    ap_arena a = {0};
    json_t *targets = json_array(), *golden = NULL, *manifest = NULL;
    char *path = ap_path_join(&a, d->out_dir, AP_MANIFEST);
    ap_err err = NULL;
    AP_TRY(ap_file_remove(path));
    // The index of an earlier deployment of several models or shapes would hide this one.
    if (ap_index_is_ours(d->out_dir)) AP_TRY(ap_file_remove(ap_path_join(&a, d->out_dir, AP_INDEX)));
    for (size_t i = 0; i < d->target_count; i++)
        if (d->targets[i].build_dir && d->targets[i].gate_list && !d->baseline_err)
            AP_TRY(write_target(&d->targets[i], targets));
    for (size_t i = 0; i < d->target_count; i++) AP_TRY(ap_target_write_left(&d->targets[i]));
    AP_TRY(ap_report_write(document, d->out_dir));
    if (json_array_size(targets) == 0) goto done; // nothing to run: a report, but no artifact
    AP_TRY(write_golden(d, &golden));
    manifest = json_pack(
        "{si,ss,sO,sO,s{sO,ss},sO,sO,sO,sO}", "format", AP_MANIFEST_FORMAT, "aipc", AP_VERSION, "created",
        json_object_get(document, "created"), "verdict", json_object_get(document, "verdict"), "model",
        "file", json_object_get(d->stats, "file"), "sha256", d->digest, "tools",
        json_object_get(document, "tools"), "contract", d->contract, "targets", targets, "golden", golden);
    const json_t *unread = json_object_get(document, "unread");
    if (json_is_object(unread)) json_object_set(manifest, "unread", (json_t *)(uintptr_t)unread);
    AP_TRY(ap_json_save(path, manifest));
done:
    json_decref(targets);
    json_decref(golden);
    json_decref(manifest);
    ap_arena_release(&a);
    return ap_err_stage(err, "report");
}
