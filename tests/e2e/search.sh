#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The search on the real vendor runtime: probe --repair, rules why.
. "$(dirname "$0")/deploy_lib.bash"

# ---- the command line
fails "why needs a model" "aipc: error: 'aipc rules why' needs one MODEL and a --target
  next: for example: aipc rules why model.onnx --target htp:sm8650" rules why --target htp:sm8650
fails "why needs a target" "aipc: error: 'aipc rules why' needs one MODEL and a --target
  next: for example: aipc rules why model.onnx --target htp:sm8650" rules why model.onnx
need onnxruntime onnxruntime-qnn
cd "$tmp" || exit 1 # a folder ./rules would be taken for the user's own

# ---- refused and wrong operators become right ones, each by proven rules
run probe htp:sm8650 Mod CumSum AveragePool Pad Ceil Unique RandomNormalLike --repair --json --csv "$tmp/r.csv" --html "$tmp/r.html"
same "repair: exit" 0 "$code"
cp "$tmp/out" "$tmp/first.json"
asks "$tmp/first.json" "repair" <<'PY'
adds up := d["summary"]["right_as_is"] + d["summary"]["right_after_surgery"] + d["summary"]["left"] == d["summary"]["total"]
only what was not right := all((p["repair"] is None) == (p["verdict"] == "accepted") for p in d["probes"])
Mod fmod of int32 := [p["repair"]["found"] for p in d["probes"] if (p["op"], p["variant"]) == ("Mod", "int32 fmod")] == [True]
CumSum both ways := [p["repair"]["by"] for p in d["probes"] if p["op"] == "CumSum" and p["repair"]] == ["cumsum_exclusive", "cumsum_reverse"]
repaired ones are right := all(p["repair"]["error"] < 0.01 for p in d["probes"] if p["repair"] and p["repair"]["found"])
with a class := all(p["repair"]["class"].split()[0] in ("exact", "bits", "ulp", "db") for p in d["probes"] if p["repair"] and p["repair"]["found"])
what is left has a reason := all(p["repair"]["reason"] for p in d["probes"] if p["repair"] and not p["repair"]["found"])
no rule can help these := {p["op"]: p["repair"]["reason"] for p in d["probes"] if p["op"] in ("Unique", "RandomNormalLike")} == {"Unique": "data-dependent output shape", "RandomNormalLike": "random"}
PY
has "csv" "$(<"$tmp/r.csv")" ",reason,repaired_by,repair_class,repair_error,left_because"
has "csv: a chain" "$(grep '^CumSum,,reverse' "$tmp/r.csv")" ",cumsum_reverse,exact,"
has "html" "$(<"$tmp/r.html")" "right after surgery"
run probe htp:sm8650 Mod CumSum AveragePool Pad Ceil Unique RandomNormalLike --repair --json
asks "$tmp/out" "the second time" <<'PY'
all from the cache := d["asking"]["asked"] == 0
PY
if command -v python3 >/dev/null; then
    same "the same answer twice" "" "$(python3 - "$tmp/first.json" "$tmp/out" <<'PY'
import json, sys
a, b = ([p["repair"] for p in json.load(open(f))["probes"]] for f in sys.argv[1:3])
print("" if a == b else "they differ")
PY
    )"
fi
run probe htp:sm8650 PATTERN --repair --json
asks "$tmp/out" "patterns" <<'PY'
a quantised SiLU on 10 rows is wrong := [p["verdict"] for p in d["probes"] if p["variant"] == "QDQ u16 Conv SiLU 10 rows"] == ["wrong"]
and right after surgery := [(p["repair"]["found"], p["repair"]["by"], p["repair"]["error"] < 0.001) for p in d["probes"] if p["variant"] == "QDQ u16 Conv SiLU 10 rows"] == [(True, "silu_flat_quantised", True)]
PY
run probe htp:sm8650 CumSum --repair
has "the table" "$out" "cumsum_reverse"
has "the sum" "$out" "right after surgery"

# ---- loops become nodes first; what is left says why in a word, to be counted by
run probe htp:sm8650 Loop Scan Slice Range Where ReduceProd MaxRoiPool Relu Cast --repair --json
asks "$tmp/out" "kinds" <<'PY'
loops of known length := {p["op"]: (p["repair"]["found"], p["repair"]["by"].split(",")[0], bool({"loop", "scan"} & set(p["repair"]["passes"]))) for p in d["probes"] if p["op"] in ("Loop", "Scan")} == {"Loop": (True, "unrolled", True), "Scan": (True, "unrolled", True)}
a list of numbers stays one := [p["repair"]["by"] for p in d["probes"] if p["op"] == "MaxRoiPool"] == ["max_roi_pool"]
kinds := {(p["op"], p["variant"]): p["repair"]["kind"] for p in d["probes"] if p["repair"] and not p["repair"]["found"]} == {("Slice", "dyn starts"): "data-dependent output shape", ("Range", "input limit"): "data-dependent output shape", ("Where", "real -inf"): "range of float16", ("ReduceProd", "axes 2,3 nokeep"): "range of float16", ("Relu", "6D"): "rank of the interface", ("Relu", "7D"): "rank of the interface", ("Relu", "double"): "type of the interface", ("Cast", "float32->DOUBLE"): "type of the interface", ("Cast", "float64->FLOAT"): "type of the interface", ("Cast", "float32->BFLOAT16"): "type of the interface"}
PY

# ---- the nodes of a model
make_nets
run rules why "$nets/refused.onnx" --target htp:sm8650 --json
same "why: exit" 0 "$code"
asks "$tmp/out" "why" <<'PY'
every node := sum(len(n["nodes"]) for n in d["nodes"]) == d["summary"]["nodes"] == 6
it adds up := d["summary"]["nodes"] == sum(d["summary"][k] for k in ("taken", "taken_in_context", "repaired", "left"))
the two refused ones := sorted(n["op"] for n in d["nodes"] if not n["taken"]) == ["Hardmax", "Trilu"]
each has a chain or tells what was tried := all(n["chain"] or n["tried"] for n in d["nodes"] if not n["taken"])
PY
run rules why "$nets/refused.onnx" --target htp:sm8650
has "why: the table" "$out" "Trilu"
run rules why "$nets/none.onnx" --target htp:sm8650
same "why: no such file" 7 "$code"
finish
