// SPDX-License-Identifier: Apache-2.0
// At the boundary of the models: the same call in two recordings. Where the run served had other inputs by
// then (a program that feeds answers back), the artifact is asked once more, on those of the run as it is.
#include "base/file.h"
#include "plan/recording/recording.h"
#include "plan/surgery/picked.h"
#include "plan/verify/verify.h"
#include "plan/verify/verify_again.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1024 }; // leaves of an answer, and picks

typedef struct sides {
    const ap_boundary *b;
    ap_arena arena;
} sides;

// The calls of one signature of a model.
typedef struct call {
    sides *s;
    const json_t *model, *sig;
    ap_again *again; // NULL: no artifact answers them
    json_t *outputs; // of the document
    json_t *picked;  // names, when a call was compared given what was picked
    const char *note;
    size_t compared, apart, replayed;
} call;

static const json_t *model_like(const json_t *models, const json_t *want) {
    const json_t *m;
    for (size_t i = 0; (m = json_array_get(models, i)) != NULL; i++)
        if (ap_recording_same(json_object_get(m, "identity"), json_object_get(want, "identity"))) return m;
    return NULL;
}

// Files of a sample as a TENSOR list.
static json_t *tensors_of(ap_arena *a, const char *folder, const json_t *leaves, const json_t *files) {
    json_t *list = json_array(), *one;
    for (size_t i = 0; i < json_array_size(leaves); i++) {
        const char *file = json_string_value(json_array_get(files, i));
        one = json_copy(json_array_get(leaves, i));
        json_object_set_new(one, "file", ap_json_string(ap_path_join(a, folder, file ? file : "")));
        json_array_append_new(list, one);
    }
    return list;
}

static bool equal_bytes(const json_t *a, const json_t *b) {
    bool equal = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; equal && i < json_array_size(a); i++) {
        ap_tensor x = {0}, y = {0};
        ap_err err = ap_npy_open(json_array_get(a, i), &x);
        if (!err) err = ap_npy_open(json_array_get(b, i), &y);
        equal = !err && x.bytes == y.bytes && (!x.bytes || memcmp(x.data, y.data, x.bytes) == 0);
        ap_err_free(err);
        ap_tensor_free(&x);
        ap_tensor_free(&y);
    }
    return equal;
}

// The sample of the same call with the same inputs. Processes have other numbers in the other run: with
// several of them a call number may stand twice.
static const json_t *same_call(call *c, const json_t *samples, const json_t *want, const json_t *inputs) {
    const json_t *o, *leaves = json_object_get(c->sig, "inputs");
    for (size_t i = 0; (o = json_array_get(samples, i)) != NULL; i++) {
        if (ap_json_int(o, "call", -1) != ap_json_int(want, "call", -2)) continue;
        json_t *other = tensors_of(&c->s->arena, c->s->b->served, leaves, json_object_get(o, "inputs"));
        bool equal = equal_bytes(inputs, other);
        json_decref(other);
        if (equal) return o;
    }
    return NULL;
}

// ---- numbers

// What is compared: an output, or what was picked (golden/picks.h).
typedef struct compared {
    const char *name;
    ap_metrics m;
    bool single; // a number
} compared;

typedef struct table {
    compared *rows;
    size_t count;
} table;

static ap_err measure(const call *c, json_t *want, const json_t *have, table *t) {
    if (c->again) ap_again_channel_axes(c->again, want);
    for (size_t i = 0; i < json_array_size(want); i++) {
        if (c->again && !ap_again_has(c->again, i)) continue;
        const json_t *leaf = json_array_get(want, i);
        compared *row = &t->rows[t->count];
        row->name = ap_json_str(leaf, "name", "?");
        ap_err err = ap_metrics_entries(leaf, json_array_get(have, i), &row->m);
        if (err) return err;
        row->single = row->m.count == 1;
        t->count++;
    }
    return NULL;
}

// A single number has no direction and no noise: a probability of 0.002 that comes as 0 says little. It is
// shown and not judged; the end of the program judges.
static void only_inform(json_t *gates) {
    json_t *g;
    for (size_t i = 0; (g = json_array_get(gates, i)) != NULL; i++)
        if (strcmp(ap_json_str(g, "metric", ""), "nonfinite_mismatch") != 0)
            json_object_set_new(g, "verdict", json_string("info"));
}

static json_t *gates_of(const call *c, const compared *row) {
    json_t *list = json_array();
    (void)ap_gates_output(c->again ? &c->again->gates : c->s->b->gates, row->name, &row->m, list);
    if (row->single) only_inform(list);
    return list;
}

static bool passes(const call *c, const table *t) {
    bool all = true;
    for (size_t i = 0; i < t->count; i++) {
        json_t *gates = gates_of(c, &t->rows[i]);
        all = all && ap_verify_passed(gates);
        json_decref(gates);
    }
    return all;
}

static bool is_worse(const compared *row, const ap_metrics *before) {
    if (row->m.nonfinite_mismatch > before->nonfinite_mismatch) return true;
    return row->single ? row->m.max_abs > before->max_abs : row->m.sqnr_db < before->sqnr_db;
}

// The worst call of those compared stays.
static void put_rows(const call *c, const table *t) {
    for (size_t i = 0; i < t->count; i++) {
        const compared *row = &t->rows[i];
        const json_t *before = json_array_get(c->outputs, i);
        ap_metrics m = {0};
        if (before) ap_metrics_from_json(json_object_get(before, "metrics"), &m);
        if (before && !is_worse(row, &m)) continue;
        json_t *made = json_pack("{so,so,so}", "name", ap_json_string(row->name), "metrics",
                                 ap_metrics_json(&row->m), "gates", gates_of(c, row));
        if (before)
            json_array_set_new(c->outputs, i, made);
        else
            json_array_append_new(c->outputs, made);
    }
}

// ---- one call

// What should have come given the artifact's picks takes the place of `t` when everything passes then.
static ap_err look_again(call *c, ap_asked *asked, const json_t *inputs, const json_t *have, table *t) {
    json_t *golden = NULL, *picks = NULL, *want = NULL, *names = json_array();
    table given = {.rows = ap_calloc(MOST, sizeof *given.rows)};
    const char *why = NULL;
    ap_err err = NULL;
    AP_TRY(ap_again_look(c->again, inputs, asked, &golden, &picks, &why));
    if (why) c->note = ap_arena_strdup(&c->s->arena, why);
    if (!golden || json_array_size(picks) + t->count > MOST) goto done;
    AP_TRY(ap_again_leaves(c->again, asked, golden, &want));
    AP_TRY(measure(c, want, have, &given));
    for (size_t i = 0; i < json_array_size(picks); i++) {
        compared *row = &given.rows[given.count++];
        const json_t *pick = json_array_get(picks, i);
        *row = (compared){.name = ap_arena_strdup(&c->s->arena, ap_json_str(pick, "indices", "?"))};
        AP_TRY(ap_picked_metrics(pick, &row->m));
        json_array_append_new(names, ap_json_string(row->name));
    }
    if (!passes(c, &given)) goto done;
    for (size_t i = 0; i < t->count; i++) given.rows[i].name = t->rows[i].name; // `want` goes
    memcpy(t->rows, given.rows, given.count * sizeof *given.rows);
    t->count = given.count;
    json_decref(c->picked);
    c->picked = json_incref(names);
done:
    json_decref(golden);
    json_decref(picks);
    json_decref(want);
    json_decref(names);
    free(given.rows);
    return err;
}

// What came for the inputs of a call: in the other run, or now. *have stays NULL when nothing did.
static ap_err answer_of(call *c, const json_t *other, const json_t *inputs, ap_asked *asked, json_t **have) {
    ap_err err = NULL;
    if (other) {
        *have = tensors_of(&c->s->arena, c->s->b->served, json_object_get(c->sig, "outputs"),
                           json_object_get(other, "outputs"));
        return NULL;
    }
    c->apart++;
    if (!c->again) return NULL;
    AP_TRY(ap_again_ask(c->again, inputs, asked));
    AP_TRY(ap_again_leaves(c->again, asked, asked->answer, have));
    c->replayed++;
done:
    if (err && ap_err_code(err) != AP_ERR_CANCELLED) { // the artifact does not answer it: not compared
        c->note = ap_arena_printf(&c->s->arena, "a call could not be asked again: %s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
    }
    return err;
}

static ap_err compare_sample(call *c, const json_t *sample, const json_t *others) {
    const char *plain = c->s->b->plain;
    ap_arena *a = &c->s->arena;
    json_t *inputs =
               tensors_of(a, plain, json_object_get(c->sig, "inputs"), json_object_get(sample, "inputs")),
           *want =
               tensors_of(a, plain, json_object_get(c->sig, "outputs"), json_object_get(sample, "outputs")),
           *have = NULL;
    table t = {.rows = ap_calloc(MOST, sizeof *t.rows)};
    ap_asked asked = {0};
    ap_err err = NULL;
    AP_TRY(answer_of(c, same_call(c, others, sample, inputs), inputs, &asked, &have));
    if (!have) goto done;
    AP_TRY(measure(c, want, have, &t));
    if (c->again && !passes(c, &t)) AP_TRY(look_again(c, &asked, inputs, have, &t));
    put_rows(c, &t);
    c->compared++;
done:
    ap_asked_release(&asked);
    json_decref(inputs);
    json_decref(want);
    json_decref(have);
    free(t.rows);
    return err;
}

// Leaves that no output makes, behind those that were compared.
static void tell_unread(call *c) {
    const json_t *leaves = json_object_get(c->sig, "outputs"), *leaf;
    for (size_t i = 0; c->again && (leaf = json_array_get(leaves, i)) != NULL; i++)
        if (!ap_again_has(c->again, i))
            json_array_append_new(c->outputs,
                                  json_pack("{sO,sn,s[],sb}", "name", json_object_get(leaf, "name"),
                                            "metrics", "gates", "read", 0));
}

static const char *verdict_of(const call *c) {
    const json_t *o;
    if (!c->compared) return "not compared";
    for (size_t i = 0; (o = json_array_get(c->outputs, i)) != NULL; i++)
        if (!ap_verify_passed(json_object_get(o, "gates"))) return "fail";
    return "pass";
}

static ap_err compare_signature(sides *s, const json_t *model, const json_t *sig, const json_t *others,
                                json_t *out) {
    const json_t *samples = json_object_get(sig, "samples"), *one;
    call c = {.s = s, .model = model, .sig = sig, .outputs = json_array()};
    ap_err err = NULL;
    if (json_array_size(json_object_get(sig, "outputs")) > MOST)
        AP_FAIL(AP_ERR_RECORDING, "an answer of %zu tensors",
                json_array_size(json_object_get(sig, "outputs")));
    if (s->b->server) AP_TRY(ap_again_open(s->b->ctx, s->b->server, model, sig, &c.again));
    for (size_t i = 0; (one = json_array_get(samples, i)) != NULL; i++)
        AP_TRY(compare_sample(&c, one, others));
    tell_unread(&c);
    json_array_append_new(
        out, json_pack("{sO,sO,sO,sI,sI,sI,sO?,so,sO,ss}", "name", json_object_get(model, "name"),
                       "signature", json_object_get(sig, "id"), "calls", json_object_get(sig, "calls"),
                       "compared", (json_int_t)c.compared, "apart", (json_int_t)c.apart, "replayed",
                       (json_int_t)c.replayed, "picked", c.picked, "note", ap_json_string(c.note), "outputs",
                       c.outputs, "verdict", verdict_of(&c)));
done:
    ap_again_close(c.again);
    json_decref(c.outputs);
    json_decref(c.picked);
    return err;
}

ap_err ap_verify_calls(const ap_boundary *b, json_t **out) {
    sides s = {.b = b};
    json_t *plain = NULL, *served = NULL, *list = json_array();
    const json_t *model, *sig;
    ap_err err = NULL;
    AP_TRY(ap_recording_read(b->plain, &plain));
    AP_TRY(ap_recording_read(b->served, &served));
    for (size_t i = 0; (model = json_array_get(json_object_get(plain, "models"), i)) != NULL; i++) {
        const json_t *other = model_like(json_object_get(served, "models"), model);
        for (size_t k = 0; (sig = json_array_get(json_object_get(model, "signatures"), k)) != NULL; k++) {
            const json_t *same =
                ap_json_find(json_object_get(other, "signatures"), "id", ap_json_str(sig, "id", "?"));
            AP_TRY(compare_signature(&s, model, sig, json_object_get(same, "samples"), list));
        }
    }
    *out = json_incref(list);
done:
    json_decref(plain);
    json_decref(served);
    json_decref(list);
    ap_arena_release(&s.arena);
    return err;
}
