#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Plans: what a repair records is run again to the same bytes, or the first thing that no longer holds is named; steps of a
# plan on a model that has changed; a rule that is right alone and wrong for the model; an interrupted search.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets
x=$nets/x9.npy

# Every kind of step: passes, a rule of text, a native one. The plan ships, and gives the artifact's model.
deploy 0 all plan.onnx --target htp:sm8650 --shape batch=1 --input "x=$x"
plan=$tmp/all/htp-sm8650/plan.json
asks "$plan" "a plan" <<'PY'
passes, then rules := [(s["kind"], s["name"]) for s in d["steps"]] == [("pass", "shapes"), ("pass", "identity"), ("pass", "batchnorm"), ("rule", "reduce_prod"), ("rule", "cumsum_reverse")]
PY
applied() { # NAME MODEL PLAN: the bytes the plan records
    rm -f "$tmp/applied.onnx"
    run apply "$2" "$3" -o "$tmp/applied.onnx" --json
    same "$1: apply" 0 "$code"
    asks "$3" "$1" <<<"the recorded bytes := __import__('hashlib').sha256(open('$tmp/applied.onnx', 'rb').read()).hexdigest() == d['result']['sha256']"
}
applied "all kinds of steps" "$nets/plan.onnx" "$plan"
asks "$tmp/out" "apply --json" <<<"the document := d['sha256'] == '$(sha256sum <"$tmp/applied.onnx" | cut -c1-64)' and d['steps'] == 5 and d['nodes'] == [11, 19]"
cp "$tmp/applied.onnx" "$tmp/all.onnx"
run surgery "$nets/plan.onnx" --target htp:sm8650 --shape batch=1 --input "x=$x" -o "$tmp/surgery.json" --save "$tmp/surgery.onnx"
same "surgery ends in the same model as deploy" 0 "$(cmp -s "$tmp/surgery.onnx" "$tmp/all.onnx"; echo $?)"

# Random tokens would lie outside of the table they index; apply must not need the right ones.
deploy 0 tokens plan-tokens.onnx --target htp:sm8650 --input "tokens=$nets/tokens.npy"
applied "inputs that index" "$nets/plan-tokens.onnx" "$tmp/tokens/htp-sm8650/plan.json"

# ---- weights beside the model
deploy 0 external plan-external/model.onnx --target htp:sm8650 --shape batch=1 --input "x=$x"
mkdir -p "$tmp/beside"
run apply "$nets/plan-external/model.onnx" "$tmp/external/htp-sm8650/plan.json" -o "$tmp/beside/model.onnx"
same "external data: apply" 0 "$code"
asks "$tmp/external/htp-sm8650/plan.json" "external data" <<PY
the recorded bytes := __import__("hashlib").sha256(open("$tmp/beside/model.onnx", "rb").read()).hexdigest() == d["result"]["sha256"]
the weights lie beside it := open("$tmp/beside/weights.bin", "rb").read() == open("$nets/plan-external/weights.bin", "rb").read()
PY
run run "$tmp/external" -o "$tmp/external-ran"
same "external data: it runs" 0 "$code"

# ---- a plan that no longer holds: nothing is written, and what differs is named
stale() { # NAME SED TEXT
    sed "$2" "$plan" >"$tmp/stale.json"
    rm -f "$tmp/stale.onnx"
    same "$1: the plan is another" 1 "$(cmp -s "$plan" "$tmp/stale.json"; echo $?)"
    run apply "$nets/plan.onnx" "$tmp/stale.json" -o "$tmp/stale.onnx"
    has "$1" "$code $err" "$3"
    same "$1: nothing is written" no "$([[ -e $tmp/stale.onnx ]] && echo yes || echo no)"
}
stale "another text of a rule" '/cumsum_reverse/s/"hash":"......../"hash":"00000000/' "10 aipc: error: step 5 of the plan (rule cumsum_reverse): rule cumsum_reverse has changed since"
stale "a rule that is gone" 's/"name":"cumsum_reverse"/"name":"cumsum_backward"/' "there is no rule cumsum_backward any more"
stale "a rule elsewhere" '/cumsum_reverse/s/"root":"c1"/"root":"g0"/' 'rule cumsum_reverse no longer fits at "g0"'
stale "a value that is gone" '/cumsum_reverse/s/"root":"c1"/"root":"nothing"/' 'no node makes "nothing" any more'
stale "other operands" '/cumsum_reverse/s/"before":"......../"before":"00000000/' "before"
stale "another result of a rule" '/cumsum_reverse/s/"after":"......../"after":"00000000/' "after"
stale "other numbers of a rule" '/cumsum_reverse/s/"n":"81"/"n":"80"/' "binds"
stale "another version of a pass" '/"name":"identity"/s/"version":[0-9]*/"version":99/' "step 2 of the plan (identity) no longer holds: this aipc has another version"
stale "constants of another oracle" 's/\("oracle": .*"sha256":"\)......../\100000000/; /"name":"batchnorm"/s/"after":"......../"after":"00000000/' "the plan's constants were computed by another build of onnxruntime"
stale "another end" 's/\("result": .*"sha256":"\)......../\100000000/' "the plan ends in another model"
stale "a step that is malformed" '/cumsum_reverse/s/"binds":{[^}]*}/"binds":7/' "7 aipc: error: plan: step 5 is malformed"
stale "a kind nobody knows" '/cumsum_reverse/s/"kind":"rule"/"kind":"spell"/' "7 aipc: error: plan: step 5 is malformed"
run apply "$nets/plan-retrained.onnx" "$plan" -o "$tmp/stale.onnx"
has "another model" "$code $err" "10 aipc: error: the plan was made for another model"

# ---- the steps of a plan on a model that has changed
run apply "$nets/plan-retrained.onnx" "$plan" --rebase "$tmp/rebased.json" -o "$tmp/rebased.onnx" --json
same "rebase: other weights" 0 "$code"
cp "$tmp/out" "$tmp/rebased.doc"
asks "$tmp/rebased.doc" "rebase" <<PY
the same steps := [s["name"] for s in d["steps"]] == [s["name"] for s in json.load(open("$plan"))["steps"]]
of the new model := d["source"]["file"] == "plan-retrained.onnx" and d["result"] != json.load(open("$plan"))["result"]
PY
applied "the new plan" "$nets/plan-retrained.onnx" "$tmp/rebased.json"
same "rebase: and writes its model" 0 "$(cmp -s "$tmp/rebased.onnx" "$tmp/applied.onnx"; echo $?)"
same "rebase: it is another model" no "$(cmp -s "$tmp/rebased.onnx" "$tmp/all.onnx" && echo yes || echo no)"
# On inputs of the user's: the same steps, judged on these alone.
run apply "$nets/plan-retrained.onnx" "$plan" --rebase "$tmp/given.json" -o "$tmp/given.onnx" --input "x=$x"
same "rebase: on inputs of one's own" "0 0" "$code $(cmp -s "$tmp/given.onnx" "$tmp/rebased.onnx"; echo $?)"
asks "$tmp/given.json" "rebase: on inputs of one's own" <<PY
judged on other numbers := [s.get("gate") for s in d["steps"]] != [s.get("gate") for s in json.load(open("$tmp/rebased.json"))["steps"]]
PY
run apply "$nets/plan-retrained.onnx" "$plan" --rebase "$tmp/none.json" --input "x=$nets/x16.npy"
has "rebase: an input of another shape" "$code $err" "4 aipc: error:"
run apply "$nets/plan-retrained.onnx" "$plan" --rebase "$tmp/none.json" --input "no=$x"
has "rebase: no such input" "$code $err" "the model has no input 'no'"
same "rebase: then nothing is written either" no "$([[ -e $tmp/none.json ]] && echo yes || echo no)"
run apply "$nets/plan.onnx" "$plan" -o "$tmp/none.onnx" --input "x=$x"
has "a replay runs on no inputs" "$code $err" "2 aipc: error: apply runs on no inputs: equal bytes have equal outputs"
# Random tokens lie outside of the table: on those of the run the steps can be judged.
run apply "$nets/plan-tokens.onnx" "$tmp/tokens/htp-sm8650/plan.json" --rebase "$tmp/tokens.json" --input "tokens=$nets/tokens.npy"
same "rebase: inputs that index" 0 "$code"
run apply "$nets/plan-renamed.onnx" "$plan" --rebase "$tmp/none.json" -o "$tmp/none.onnx"
has "rebase: a value that is gone" "$code $err" "10 aipc: error: step 4 of the plan (reduce_prod) does not fit this model: no node makes 'p0'"
same "rebase: then nothing is written" "no no" "$([[ -e $tmp/none.json ]] && echo yes || echo no) $([[ -e $tmp/none.onnx ]] && echo yes || echo no)"
sed '/cumsum_reverse/s/"hash":"......../"hash":"00000000/' "$plan" >"$tmp/stale.json"
run apply "$nets/plan-retrained.onnx" "$tmp/stale.json" --rebase "$tmp/none.json"
has "rebase: a rule that has changed" "$code $err" "10 aipc: error: step 5 of the plan (cumsum_reverse) does not fit this model: the rule has changed since"

# ---- a user's rule in a plan
rule() { # NAME REPLACEMENT
    mkdir -p "$tmp/user/rules"
    printf 'rule %s {\n  doc "cosh"\n  class db 70\n  helps "qnn: Cosh"\n  match { y = Cosh(x: Real) }\n  replace { %s }\n}\n' "$1" "$2" >"$tmp/user/rules/own.rule"
}
# Halved in the exponent: e^x alone overflows before cosh does.
rule cosh_plain 'y = Add(Exp(Sub(x, 0.6931472)), Exp(Sub(Neg(x), 0.6931472)))'
(cd "$tmp/user" && "$aipc" surgery "$nets/cosh.onnx" --target htp:sm8650 --input "x=$x" -o "$tmp/own.json" --save "$tmp/own.onnx" >"$tmp/out" 2>"$tmp/err")
same "a rule of the user repairs" 0 $?
asks "$tmp/own.json" "a rule of the user" <<<'is recorded := [s["name"] for s in d["steps"]] == ["cosh_plain"]'
(cd "$tmp/user" && "$aipc" apply "$nets/cosh.onnx" "$tmp/own.json" -o "$tmp/own2.onnx" >"$tmp/out" 2>"$tmp/err")
same "its plan gives the same bytes" "0 0" "$? $(cmp -s "$tmp/own.onnx" "$tmp/own2.onnx"; echo $?)"
run apply "$nets/cosh.onnx" "$tmp/own.json" -o "$tmp/own3.onnx"
has "where the rule is not" "$code $err" "10 aipc: error: step 1 of the plan (rule cosh_plain): there is no rule cosh_plain any more"
rule cosh_plain 'y = Add(Exp(Sub(Neg(x), 0.6931472)), Exp(Sub(x, 0.6931472)))'
(cd "$tmp/user" && "$aipc" apply "$nets/cosh.onnx" "$tmp/own.json" -o "$tmp/own3.onnx" >"$tmp/out" 2>"$tmp/err")
has "where its text is another" "$? $(cat "$tmp/err")" "10 aipc: error: step 1 of the plan (rule cosh_plain): rule cosh_plain has changed since"

# ---- right alone, proven to its class, and the gates of this model fail with it: rolled back, and another one is taken
rule cosh_shifted 'y = Sub(Add(Add(Exp(Sub(x, 0.6931472)), Exp(Sub(Neg(x), 0.6931472))), 64.0), 64.0)'
(cd "$tmp/user" && "$aipc" deploy "$nets/cosh.onnx" --target htp:sm8650 --input "x=$x" --gate sqnr_db=50 -o "$tmp/rolled" >"$tmp/out" 2>"$tmp/err")
same "a rule that breaks a gate: exit code" 0 $?
asks "$tmp/rolled/report.json" "a rule that breaks a gate" <<'PY'
it was tried and rolled back := [r["rules"] for r in t["repairs"]["rolled_back"]] == [["cosh_shifted"]]
for the gates := "gates of the whole model fail" in t["repairs"]["rolled_back"][0]["reason"]
another chain is kept := [r["rules"] for r in t["repairs"]["repairs"]] == [["cosh"]]
the gates hold := t["verdict"] == "pass"
PY
asks "$tmp/rolled/htp-sm8650/plan.json" "a rule that breaks a gate" <<<'no step of the plan := [s["name"] for s in d["steps"]] == ["cosh"]'
has "a rule that breaks a gate: the summary says so" "$(cat "$tmp/out")" "1 chain of rules was tried and rolled back"

# ---- a budget that is spent before the model runs right is named, with the option that gives more; what it cut short is not
# taken from the store
spent="the budget of 1 build of the whole model is spent (--repair-builds gives more)"
rule cosh_shifted 'y = Sub(Add(Add(Exp(Sub(x, 0.6931472)), Exp(Sub(Neg(x), 0.6931472))), 96.0), 96.0)'
(cd "$tmp/user" && "$aipc" deploy "$nets/cosh.onnx" --target htp:sm8650 --input "x=$x" --gate sqnr_db=50 --repair-builds 1 -o "$tmp/spent" >"$tmp/out" 2>"$tmp/err")
same "a budget is spent: exit code" 10 $?
has "a budget is spent: the summary" "$(cat "$tmp/out")" "htp:sm8650: repair ended: $spent"
has "a budget is spent: the error" "$(cat "$tmp/err")" "$spent"
has "a budget is spent: the page" "$(cat "$tmp/spent/report.md")" "Repair ended: the budget of 1 build"
asks "$tmp/spent/report.json" "a budget is spent" <<PY
it took no more := t["repairs"]["stats"]["tries"] == 1
the document := t["repairs"]["stats"]["ended"] == "$spent" and t["repairs"]["stats"]["cut_short"]
PY
(cd "$tmp/user" && "$aipc" surgery "$nets/cosh.onnx" --target htp:sm8650 --input "x=$x" --gate sqnr_db=50 --repair-builds 1 >"$tmp/out" 2>"$tmp/err")
has "a budget is spent: surgery says so" "$? $(cat "$tmp/err")" "$spent"
(cd "$tmp/user" && "$aipc" deploy "$nets/cosh.onnx" --target htp:sm8650 --input "x=$x" --gate sqnr_db=50 -o "$tmp/spent" >"$tmp/out" 2>"$tmp/err")
same "with more of it: exit code" 0 $?
asks "$tmp/spent/report.json" "with more of it" <<<'repaired, and nothing was cut short := [r["rules"] for r in t["repairs"]["repairs"]] == [["cosh"]] and t["repairs"]["stats"]["ended"] is None'

# ---- two graphs side by side
run diff "$nets/cosh.onnx" "$tmp/own.onnx"
same "diff: they differ" 10 "$code"
has "diff: what went" "$out" "-  Cosh(x) -> c"
has "diff: what came, small constants by value" "$out" "Sub(x, float32[]{0.693147182})"
run diff "$nets/plan.onnx" "$tmp/all.onnx" --json
asks "$tmp/out" "diff --json" <<<'attributes are shown := any("{reverse=1}" in (r["a"] or "") for r in d["rows"])'

# ---- interrupted in the middle: the next run goes on, with the proofs that were made
export AIPC_CACHE=$tmp/cache-stopped
if command -v python3 >/dev/null; then
    # A shell gives its background jobs no Ctrl-C.
    python3 - "$aipc" "$nets/plan.onnx" "$x" "$tmp/stopped" "$AIPC_CACHE" <<'PY'
import glob, os, signal, subprocess, sys, time
aipc, model, x, out, cache = sys.argv[1:]
p = subprocess.Popen([aipc, "deploy", model, "--target", "htp:sm8650", "--shape", "batch=1", "--input", "x=" + x, "-o", out],
                     start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
end = time.monotonic() + 60
while not glob.glob(cache + "/proofs/*.json") and p.poll() is None and time.monotonic() < end:
    time.sleep(0.01)
os.killpg(p.pid, signal.SIGINT)
code = p.wait()
end = time.monotonic() + 10
left = True
while left and time.monotonic() < end:
    try:
        os.killpg(p.pid, 0)
        time.sleep(0.05)
    except ProcessLookupError:
        left = False
print("ok" if code == -signal.SIGINT else "not ok", f"Ctrl-C ends it ({code})")
print("ok" if not left else "not ok", "Ctrl-C: no worker stays")
print("ok" if not os.path.exists(out + "/manifest.json") else "not ok", "Ctrl-C: half of an artifact is none")
PY
    # Nothing proven is proven again.
    before=$(cd "$AIPC_CACHE/proofs" && stat -c '%n %Y %i' -- *.json)
    deploy 0 stopped plan.onnx --target htp:sm8650 --shape batch=1 --input "x=$x"
    asks "$tmp/stopped/report.json" "after Ctrl-C" <<<'repaired := len(t["repairs"]["repairs"]) == 2'
    after=$(cd "$AIPC_CACHE/proofs" && stat -c '%n %Y %i' -- *.json | grep -F -f <(echo "$before"))
    same "after Ctrl-C: proofs are kept" "$before" "$after"
else
    echo "ok Ctrl-C # skipped: no python3"
fi

# ---- a terminal sees what is going on
if command -v script >/dev/null; then
    said=$(TERM=xterm AIPC_CACHE=$tmp/cache-seen script -qec "stty cols 150; '$aipc' deploy '$nets/plan.onnx' --target htp:sm8650 --shape batch=1 --input 'x=$x' -o '$tmp/seen'" /dev/null </dev/null)
    has "progress: which nodes are searched for" "$said" "searching rules for 2 of 2 nodes"
    has "progress: what is proven" "$said" "proving rule"
else
    echo "ok progress # skipped: no script(1)"
fi
finish
