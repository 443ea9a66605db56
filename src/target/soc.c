// SPDX-License-Identifier: Apache-2.0
// The table: read once from the embedded JSON, then constant.
#include "target/soc.h"

#include "base/data.h"
#include "base/json.h"
#include "base/mem.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

// Written once under `once`, read-only after it. The rows live as long as the program.
static struct {
    ap_arena arena;
    ap_soc *rows;
    size_t count;
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const json_t *version_row(const json_t *htp, int version) {
    const json_t *list = json_object_get(htp, "versions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        if (ap_json_int(row, "htp_version", 0) == version) return row;
    }
    return NULL;
}

static ap_figure read_figure(ap_arena *a, const json_t *o) {
    double value = ap_json_num(o, "value", 0);
    if (!(value > 0)) return (ap_figure){.source = ""};
    return (ap_figure){.value = value,
                       .assumed = ap_json_bool(o, "assumed", true),
                       .source = ap_arena_strdup(a, ap_json_str(o, "source", ""))};
}

// A figure that is absent in the SoC's row comes from its HTP version; null means unknown and stays 0.
static ap_figure pick_figure(ap_arena *a, const json_t *row, const json_t *version, const char *key) {
    const json_t *own = json_object_get(row, key);
    return read_figure(a, own ? own : json_object_get(version, key));
}

static ap_figure pick_fp16(ap_arena *a, const ap_soc *s, const json_t *row, const json_t *version) {
    const json_t *own = json_object_get(row, "fp16_tflops");
    ap_figure ratio = read_figure(a, json_object_get(version, "fp16_per_int8"));
    if (own) return read_figure(a, own);
    if (s->fp16 == AP_NO || !(ratio.value > 0) || !(s->int8_tops.value > 0)) return (ap_figure){.source = ""};
    return (ap_figure){.value = s->int8_tops.value * ratio.value, .assumed = true, .source = ratio.source};
}

static ap_known read_known(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_true(v) ? AP_YES : json_is_false(v) ? AP_NO : AP_UNKNOWN;
}

static const char *const *read_strings(ap_arena *a, const json_t *list, size_t *count) {
    size_t n = json_array_size(list), used = 0;
    const char **out = ap_arena_calloc(a, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s) out[used++] = ap_arena_strdup(a, s);
    }
    *count = used;
    return out;
}

static const char *lower(ap_arena *a, const char *s) {
    char *out = ap_arena_strdup(a, s);
    for (char *p = out; *p; p++) *p = (char)tolower((unsigned char)*p);
    return out;
}

static ap_err read_row(ap_arena *a, const json_t *row, const json_t *htp, ap_soc *s) {
    ap_err err = NULL;
    const char *name = NULL, *product = NULL, *source = NULL;
    int64_t model = 0, version = 0, vtcm = 0;
    AP_TRY(ap_json_get_str(row, "name", "soc.json", AP_ERR_INTERNAL, &name));
    AP_TRY(ap_json_get_str(row, "product", "soc.json", AP_ERR_INTERNAL, &product));
    AP_TRY(ap_json_get_str(row, "source", "soc.json", AP_ERR_INTERNAL, &source));
    AP_TRY(ap_json_get_int(row, "soc_model", "soc.json", AP_ERR_INTERNAL, &model));
    AP_TRY(ap_json_get_int(row, "htp_version", "soc.json", AP_ERR_INTERNAL, &version));
    AP_TRY(ap_json_get_int(row, "vtcm_mb", "soc.json", AP_ERR_INTERNAL, &vtcm));
    s->name = ap_arena_strdup(a, name);
    s->id = lower(a, name);
    s->aliases = read_strings(a, json_object_get(row, "aliases"), &s->alias_count);
    s->soc_model = (int)model;
    s->htp_version = (int)version;
    s->vtcm_mib = (int)vtcm;
    s->product = ap_arena_strdup(a, product);
    s->fp16 = read_known(row, "fp16");
    s->bf16 = read_known(row, "bf16");
    s->features = read_strings(a, json_object_get(row, "features"), &s->feature_count);
    s->source = ap_arena_strdup(a, source);
    s->verified = ap_json_bool(row, "verified", false);
    s->note = ap_arena_strdup(a, ap_json_str(row, "note", NULL));
    const json_t *fallback = version_row(htp, s->htp_version);
    s->int8_tops = pick_figure(a, row, fallback, "int8_tops");
    s->dram_gbps = pick_figure(a, row, fallback, "dram_gbps");
    s->fp16_tflops = pick_fp16(a, s, row, fallback);
done:
    return err;
}

static ap_err parse_data(const char *name, json_t **out) {
    size_t len = 0;
    const char *text = ap_data_get(name, &len);
    if (!text) return ap_err_new(AP_ERR_INTERNAL, "%s is not in this build", name);
    return ap_json_parse(text, len, name, AP_ERR_INTERNAL, out);
}

static ap_err load(void) {
    ap_err err = NULL;
    json_t *soc = NULL, *htp = NULL;
    AP_TRY(parse_data("soc.json", &soc));
    AP_TRY(parse_data("htp.json", &htp));
    json_t *list = NULL;
    AP_TRY(ap_json_get_arr(soc, "socs", "soc.json", AP_ERR_INTERNAL, &list));
    size_t n = json_array_size(list);
    ap_soc *rows = ap_arena_calloc(&table.arena, n + 1, sizeof *rows);
    for (size_t i = 0; i < n; i++) AP_TRY(read_row(&table.arena, json_array_get(list, i), htp, &rows[i]));
    table.rows = rows;
    table.count = n;
done:
    json_decref(htp);
    json_decref(soc);
    return err;
}

// A broken table stays empty; ap_target_parse reports that as an internal error.
static void load_once(void) {
    ap_err_free(load());
}

size_t ap_soc_count(void) {
    pthread_once(&once, load_once);
    return table.count;
}

const ap_soc *ap_soc_at(size_t i) {
    return i < ap_soc_count() ? &table.rows[i] : NULL;
}

const ap_soc *ap_soc_by_model(int64_t soc_model) {
    size_t n = ap_soc_count();
    for (size_t i = 0; i < n; i++) {
        if (table.rows[i].soc_model == soc_model) return &table.rows[i];
    }
    return NULL;
}

// ---- documents ----

static json_t *known_json(ap_known k) {
    return k == AP_UNKNOWN ? json_null() : json_boolean(k == AP_YES);
}

static json_t *strings_json(const char *const *list, size_t count) {
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(out, ap_json_string(list[i]));
    return out;
}

json_t *ap_soc_json(const ap_soc *s) {
    if (!s) return json_null();
    json_t *o = json_object();
    json_object_set_new(o, "name", ap_json_string(s->name));
    json_object_set_new(o, "aliases", strings_json(s->aliases, s->alias_count));
    json_object_set_new(o, "soc_model", json_integer(s->soc_model));
    json_object_set_new(o, "htp_version", json_integer(s->htp_version));
    json_object_set_new(o, "vtcm_mb", json_integer(s->vtcm_mib));
    json_object_set_new(o, "fp16", known_json(s->fp16));
    json_object_set_new(o, "bf16", known_json(s->bf16));
    json_object_set_new(o, "product", ap_json_string(s->product));
    json_object_set_new(o, "features", strings_json(s->features, s->feature_count));
    json_object_set_new(o, "source", ap_json_string(s->source));
    json_object_set_new(o, "verified", json_boolean(s->verified));
    json_object_set_new(o, "note", ap_json_string(s->note));
    return o;
}

static json_t *target_json(const char *target, const char *what) {
    json_t *o = json_object();
    json_object_set_new(o, "target", json_string(target));
    json_object_set_new(o, "what", json_string(what));
    return o;
}

json_t *ap_soc_table_json(void) {
    json_t *targets = json_array(), *socs = json_array(), *o = json_object();
    json_array_append_new(targets, target_json("cpu", "ONNX Runtime's CPU provider on this machine"));
    json_array_append_new(targets, target_json("htp:SOC", "Qualcomm Hexagon NPU, compiled and run in QNN's "
                                                          "emulator on this machine; SOC is a name below"));
    size_t n = ap_soc_count();
    for (size_t i = 0; i < n; i++) json_array_append_new(socs, ap_soc_json(&table.rows[i]));
    json_object_set_new(o, "targets", targets);
    json_object_set_new(o, "socs", socs);
    return o;
}
