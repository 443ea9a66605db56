#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which level repairs what: a graph that the target refuses and no rule fits is exported again with level 1; so is one whose
# gates fail. What failed before is told.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
need_plain
need_torch
program=$root/tests/python/programs.py
cd "$tmp" || exit 1

# A DFT: this target has none, and there is no rule for it. As products with two matrices it runs.
run record -o rec -- "$python" "$program" spectrum
run deploy rec --target htp:sm8650 --no-trace -o found
same "refused, then with level 1: exit 0" 0 "$code"
has "it says why" "$out" "with level 1, because before: "
asks found/index.json "refused, then with level 1" <<'Q'
replaced := [(a["verdict"], a["level1"]) for m in d["models"] for a in m["artifacts"]] == [("pass", ["rfft"])]
the refusal is kept := [(len(a["tried"]), a["tried"][0]["error"]["code"], "DFT" in str(a["tried"][0]["error"]["notes"])) for m in d["models"] for a in m["artifacts"]] == [(1, "backend-refused", True)]
Q
dir=found/$(python3 -c 'import json; print(json.load(open("found/index.json"))["models"][0]["artifacts"][0]["dir"])')
asks "$dir/report.json" "what was deployed" <<'Q'
no DFT is in it := "DFT" not in d["model"]["ops"] and d["model"]["ops"]["MatMul"] >= 2
all of it runs on the target := t["placement"]["share"] == 1
Q
"$python" "$program" spectrum 2>/dev/null >alone
"$aipc" exec --artifacts found --strict -- "$python" "$program" spectrum >served 2>served.err </dev/null
same "it serves the program" "0 $(wc -l <alone)" "$? $(wc -l <served)"

# Gates that fail: the step back is the same, and when it does not help either, both are told.
run record -o rec2 -- "$python" "$program" attention
run deploy rec2 --target htp:sm8650 --no-trace --no-surgery --gate sqnr_db=150 -o out2
same "gates fail with and without level 1: exit 10" 10 "$code"
has "the first failure is told, too" "$out" "with level 1, because before: "
asks out2/index.json "gates fail" <<'Q'
tried with level 1 := [(a["verdict"], a["level1"]) for m in d["models"] for a in m["artifacts"]] == [("fail", ["scaled_dot_product_attention"])]
the evidence is kept := [(a["tried"][0]["level1"], a["tried"][0]["error"]["code"], "sqnr_db" in a["tried"][0]["error"]["message"]) for m in d["models"] for a in m["artifacts"]] == [([], "gate-failed", True)]
Q
run deploy rec2 --target htp:sm8650 --no-trace --no-surgery -o out3
asks out3/index.json "nothing failed" <<'Q'
as it was exported first := [(a["verdict"], a["level1"], a["tried"]) for m in d["models"] for a in m["artifacts"]] == [("pass", [], [])]
Q

# One export for two sizes that the target refuses: each size gets an export of its own. No model is known whose open export
# alone is refused, so one is made: next to nothing is added to what was exported, by way of a DFT.
run record -o rec4 -- "$python" "$program" two_sizes
run export rec4
"$python" - rec4/export/export.json <<'Q'
import json, sys, numpy as np, onnx
made = json.load(open(sys.argv[1]))["models"][0]["signatures"]
assert made[0]["open"] and made[0]["file"] == made[1]["file"], made
model = onnx.load(made[0]["file"])
output, last = model.graph.output[0].name, model.graph.node[-1]
assert list(last.output) == [output]
last.output[0] = "exact"
for name, value in (("last", [-1]), ("little", [1e-9])):
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, "i8" if name == "last" else "f4"), name))
for op, inputs, made_value in (("Unsqueeze", ["exact", "last"], "real"), ("DFT", ["real"], "waves"), ("ReduceMax", ["waves"], "most"),
                               ("Mul", ["most", "little"], "nothing"), ("Add", ["exact", "nothing"], output)):
    model.graph.node.append(onnx.helper.make_node(op, inputs, [made_value], **({"keepdims": 0} if op == "ReduceMax" else {})))
onnx.save(model, made[0]["file"])
Q
run deploy rec4 --target htp:sm8650 --no-trace -o out4
same "refused for two sizes, then one by one: exit 0" 0 "$code"
asks out4/index.json "one by one" <<'Q'
both sizes passed := [a["verdict"] for m in d["models"] for a in m["artifacts"]] == ["pass"] * 2
what was refused had open dims := [(a["tried"][0]["open"], a["tried"][0]["error"]["code"]) for m in d["models"] for a in m["artifacts"]] == [(True, "backend-refused")] * 2
Q
"$python" "$program" two_sizes 2>/dev/null >alone
"$aipc" exec --artifacts out4 --strict -- "$python" "$program" two_sizes >served 2>served.err </dev/null
same "they serve the program" "0 $(wc -l <alone)" "$? $(wc -l <served)"
finish
