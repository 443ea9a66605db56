// SPDX-License-Identifier: Apache-2.0
#include "surgery/apply/apply.h"

#include "surgery/match/match_priv.h"
#include "surgery/native/native.h"

#include <stdlib.h>
#include <string.h>

enum { OLDEST_OPSET = 7 };

void ap_applied_release(ap_applied *a) {
    free(a->added);
    json_decref(a->record);
    *a = (ap_applied){0};
}

static ap_err refuse(const ap_match *m, ap_err err) {
    return ap_err_subject(err, m->rule->name);
}

// The rule would break the graph's interface: not a case out of its reach, but a fault of the rule.
static ap_err broken(const ap_match *m, ap_err err) {
    return ap_err_stage(refuse(m, err), AP_RULE_BREAKS);
}

// ---- hashes

static void hash_text(ap_sha256 *h, const char *s) {
    ap_sha256_add(h, s, strlen(s) + 1);
}

static void hash_message(ap_sha256 *h, const ProtobufCMessage *msg) {
    size_t bytes = protobuf_c_message_get_packed_size(msg);
    uint8_t *data = ap_alloc(bytes + 1);
    protobuf_c_message_pack(msg, data);
    ap_sha256_add(h, &bytes, sizeof bytes);
    ap_sha256_add(h, data, bytes);
    free(data);
}

static int by_name(const void *a, const void *b) {
    const Onnx__AttributeProto *x = *(Onnx__AttributeProto *const *)a, *y = *(Onnx__AttributeProto *const *)b;
    return strcmp(x->name, y->name);
}

static void hash_attrs(ap_sha256 *h, const ap_node *n) {
    size_t count = n->proto->n_attribute;
    Onnx__AttributeProto **list = ap_calloc(count + 1, sizeof *list);
    if (count) memcpy(list, n->proto->attribute, count * sizeof *list);
    qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; i < count; i++) hash_message(h, &list[i]->base);
    free(list);
}

static void hash_value(ap_sha256 *h, const ap_match_env *env, const ap_value *v) {
    ap_value_type t;
    ap_tensor data;
    hash_text(h, v ? v->name : "");
    if (!v || !ap_type_of(&env->types, v, &t)) return;
    ap_sha256_add(h, &t.dtype, sizeof t.dtype);
    ap_sha256_add(h, t.dims, t.rank * sizeof *t.dims);
    if (!ap_value_constant(env->model, v, &data)) return;
    ap_sha256_add(h, data.dims, data.rank * sizeof *data.dims);
    if (data.bytes) ap_sha256_add(h, data.data, data.bytes);
}

ap_err ap_region_hash(const ap_match_env *env, ap_node *const *nodes, size_t count, ap_digest *out) {
    ap_sha256 h;
    ap_sha256_init(&h);
    for (size_t i = 0; i < count; i++) {
        hash_text(&h, nodes[i]->domain);
        hash_text(&h, nodes[i]->op);
        hash_attrs(&h, nodes[i]);
        for (size_t k = 0; k < nodes[i]->input_count; k++) hash_value(&h, env, nodes[i]->inputs[k]);
        hash_text(&h, ">");
        for (size_t k = 0; k < nodes[i]->output_count; k++)
            hash_text(&h, nodes[i]->outputs[k] ? nodes[i]->outputs[k]->name : "");
    }
    *out = ap_sha256_finish(&h);
    return NULL;
}

// ---- record

static json_t *describe_nodes(const ap_match *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->rule->match_count; i++) {
        const ap_node *n = m->nodes[i];
        const char *out = "";
        for (size_t k = n->output_count; k-- > 0;)
            if (n->outputs[k]) out = n->outputs[k]->name;
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "op", ap_json_string(n->op), "output", ap_json_string(out)));
    }
    return list;
}

static json_t *describe_binds(const ap_match *m) {
    json_t *binds = json_object();
    for (size_t i = 0; i < m->rule->slot_count; i++) {
        if (m->slots[i].kind == AP_VAL_UNKNOWN) continue; // made by the replacement, or a loop's variable
        ap_buf text = {0};
        ap_val_print(&m->slots[i], &text);
        json_object_set_new(binds, m->rule->slots[i], ap_json_string(ap_buf_str(&text)));
        ap_buf_free(&text);
    }
    return binds;
}

static const char *root_output(const ap_node *root) {
    for (size_t i = 0; i < root->output_count; i++)
        if (root->outputs[i]) return root->outputs[i]->name;
    return root->name;
}

static json_t *describe(const ap_match *m) {
    ap_digest before;
    ap_buf cls = {0};
    ap_err_free(ap_region_hash(&m->env, m->nodes, m->rule->match_count, &before));
    ap_rule_class_print(&m->cls, &cls);
    json_t *r = json_pack("{s:i, s:s, s:o, s:s, s:o, s:o, s:I}", "format", 1, "kind", "rule", "name",
                          ap_json_string(m->rule->name), "hash", m->rule->hash.hex, "class",
                          ap_json_string(ap_buf_str(&cls)), "root", ap_json_string(root_output(m->root)),
                          "opset", (json_int_t)m->env.model->opset);
    json_object_set_new(r, "nodes", describe_nodes(m));
    json_object_set_new(r, "binds", describe_binds(m));
    json_object_set_new(r, "before", json_string(before.hex));
    ap_buf_free(&cls);
    return r;
}

// The first of the fields in which two records differ; error CONTRACT.
static ap_err compare(const json_t *want, const json_t *have, const char *const *fields) {
    for (; *fields; fields++) {
        const json_t *w = json_object_get(want, *fields), *h = json_object_get(have, *fields);
        if (w && json_equal(w, h)) continue;
        char *wt = w ? ap_json_text(w, false) : ap_strdup("nothing"),
             *ht = h ? ap_json_text(h, false) : ap_strdup("nothing");
        ap_err err =
            ap_err_new(AP_ERR_CONTRACT, "the record no longer holds: %s of rule %s was %.200s and is %.200s",
                       *fields, ap_json_str(want, "name", "?"), wt, ht);
        free(wt);
        free(ht);
        return ap_err_subject(err, *fields);
    }
    return NULL;
}

// ---- checks

static bool known_dims(const ap_value_type *t) {
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return true;
}

static ap_err check_type(build *b, const ap_value *old, const ap_value *now, bool *known) {
    ap_value_type was, is;
    const ap_value_type *made = ap_map_get(&b->types, now->name);
    if (!ap_type_of(&b->m->env.types, old, &was)) {
        *known = false;
        return NULL;
    }
    if (made && made->dtype && made->dtype != was.dtype)
        return broken(b->m,
                      ap_err_new(AP_ERR_REFUSED, "rule %s would make \"%s\" %s, it is %s", b->m->rule->name,
                                 old->name, ap_dtype_name(made->dtype), ap_dtype_name(was.dtype)));
    if (!build_type(b, now, &is)) {
        *known = false;
        return NULL;
    }
    bool same = was.rank == is.rank;
    for (size_t i = 0; same && i < was.rank; i++)
        same = was.dims[i] < 0 || is.dims[i] < 0 || was.dims[i] == is.dims[i];
    if (!known_dims(&is) || !known_dims(&was) || !is.dtype) *known = false;
    if (same) return NULL;
    ap_buf a = {0}, c = {0};
    ap_shape_format(was.dims, was.rank, &a);
    ap_shape_format(is.dims, is.rank, &c);
    ap_err err = ap_err_new(AP_ERR_REFUSED, "rule %s would give \"%s\" the shape %s, it is %s",
                            b->m->rule->name, old->name, ap_buf_str(&c), ap_buf_str(&a));
    ap_buf_free(&a);
    ap_buf_free(&c);
    return broken(b->m, err);
}

static bool is_needed(const ap_value *v) {
    return v->use_count || v->is_output || v->used_by_subgraph;
}

// Everything a rule makes in place of its root.
typedef struct replacement {
    ap_value **values; // by output of the root; NULL: nothing takes its place
    size_t count;
} replacement;

static ap_err build_text(build *b, replacement *to) {
    const ap_rule *r = b->m->rule;
    made_outs *made = NULL;
    ap_err err = build_nodes(b, r->replace, r->replace_count, &made);
    for (size_t i = 0; !err && i < to->count && i < r->match[r->root].out_count; i++)
        if (r->results[i].node != SIZE_MAX) to->values[i] = made[r->results[i].node][r->results[i].output];
    return err;
}

static ap_err build_replacement(build *b, replacement *to) {
    const ap_rule *r = b->m->rule;
    to->count = b->m->root->output_count;
    to->values = ap_arena_calloc(&b->m->arena, to->count, sizeof(ap_value *));
    if (!r->native) return build_text(b, to);
    const ap_native *n = ap_native_find(r->native);
    return n ? ap_native_run(b, n, to->values)
             : refuse(b->m, ap_err_new(AP_ERR_INTERNAL, "rule %s: there is no native rewrite %s", r->name,
                                       r->native));
}

static ap_err check_results(build *b, const replacement *r, bool *known) {
    *known = true;
    for (size_t i = 0; i < r->count; i++) {
        const ap_value *old = b->m->root->outputs[i];
        if (!old || (!r->values[i] && !is_needed(old))) continue;
        if (!r->values[i])
            return broken(b->m, ap_err_new(AP_ERR_REFUSED, "rule %s makes nothing for \"%s\", which is used",
                                           b->m->rule->name, old->name));
        ap_err err = check_type(b, old, r->values[i], known);
        if (err) return err;
    }
    return NULL;
}

// ---- the change itself

static ap_err swap_results(build *b, const replacement *r) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < r->count; i++)
        if (b->m->root->outputs[i] && r->values[i])
            err = ap_graph_replace_value(b->model->graph, b->m->root->outputs[i], r->values[i], NULL);
    return err;
}

static bool is_dead(const ap_node *n) {
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i] && is_needed(n->outputs[i])) return false;
    return true;
}

// Users before makers: a match's list has makers first.
static size_t remove_matched(build *b) {
    size_t gone = 0;
    const ap_rule *r = b->m->rule;
    for (size_t i = r->match_count; i-- > 0;) {
        ap_node *n = b->m->nodes[i];
        bool again = false;
        for (size_t k = i + 1; k < r->match_count; k++) again |= b->m->nodes[k] == n;
        if (again || !is_dead(n)) continue;
        ap_err err = ap_graph_remove_node(b->model->graph, n);
        gone += !err;
        ap_err_free(err);
    }
    return gone;
}

static void declare_types(build *b) {
    for (size_t i = 0; i < b->node_count; i++)
        for (size_t k = 0; k < b->nodes[i]->output_count; k++) {
            ap_value *v = b->nodes[i]->outputs[k];
            const ap_value_type *t = v ? ap_map_get(&b->types, v->name) : NULL;
            if (t && t->dtype && t->rank != SIZE_MAX) ap_value_declare(b->model->graph, v, t);
        }
}

static ap_err check_after(build *b, json_t *record, const json_t *expect) {
    static const char *const fields[] = {"after", NULL};
    ap_match_env env = b->m->env;
    ap_digest after;
    ap_err err = ap_region_hash(&env, b->nodes, b->node_count, &after);
    if (err) return err;
    json_object_set_new(record, "after", json_string(after.hex));
    return expect ? compare(expect, record, fields) : NULL;
}

static ap_err apply(ap_match *m, const json_t *expect, ap_applied *out) {
    static const char *const fields[] = {"hash", "opset", "nodes", "binds", "before", NULL};
    build b = {.m = m, .model = m->env.model, .before = m->root, .e = {.m = m}};
    ap_applied done_ = {0};
    replacement made = {0};
    bool committed = false;
    ap_err err = NULL;
    if (b.model->opset < OLDEST_OPSET) // operators took fewer types and had other attributes
        return refuse(m, ap_err_new(AP_ERR_REFUSED, "rules speak of opset %d and later; the model has %lld",
                                    (int)OLDEST_OPSET, (long long)b.model->opset));
    b.prefix = ap_arena_printf(&m->arena, "%s~%s", root_output(m->root), m->rule->family);
    done_.record = describe(m);
    if (expect) AP_TRY(compare(expect, done_.record, fields));
    AP_TRY(build_replacement(&b, &made));
    AP_TRY(check_results(&b, &made, &done_.types_known));
    AP_TRY(check_after(&b, done_.record, expect));
    committed = true;
    declare_types(&b);
    AP_TRY(swap_results(&b, &made));
    done_.removed_count = remove_matched(&b);
    done_.added = b.nodes;
    done_.added_count = b.node_count;
    b.nodes = NULL;
    *out = done_;
    done_ = (ap_applied){0};
done:
    if (err && !committed) build_undo(&b);
    ap_applied_release(&done_);
    build_release(&b);
    return err;
}

ap_err ap_match_apply(ap_match *m, ap_applied *out) {
    return apply(m, NULL, out);
}

// ---- replay

static ap_err no_longer(const char *field, ap_err err) {
    return ap_err_subject(err, field);
}

ap_err ap_rule_replay(const ap_match_env *env, const json_t *record, ap_applied *out) {
    const char *name = ap_json_str(record, "name", ""), *root = ap_json_str(record, "root", "");
    if (ap_json_int(record, "format", 0) != 1 || strcmp(ap_json_str(record, "kind", ""), "rule") != 0)
        return no_longer("format", ap_err_new(AP_ERR_CONTRACT, "this is no record of a rule of format 1"));
    const ap_rule *r = ap_rules_find(env->rules, name);
    if (!r) return no_longer("name", ap_err_new(AP_ERR_CONTRACT, "there is no rule %s any more", name));
    if (strcmp(r->hash.hex, ap_json_str(record, "hash", "")) != 0)
        return no_longer("hash", ap_err_new(AP_ERR_CONTRACT, "rule %s has changed since", name));
    const ap_value *v = ap_graph_value(env->model->graph, root);
    if (!v || !v->producer)
        return no_longer("root",
                         ap_err_new(AP_ERR_CONTRACT, "rule %s: no node makes \"%s\" any more", name, root));
    ap_match *m = NULL;
    ap_match_miss miss;
    ap_err err = ap_rule_match(r, env, v->producer, &m, NULL);
    if (err) return err;
    if (!m) {
        err = ap_rule_match(r, env, v->producer, &m, &miss);
        if (err || m) {
            ap_match_free(m);
            return err ? err : ap_err_new(AP_ERR_INTERNAL, "rule %s fits and does not fit", name);
        }
        return no_longer("match", ap_err_new(AP_ERR_CONTRACT, "rule %s no longer fits at \"%s\": %s", name,
                                             root, miss.text));
    }
    err = apply(m, record, out);
    ap_match_free(m);
    return err;
}
