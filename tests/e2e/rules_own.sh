#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules of the user's own: a text file in the folder rules/ where aipc is started is enough. A rule that is not proven is
# never applied, however well it would do on the model at hand.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets
mkdir -p "$tmp/project/rules" "$tmp/plain"
cd "$tmp/project" || exit 1

# ---- right for this model, whose Celu stands behind a Relu; wrong for a rule that speaks of every Celu
cat >rules/wrong.rule <<'RULES'
rule own_wrong { doc "Right where nothing is negative." class exact helps "qnn: Celu"
  match { y = Celu(x: f32) {alpha=_} } replace { y = Relu(x) } }
RULES
deploy 0 wrong refused-celu.onnx --target htp:sm8650
asks "$tmp/wrong/report.json" "a wrong rule" <<'PY'
the model is repaired all the same := [r["op"] for r in t["repairs"]["repairs"]] == ["Celu"] and d["verdict"] == "pass"
by another rule := "own_wrong" not in json.dumps(t["repairs"]["repairs"][0]["rules"])
PY
run rules list --json
asks "$tmp/out" "a wrong rule" <<'PY'
its proof was tried := [r["proof"] for r in d["rules"] if r["name"] == "own_wrong"] == ["fails"]
where it stands := [r["file"] for r in d["rules"] if r["name"] == "own_wrong"] == ["rules/wrong.rule"]
PY
run surgery "$nets/refused-celu.onnx" --target htp:sm8650 -o wrong.json --json
same "surgery passes" 0 "$code"
same "surgery does not use it" "" "$(grep -o own_wrong wrong.json)"
run rules why "$nets/refused-celu.onnx" --target htp:sm8650 --json
asks "$tmp/out" "why" <<'PY'
the chain is another := [any("own_wrong" in json.dumps(s) for s in n["chain"]) for n in d["nodes"] if n["op"] == "Celu"] == [False]
PY

# ---- a right one next to it: the fact is proven from the graph, so it may be used; nothing is rebuilt
cat >rules/right.rule <<'RULES'
rule own_nonneg { doc "Celu of what is not negative changes nothing." class exact helps "qnn: Celu"
  match { y = Celu(x: f32) {alpha=a} } where { a > 0; nonneg(x) } replace { y = Identity(x) } }
RULES
deploy 0 right refused-celu.onnx --target htp:sm8650
asks "$tmp/right/report.json" "a right rule" <<'PY'
it repairs := ["own_nonneg" in json.dumps(r["rules"]) for r in t["repairs"]["repairs"]] == [True]
the gates hold := d["verdict"] == "pass"
PY
run surgery "$nets/refused-celu.onnx" --target htp:sm8650 -o right.json --save right.onnx
same "surgery with it" 0 "$code"
has "it stands in the plan" "$(<right.json)" own_nonneg
run apply "$nets/refused-celu.onnx" right.json -o again.onnx
same "the plan again" "0 0" "$code $(cmp -s right.onnx again.onnx; echo $?)"
(cd "$tmp/plain" && "$aipc" apply "$nets/refused-celu.onnx" ../project/right.json -o again.onnx >"$tmp/out" 2>"$tmp/err")
same "without the rule: refused" 10 $?
has "and it is named" "$(<"$tmp/err")" own_nonneg
same "nothing is written" no "$([[ -e $tmp/plain/again.onnx ]] && echo yes || echo no)"

run rules test own_nonneg --mutate --json
same "it is proven, and each line of it" 0 "$code"
asks "$tmp/out" "it is proven" <<'PY'
two lines matter := d["summary"] == {"rules": 1, "hold": 1, "mutants": 2, "killed": 2}
PY

# ---- a file that is no rule: said, with line and column; the others work on
printf 'rule own_broken {\n  class exact\n  match { y = Celu(x: f32) {alpha=_ }\n}\n' >rules/broken.rule
run rules why "$nets/refused-celu.onnx" --target htp:sm8650
same "a broken file beside it" 0 "$code"
has "is named" "$err" "rules/broken.rule:5:1: rule own_broken is left out: expected '}'"
has "the right one still works" "$out" own_nonneg
finish
