// SPDX-License-Identifier: Apache-2.0
// The section Repairs of both pages: what was rewritten, why, by which proven rules, with which effect; what
// was left, tried, rolled back or given to the CPU.
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char repairs[] =
    "{'passes':[{'name':'constants','class':'exact','nodes':[10,7],'touched':{}}],"
    "'needs':[],'repairs':["
    "{'key':'k1','op':'MaxPool','verdict':'refused','nodes':['pool|1'],'why':'no PoolMax3d <here>',"
    "'rules':['maxpool3d','noop'],'class':'exact','exact':true,'proofs':["
    "{'rule':'maxpool3d','class':'exact finite','instances':201,'worst':0},"
    "{'rule':'near','class':'ulp 2','instances':300,'worst':1.5},"
    "{'rule':'far','class':'db 60','instances':250,'worst':71.25}],"
    "'piece_error':1e-7,'nodes_before':1,'nodes_after':5,'gates_before':null,"
    "'gates_after':[{'metric':'sqnr_db','value':40.5}],'cost_before':null,'cost_after':{'estimate_ms':0.4}},"
    "{'key':'k2','op':'MaxPool','verdict':'refused','nodes':['pool2'],'why':'no PoolMax3d <here>',"
    "'rules':['maxpool3d','noop'],'class':'exact','piece_error':3e-7,'nodes_before':1,'nodes_after':5,"
    "'gates_before':null,'gates_after':[{'metric':'sqnr_db','value':44.5}],'cost_after':{'estimate_ms':0.5}},"
    "{'key':'k3','op':'Resize','verdict':'wrong','nodes':['up'],'why':'element 3 is 1, must be 2',"
    "'rules':['resize_ceil'],'class':'exact','gates_before':[{'metric':'sqnr_db','value':3.5}],"
    "'gates_after':[{'metric':'sqnr_db','value':50.5}]}],"
    "'left':[{'node':'unique','op':'Unique','verdict':'refused','reason':'not supported',"
    "'why_not':'the size of its output depends on the data','tried':[],'model':'t-left/left-0.onnx'},"
    "{'node':'soft','op':'Softmax','verdict':'wrong','reason':'off by 3','why_not':null,"
    "'tried':[{'chain':['a','b'],'verdict':'wrong','reason':'still off'}],'model':null}],"
    "'rolled_back':[{'key':'k9','rules':['bad'],'nodes':['n9'],'reason':'a gate of the whole model fails'}],"
    "'cpu':['unique'],"
    "'tuning':{'kept':[{'rule':'tune_once','places':['mul'],'cost':[0.5,0.4]}],"
    "'rejected':[{'rule':'tune_split','places':['att'],'cost':[0.4,null],'reason':'it is not faster'}],"
    "'cost':[0.5,0.4]},"
    "'sharpening':[{'tries':2,'seconds':1,'ended':null},{'tries':24,'seconds':9,'ended':'the budget is "
    "spent'}],"
    "'before':{'refused':[{'node':'a'},{'node':'b'}],'gates':null,'cost':null},"
    "'after':{'gates':[{'metric':'sqnr_db','value':50.5}],'cost':{'estimate_ms':0.5,'nodes':94}},"
    "'changes':{'nodes':[7,9],'rows':[{'mark':'-','a':'MaxPool(x) -> y','b':null},"
    "{'mark':'+','a':null,'b':'Reshape(x) -> <z>'}],'left_out':3},"
    "'cleaning':{'nodes':[10,7],'rows':[{'mark':'-','a':'Identity(x) -> i','b':null}],'left_out':0}}";

static json_t *document(void) {
    char *text = strdup(repairs);
    for (char *c = text; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *r = json_loads(text, 0, NULL);
    assert_non_null(r);
    free(text);
    return json_pack("{s[{ss,ss,so}]}", "targets", "target", "htp:sm8650", "verdict", "pass", "repairs", r);
}

static json_t *repairs_of(json_t *doc) {
    return json_object_get(json_array_get(json_object_get(doc, "targets"), 0), "repairs");
}

static void assert_all(const ap_buf *b, const char *const *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strstr(ap_buf_str(b), parts[i])) fail_msg("missing: %s\n%s", parts[i], ap_buf_str(b));
}

static const char *const both[] = {
    "1 pass cleaned the model.",
    "2 refused nodes were rewritten.",
    "1 node that is accepted but computed wrong was rewritten.",
    "1 refused node could not be repaired.",
    "1 node that is computed wrong on its own stays in the model.",
    "1 chain of rules was rolled back.",
    "1 rewrite for speed was kept. Sharpening ended: the budget is spent.",
    "2 nodes refused, could not be run → 50.5 dB",
    ": 201 random instances, no difference",
    ": 300 random instances, worst 1.5 ulp",
    ": 250 random instances, worst 71.2 dB",
    "nodes 1 → 5 at each place, largest error there 3e-07; whole model: could not be run → 44.5 dB",
    "3.5 dB → 50.5 dB",
    "the size of its output depends on the data",
    "t-left/left-0.onnx",
    "a gate of the whole model fails",
    "MaxPool(x) -",
    "tune_once",
    "500 µs → 400 µs (estimate)",
    "400 µs before",
    "it is not faster",
};

static void test_html(void **state) {
    (void)state;
    static const char *const parts[] = {"pool|1, pool2",
                                        "no PoolMax3d &lt;here&gt;",
                                        "a &gt; b: wrong, still off",
                                        "On the CPU (1): <code>unique</code>",
                                        "2 rows differ",
                                        "3 more rows"};
    json_t *doc = document();
    ap_buf out = {0};
    assert_null(ap_report_html(doc, &out));
    assert_all(&out, both, sizeof both / sizeof *both);
    assert_all(&out, parts, sizeof parts / sizeof *parts);
    assert_null(strstr(ap_buf_str(&out), "<here>"));
    assert_null(strstr(ap_buf_str(&out), "<z>"));
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_markdown(void **state) {
    (void)state;
    static const char *const parts[] = {
        "`pool\\|1, pool2`",      "a &gt; b (wrong)",
        "On the CPU (1): unique", "    - MaxPool(x) -> y\n    + Reshape(x) -> <z>\n",
        "3 more differences",     "Cleaned by: constants. 1 rows of the graph"};
    json_t *doc = document();
    ap_buf out = {0};
    assert_null(ap_report_markdown(doc, &out));
    assert_all(&out, both, sizeof both / sizeof *both);
    assert_all(&out, parts, sizeof parts / sizeof *parts);
    ap_buf_free(&out);
    json_decref(doc);
}

// Any member of any object replaced by something odd: pages are still made.
static void spoil(json_t *doc, json_t *at, const json_t *odd) {
    const char *key;
    json_t *v;
    void *next;
    if (json_is_array(at))
        for (size_t i = 0; i < json_array_size(at); i++) spoil(doc, json_array_get(at, i), odd);
    if (!json_is_object(at)) return;
    json_object_foreach_safe(at, next, key, v) {
        json_t *kept = json_incref(v);
        ap_buf out = {0};
        json_object_set_new(at, key, json_deep_copy(odd));
        assert_null(ap_report_html(doc, &out));
        assert_null(ap_report_markdown(doc, &out));
        ap_buf_free(&out);
        json_object_set(at, key, kept);
        spoil(doc, kept, odd);
        json_decref(kept);
    }
}

static void test_odd_documents(void **state) {
    (void)state;
    static const char *const odd[] = {"null", "7", "\"x\"", "[]", "[null,3,[],{}]", "{}", "{\"rows\":[1]}"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        json_t *doc = document(), *v = json_loads(odd[i], JSON_DECODE_ANY, NULL);
        spoil(doc, repairs_of(doc), v);
        json_decref(v);
        json_decref(doc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_html), cmocka_unit_test(test_markdown),
                                       cmocka_unit_test(test_odd_documents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
