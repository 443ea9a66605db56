#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc probe on the real vendor runtime: verdicts, reasons, the cache, what a crash costs.
. "$(dirname "$0")/deploy_lib.bash"

# ---- the command line
fails "nothing to ask" "aipc: error: nothing to ask about
  next: for example: aipc probe htp:sm8650 Conv, or --all" probe htp:sm8650
fails "--all and words" "aipc: error: --all and 'Conv' together
  next: leave one of them out" probe htp:sm8650 Conv --all
fails "two models" "aipc: error: 'a.onnx' is a model among other words
  next: ask about one model at a time" probe htp:sm8650 a.onnx b.onnx
need onnxruntime onnxruntime-qnn
fails "no such operator" "aipc: error: the table has no operator 'Conf'
  next: did you mean Conv? A model is asked about by its file name" probe htp:sm8650 Conf
run probe htp:sm1 Conv
same "no such SoC" 5 "$code"

# ---- verdicts
run probe htp:sm8650 Relu Cast Trilu Pad TopK Where GridSample If CastLike --json --csv "$tmp/probe.csv" --html "$tmp/probe.html"
same "probe: exit" 0 "$code"
asks "$tmp/out" "probe" <<'PY'
target := d["target"] == "htp:sm8650" and "onnxruntime-qnn 2" in d["backend"] and d["model"] is None
sums agree := d["summary"]["total"] == len(d["probes"]) == sum(d["summary"][w] for w in ("accepted", "refused", "wrong", "unstable", "crashed", "hung", "invalid", "unasked"))
accepted := all(p["verdict"] == "accepted" for p in d["probes"] if p["op"] == "TopK" or (p["op"], p["variant"]) == ("Relu", "4D f"))
refused in the backend's words := {p["reason"] for p in d["probes"] if p["op"] == "Trilu"} == {"Operators of type `Trilu` are not supported by QNN EP."}
refused by the library below := [p["reason"] for p in d["probes"] if (p["op"], p["variant"]) == ("Relu", "6D")] == ["QNN.backendValidateOpConfig() failed for node `n0` of type `Relu` with error code 3110"]
lost in the layout change := [p["verdict"] for p in d["probes"] if (p["op"], p["variant"]) == ("GridSample", "5D op20")] == ["refused"]
accepted but wrong := {(p["op"], p["variant"]) for p in d["probes"] if p["verdict"] == "wrong"} == {("Cast", "uint8->FLOAT"), ("Pad", "edge"), ("Where", "real -inf")}
how wrong := all(p["error"] > 0.5 for p in d["probes"] if p["verdict"] == "wrong" and p["op"] != "Where")
a body := [p["verdict"] for p in d["probes"] if p["op"] == "If"] == ["accepted"]
nothing was known := d["asking"]["cached"] == 0 and d["asking"]["asked"] == d["summary"]["total"]
PY
cp "$tmp/out" "$tmp/first.json"
has "csv" "$(<"$tmp/probe.csv")" "op,domain,variant,opset,verdict,accepted_but_wrong,error,inexact,folded,reason"
has "csv: wrong" "$(grep '^Pad,,edge' "$tmp/probe.csv")" ",wrong,yes,"
has "html" "$(<"$tmp/probe.html")" '<b class="wrong">3 accepted but wrong</b>'

# ---- other numbers and shapes: what is right at one shape need not be at another, and then it is flagged
fails "a seed and a model" "aipc: error: a seed and other shapes are for the table: the nodes of a model are asked about as they are" probe htp:sm8650 a.onnx --seed 1
run probe htp:sm8650 AveragePool Relu --seed 7 --vary-shapes --json
same "other shapes: exit" 0 "$code"
cp "$tmp/out" "$tmp/varied.json"
asks "$tmp/out" "other shapes" <<'PY'
the table's variants := d["summary"]["total"] > 10 and d["summary"]["invalid"] == 0
in other shapes := all(p["shapes"][0] != [1, 8, 16, 16] for p in d["probes"] if (p["op"], p["variant"]) == ("Relu", "4D f"))
wrong only there := [p["variant"] for p in d["probes"] if p["op"] == "AveragePool" and p["verdict"] == "wrong"] == ["2D k3p1 exclude"]
PY
run probe htp:sm8650 AveragePool Relu --seed 7 --vary-shapes --json
asks "$tmp/out" "other shapes again" <<'PY'
everything known := d["asking"]["asked"] == 0
PY
run probe htp:sm8650 Relu --seed 8 --json
asks "$tmp/out" "other numbers" <<'PY'
asked again := d["asking"]["cached"] == 0
PY

# ---- a quantisation is no other alone than among others
run probe htp:sm8650 QuantizeLinear DequantizeLinear --batch 1 --fresh --json
asks "$tmp/out" "one a graph" <<'PY'
taken := sorted((p["op"], p["verdict"]) for p in d["probes"]) == [("DequantizeLinear", "accepted"), ("DequantizeLinear", "refused"), ("QuantizeLinear", "accepted"), ("QuantizeLinear", "accepted")]
PY

# ---- the second time
run probe htp:sm8650 Relu Cast Trilu Pad TopK Where GridSample If CastLike --json
asks "$tmp/out" "again" <<'PY'
everything known := d["asking"]["asked"] == 0 and d["asking"]["cached"] == d["summary"]["total"]
fast := d["asking"]["seconds"] < 0.5
PY
if command -v python3 >/dev/null; then
    same "again: the same answers" "same" "$(python3 - "$tmp/first.json" "$tmp/out" <<'PY'
import json, sys
a, b = (json.load(open(f))["probes"] for f in sys.argv[1:])
for p in a + b: del p["cached"]
print("same" if a == b else "other")
PY
    )"
fi
printf 'no database' >"$AIPC_CACHE/probes.db"
run probe htp:sm8650 Trilu
same "a damaged cache: exit" 0 "$code"
has "a damaged cache: a warning" "$err" "probes.db is damaged"
run probe htp:sm8750 Trilu --json
asks "$tmp/out" "another SoC" <<'PY'
asked again := d["asking"]["cached"] == 0 and d["summary"]["refused"] == 2
PY

# ---- a crash costs one probe: Relu of five dimensions kills QNN 2.51 on SM8350
run probe htp:sm8350 Relu Abs --json
same "a crash: exit" 0 "$code"
asks "$tmp/out" "a crash" <<'PY'
one crashed := [p["variant"] for p in d["probes"] if p["verdict"] == "crashed"] == ["5D"]
and says how := ["signal 11" in p["reason"] for p in d["probes"] if p["verdict"] == "crashed"] == [True]
the others have answers := d["summary"]["accepted"] >= 8 and d["summary"]["unasked"] == 0
PY

# ---- the nodes of a model; the target cpu
make_nets
run probe htp:sm8650 "$nets/refused.onnx" --json
same "a model: exit" 0 "$code"
asks "$tmp/out" "a model" <<'PY'
every node := d["summary"]["total"] == 6
refused nodes by name := [(p["variant"], p["op"]) for p in d["probes"] if p["verdict"] == "refused"] == [("tri", "Trilu"), ("hard", "Hardmax")]
PY
run probe cpu Relu Trilu Cast --json
asks "$tmp/out" "cpu" <<'PY'
takes all := d["summary"]["refused"] == 0 and d["summary"]["wrong"] == 0
PY
finish
