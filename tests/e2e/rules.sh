#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc rules: the proof finds what is wrong with a rule, says so at load where it can, and lets right ones pass.
. "$(dirname "$0")/deploy_lib.bash"
export AIPC_CACHE=$tmp/own # proofs are what this is about: none of an earlier script's

# ---- the command line
fails "list takes no names" "aipc: error: 'aipc rules list' takes no names
  next: aipc rules show NAME" rules list x
fails "show needs one" "aipc: error: 'aipc rules show' needs one NAME
  next: aipc rules list shows the names" rules show
need onnxruntime
mkdir "$tmp/wrong" "$tmp/right" "$tmp/load"

# ---- rules that look right. Each is wrong for some of the numbers its pattern lets in.
cat >"$tmp/wrong/wrong.rule" <<'RULES'
rule mod_truncates { doc "Wrong for negative numbers: Div truncates." class exact
  match { y = Mod(a: i32, b: i32) {fmod=0} } where { lo(b) > 0 } replace { y = Sub(a, Mul(Div(a, b), b)) } }
rule mod_without_truncation { doc "Identically zero on floats." class exact
  match { y = Mod(a: f32, b: f32) {fmod=1} } where { pos(b); finite(a) } replace { y = Sub(a, Mul(Div(a, b), b)) } }
rule floor_is_cast { doc "Truncation, not floor: wrong for negative numbers." class exact
  match { y = Floor(x: f32) } where { max(abs(lo(x)), abs(hi(x))) < 1000000; notnan(x) } replace { y = Cast(Cast(x) {to=i32}) {to=f32} } }
rule round_is_floor_half { doc "Wrong for ties: ONNX rounds half to even." class exact
  match { y = Round(x: f32) } replace { y = Floor(Add(x, 0.5)) } }
rule einsum_unsummed { doc "f is in one operand and not in the result: it has to be summed, not taken at 0." class ulp 64 finite
  match { y = Einsum(a: f32, b) {equation="ij,if->j"} } replace { y = MatMul(Transpose(a), Gather(b, cast(0, i64)) {axis=1}) } }
rule maxpool_no_stride { doc "The stride is forgotten." class exact finite
  match { y = MaxPool(x: f32[N,C,H,W]) {kernel_shape=k, strides=_, pads=[0,0,0,0]} } replace { y = MaxPool(x) {kernel_shape=k} } }
rule cumsum_by_sub { doc "Loses the small ones: [1, 1e8]." class exact
  match { y = CumSum(x: f32, a) {exclusive=1} } replace { y = Sub(CumSum(x, a), x) } }
rule trilu_by_mul { doc "0 times -inf is NaN." class exact
  match { y = Trilu(x: f32[H,W]) {upper=1} } let { m = tensor f32[H,W](i,j): j >= i ? 1 : 0 } replace { y = Mul(x, m) } }
rule hardmax_by_equal { doc "Two ones where two are largest." class exact finite
  match { y = Hardmax(x: f32[B,N]) {axis=1} } replace { y = Cast(Equal(x, ReduceMax(x, cast([1], i64)) {keepdims=1})) {to=f32} } }
rule relu_of_nan { doc "A comparison is false for NaN." class exact
  match { y = Relu(x: f32) } replace { y = Where(Greater(x, 0.0), x, 0.0) } }
rule softmax_unshifted { doc "Overflows." class db 100
  match { y = Softmax(x: f32[B,N]) {axis=1} } replace { e = Exp(x); y = Div(e, ReduceSum(e, cast([1], i64)) {keepdims=1}) } }
rule erf_as_tanh { doc "A rough approximation, sold as a good one." class db 120
  match { y = Erf(x: f32) } replace { y = Tanh(Mul(x, 1.128379)) } }
rule right_for_one_input { doc "Right on some golden input of positive numbers." class exact
  match { y = Abs(x: f32) } replace { y = Identity(x) } }
rule never { doc "Nothing is above 3 and below 2." class exact
  match { y = Neg(x: f32) } where { rank(x) > 3; rank(x) < 2 } replace { y = Sub(0.0, x) } }
rule other_type { doc "The result is bool, it was float." class exact
  match { y = Sign(x: f32) } replace { y = Greater(x, 0.0) } }
rule other_shape { doc "One dimension is gone." class exact
  match { y = ReduceMax(x: f32, a: const i64) {keepdims=1} } replace { y = ReduceMax(x, a) {keepdims=0} } }
rule for_ever { doc "Fits its own result." class exact
  match { y = Neg(x: f32) } replace { y = Neg(Neg(Neg(x))) } }
RULES
run rules test --rules "$tmp/wrong" "$tmp/wrong/wrong.rule" --json --keep "$tmp/kept"
same "wrong rules: exit" 10 "$code"
asks "$tmp/out" "wrong" <<'PY'
every one is refused := d["summary"]["rules"] == 17 and d["summary"]["hold"] == 0
by what goes wrong := {p["rule"]: p["verdict"] for p in d["proofs"] if p["verdict"] != "fails"} == {"maxpool_no_stride": "breaks types", "never": "never fits", "other_type": "breaks types", "other_shape": "breaks types", "for_ever": "loops"}
with a counterexample := all(p["counter"]["nodes"] and p["counter"]["inputs"] for p in d["proofs"] if p["rule"] != "never" and p["rule"] != "erf_as_tanh")
right only for one input := [p["counter"]["element"]["left"] > 0 > p["counter"]["element"]["right"] for p in d["proofs"] if p["rule"] == "right_for_one_input"] == [True]
made small := [len(p["counter"]["inputs"][0]["values"]) <= 2 for p in d["proofs"] if p["rule"] == "right_for_one_input"] == [True]
the reason of never := ["rank(x) < 2" in p["reason"] or "rank(x) > 3" in p["reason"] for p in d["proofs"] if p["rule"] == "never"] == [True]
PY
same "the counterexample is kept" "input0-0.npy left0.npy model.onnx right.onnx right0.npy" "$(cd "$tmp/kept/right_for_one_input" && echo *)"
run rules test right_for_one_input --rules "$tmp/wrong"
has "shown" "$out" "Abs(float32"

# ---- said at load
cat >"$tmp/load/a.rule" <<'RULES'
rule twice { doc "" class exact match { y = Neg(x: f32) } where { rank(x) > 1 } replace { y = Sub(0.0, x) } }
rule again { doc "" class exact match { y = Neg(x: f32) } where { rank(x) > 1 } replace { y = Sub(0.0, x) } }
rule unknown_op { doc "" class exact match { y = Negg(x) } replace { y = Neg(x) } }
rule no_graph { doc "" class exact match { y = Neg(x: f32) } where { rank(x) > 3; rank(x) < 2 } replace { y = Mul(x, -1.0) } }
rule gives_bool { doc "" class exact match { y = Sign(x: f32) } replace { y = Greater(x, 0.0) } }
rule gives_less { doc "" class exact match { y = ReduceMax(x: f32, a: const i64) {keepdims=1} } replace { y = ReduceMax(x, a) {keepdims=0} } }
rule has_no_end { doc "" class exact match { y = Neg(x: f32) } replace { y = Neg(Neg(Neg(x))) } }
rule other_name { doc "The result of a graph keeps its name." class exact match { y = Neg(x: f32) } replace { z = Mul(x, -1.0) } }
RULES
run rules list --rules "$tmp/load" --json
asks "$tmp/out" "load" <<'PY'
overlap at equal rank := [p["rule"] for p in d["problems"] if "never reached" in p["message"]] == ["again"]
not in the library := "again" not in [r["name"] for r in d["rules"]] and "twice" in [r["name"] for r in d["rules"]]
unknown operator := any("did you mean 'Neg'" in p["message"] for p in d["problems"] if p["rule"] == "unknown_op")
never satisfiable := any(p["severity"] == "error" and "never fits" in p["message"] and "rank(x)" in p["message"] for p in d["problems"] if p["rule"] == "no_graph")
another type := any("breaks types" in p["message"] and "bool" in p["message"] for p in d["problems"] if p["rule"] == "gives_bool")
another shape := any("breaks types" in p["message"] for p in d["problems"] if p["rule"] == "gives_less")
no end := any("loops" in p["message"] for p in d["problems"] if p["rule"] == "has_no_end")
another name := any(p["severity"] == "error" for p in d["problems"] if p["rule"] == "other_name")
none of them in the library := {r["name"] for r in d["rules"]} & {"unknown_op", "no_graph", "gives_bool", "gives_less", "has_no_end", "other_name"} == set()
PY

# ---- rules that are right, and lines that matter
cat >"$tmp/right/r.rule" <<'RULES'
rule neg_by_sub { doc "" class exact match { y = Neg(x: f32) } replace { y = Mul(x, -1.0) } }
rule abs_of_nonneg { doc "" class exact match { y = Abs(x: f32) } where { nonneg(x) } replace { y = Identity(x) } }
rule idle_line { doc "" class exact match { y = Relu(x: f32) } where { rank(x) < 9 } replace { y = Max(x, 0.0) } }
RULES
(cd "$tmp" && mkdir -p project && cp -r right project/rules)
(cd "$tmp/project" && "$aipc" rules test neg_by_sub abs_of_nonneg --mutate --json >"$tmp/out" 2>"$tmp/err") && ok "right rules: exit" || not_ok "right rules: exit" <"$tmp/err"
asks "$tmp/out" "right" <<'PY'
all hold := d["summary"] == {"rules": 2, "hold": 2, "mutants": 1, "killed": 1}
enough instances := all(p["instances"] >= 200 for p in d["proofs"])
PY
(cd "$tmp/project" && "$aipc" rules list --json >"$tmp/out" 2>/dev/null)
asks "$tmp/out" "list" <<'PY'
proofs are remembered := {r["name"]: r["proof"] for r in d["rules"] if r["name"] in ("neg_by_sub", "idle_line")} == {"neg_by_sub": "holds", "idle_line": None}
PY
(cd "$tmp/project" && "$aipc" rules test idle_line --mutate >"$tmp/out" 2>/dev/null)
has "a line that does nothing" "$(<"$tmp/out")" "idle_line: 'rank(x) < 9' never decides"
finish
