#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc deploy on the CPU: interfaces of every shape, the document, the store.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
make_nets

# ---- one document with everything in it
deploy 0 plain convnet.onnx --input "x=$nets/x9.npy"
same "a good deployment is quiet" "" "$err"
asks "$tmp/plain/report.json" "report.json" <<'PY'
head := d["format"] == 1 and d["aipc"] and d["verdict"] == "pass" and d["command"].startswith("aipc ") or "deploy" in d["command"]
created := len(d["created"]) == 20 and d["created"].endswith("Z")
model := d["model"]["nodes"] == 7 and d["model"]["ops"]["Conv"] == 2 and len(d["model"]["sha256"]) == 64
host := d["host"]["cores"] >= 1 and d["host"]["os"]
tools := [x["name"] for x in d["tools"]] == ["onnxruntime"] and len(d["tools"][0]["sha256"]) == 64 and d["tools"][0]["licence"]
no warnings := d["warnings"] == []
contract inputs := d["contract"]["inputs"][0]["name"] == "x" and d["contract"]["inputs"][0]["dims"] == [1,3,9,9] and d["contract"]["inputs"][0]["dtype"] == "float32"
source of an input := d["contract"]["inputs"][0]["source"]["kind"] == "npy" and len(d["contract"]["inputs"][0]["source"]["sha256"]) == 64
contract outputs := d["contract"]["outputs"] == [{"name": "y", "dtype": "float32", "dims": [1,4], "channel_axis": 1}]
shared stages := [s["stage"] for s in d["stages"]] == ["baseline", "interface"]
stages of a target := [s["stage"] for s in t["stages"]] == ["build", "align", "quantize", "profile"]
fields of a stage := all(set(s) >= {"stage","target","verdict","cached","key","seconds","time","key_metric","inputs","outputs"} for s in d["stages"] + t["stages"])
baseline says what went in := d["stages"][0]["inputs"]["model"] == d["model"]["sha256"] and d["stages"][0]["inputs"]["input x"] == d["contract"]["inputs"][0]["data_sha256"]
and what came out := len(d["stages"][0]["outputs"]["y"]) == 64 and t["stages"][0]["outputs"]["model.onnx"] == t["artifact"]["files"][0]["sha256"] and len(t["stages"][1]["outputs"]["y"]) == 64
quantize is skipped := t["stages"][2]["verdict"] == "skipped"
target := t["target"] == "cpu" and t["verdict"] == "pass" and t["precision"] == "fp32" and t["soc"] is None
gates := {g["metric"] for g in t["gates"] if g["output"] == "y"} >= {"cosine","sqnr_db","rel_to_max","nonfinite_mismatch","argmax_agree","top5_agree","max_abs","max_rel","nan_test","inf_test"}
facts := {g["metric"] for g in t["gates"] if g["output"] is None} == {"runs_bit_equal","reload_bit_equal","share_on_target","contract"}
all pass := all(g["verdict"] in ("pass", "info") and not g["user_set"] for g in t["gates"])
metrics := set(t["metrics"]["y"]) >= {"count","cosine","sqnr_db","max_abs","max_rel","ref_max","rms_error","max_abs_index","worst_channel_db","worst_channel","channel_axis","nan_ref","nan_test","inf_ref","inf_test","nonfinite_mismatch","class_like","argmax_agree","top5_agree","bit_equal"}
placement := t["placement"]["share"] == 1.0 and t["placement"]["total"] == t["placement"]["on_target"] == len(t["placement"]["nodes"]) > 0 and t["placement"]["refused"] == []
profile := t["profile"]["unit"] == "us" and len(t["profile"]["layers"]) > 0 and all({"name","op","value"} <= set(l) for l in t["profile"]["layers"])
no estimate for a CPU := t["cost"] is None and t["trace"] is None
artifact := t["artifact"]["dir"] == "cpu" and t["artifact"]["files"][0]["role"] == "model" and len(t["artifact"]["files"][0]["sha256"]) == 64 and t["artifact"]["readback"] is None
claims := t["proved"] and t["not_proved"] and t["failure"] is None
time := all(d["time"][k] >= 0 for k in ("wall_s","ours_s","vendor_s","golden_s")) and d["time"]["ours_s"] <= d["time"]["wall_s"]
PY
asks "$tmp/plain/manifest.json" "manifest" <<'PY'
format := d["format"] == 1 and d["verdict"] == "pass"
files are what lies there := all(__import__("os").path.getsize(sys.argv[1].replace("manifest.json", "cpu/" + f["file"])) == f["bytes"] for f in t["files"])
golden := [x["file"] for x in d["golden"]["inputs"] + d["golden"]["outputs"]] == ["input-0.npy", "output-0.npy"]
PY
for f in report.html report.md golden/input-0.npy golden/output-0.npy cpu/model.onnx; do
    if [[ -s $tmp/plain/$f ]]; then ok "$f is there"; else ls -R "$tmp/plain" | not_ok "$f is there"; fi
done
same_tensor "the golden input is the input" "$tmp/plain/golden/input-0.npy" "$nets/x9.npy"
run deploy "$nets/convnet.onnx" --input "x=$nets/x9.npy" -o "$tmp/plain" --json
same "--json" "0|" "$code|$err"
asks "$tmp/out" "--json is the document" <<'PY'
verdict := d["verdict"] == "pass"
from the store := all(s["cached"] for s in d["stages"][:1] + t["stages"][:2])
PY

# ---- the artifact runs
run run "$tmp/plain" -o "$tmp/ran"
same "run without inputs" 0 "$code"
same_tensor "run gives what was deployed" "$tmp/ran/y.npy" "$tmp/plain/golden/output-0.npy"
run run "$tmp/plain/cpu" --input "x=$nets/x9.npy" -o "$tmp/ran2" --json
asks "$tmp/out" "run --json" <<'PY'
outputs := [(o["name"], o["dtype"], o["dims"]) for o in d["outputs"]] == [("y", "float32", [1,4])]
target := d["target"] == "cpu" and d["seconds"] >= 0
PY
same_tensor "run OUT/TARGET with a file" "$tmp/ran2/y.npy" "$tmp/ran/y.npy"
run run "$tmp/plain" --input "z=$nets/x9.npy" -o "$tmp/no"
same "an unknown input" "4|aipc: error: the artifact has no input 'z'" "$code|$(head -1 "$tmp/err")"
run run "$tmp/plain" --input "x=$nets/x16.npy" -o "$tmp/no"
same "an input of another shape" "4" "$code"
has "both shapes are named" "$err" "has shape 1x16, the model wants 1x3x9x9"
run profile "$tmp/plain" --json
asks "$tmp/out" "profile --json" <<'PY'
layers := len(d["profile"]["layers"]) > 0 and d["cost"] is None and d["target"] == "cpu"
PY

# ---- random inputs are said loudly, and are the same every time
deploy 0 random mlp.onnx
has "a warning" "$err" "warning: input 'x' is seeded random (seed 1): the gates say little about real data; give --input x=FILE"
deploy 0 random2 mlp.onnx --seed 1
same_tensor "the same seed" "$tmp/random/golden/input-0.npy" "$tmp/random2/golden/input-0.npy"
deploy 0 random3 mlp.onnx --seed 2
run compare "$tmp/random/golden/input-0.npy" "$tmp/random3/golden/input-0.npy"
same "another seed" 10 "$code"
asks "$tmp/random3/report.json" "random" <<'PY'
in the document := d["contract"]["inputs"][0]["source"] == {"kind": "random", "seed": 2} and "seeded random" in d["warnings"][0]
PY

# ---- interfaces
deploy 0 external external/model.onnx --input "x=$nets/x16.npy"
deploy 0 inside mlp.onnx --input "x=$nets/x16.npy"
same_tensor "external data: the same answer" "$tmp/external/golden/output-0.npy" "$tmp/inside/golden/output-0.npy"
if [[ -s $tmp/external/cpu/weights.bin ]]; then ok "the weights ship"; else ls "$tmp/external/cpu" | not_ok "the weights ship"; fi
run run "$tmp/external" -o "$tmp/external-ran"
if "$AIPC" inspect "$nets/external/model.onnx" | grep -q '^weights in  *weights.bin ([0-9.]* [KM]*i*B)$'; then ok "inspect names the weights file"
else "$AIPC" inspect "$nets/external/model.onnx" | not_ok "inspect names the weights file"; fi
same_tensor "external data: the artifact runs" "$tmp/external-ran/y.npy" "$tmp/inside/golden/output-0.npy"

deploy 0 two two-io.onnx --input "a=$nets/a.npy" --input "idx=$nets/idx.npy"
asks "$tmp/two/report.json" "two inputs, two outputs" <<'PY'
order := [(i["name"], i["dtype"]) for i in d["contract"]["inputs"]] == [("a", "float32"), ("idx", "int64")]
outputs := [(o["name"], o["dims"]) for o in d["contract"]["outputs"]] == [("picked", [3,4]), ("all", [6,4])]
metrics of both := set(t["metrics"]) == {"picked", "all"}
PY
run run "$tmp/two" --input "idx=$nets/idx.npy" -o "$tmp/no"
same "run wants every input" "4|aipc: error: no value for input 'a'" "$code|$(head -1 "$tmp/err")"

deploy 4 unshaped dynamic.onnx
has "a symbol without a size: its name" "$err" "symbolic dimensions without a size: batch of 'x'"
has "a symbol without a size: the flag" "$err" "--shape 'x=<batch>,16'"
deploy 0 symbol dynamic.onnx --shape batch=5
deploy 0 shaped dynamic.onnx --shape x=5,16
deploy 0 filed dynamic.onnx --input "x=$nets/batch5.npy"
for n in symbol shaped filed; do
    asks "$tmp/$n/report.json" "$n" <<'PY'
dims := d["contract"]["inputs"][0]["dims"] == [5,16] and d["contract"]["outputs"][0]["dims"] == [5,8]
PY
done
same_tensor "all spellings, one result" "$tmp/symbol/golden/output-0.npy" "$tmp/shaped/golden/output-0.npy"

deploy 0 scalar scalar.onnx
asks "$tmp/scalar/report.json" "scalars" <<'PY'
dims := d["contract"]["inputs"][1]["dims"] == [] and d["contract"]["outputs"][0]["dims"] == []
PY
run run "$tmp/scalar" -o "$tmp/scalar-ran"
same_tensor "scalars run" "$tmp/scalar-ran/y.npy" "$tmp/scalar/golden/output-0.npy"
deploy 0 empty empty.onnx
asks "$tmp/empty/report.json" "zero-size tensors" <<'PY'
dims := d["contract"]["outputs"][0]["dims"] == [0,4]
PY
run run "$tmp/empty" -o "$tmp/empty-ran"
same "zero-size tensors run" 0 "$code"

# ---- opsets
for model in "$nets"/opset-*.onnx; do
    name=$(basename "$model" .onnx)
    deploy 0 "$name" "$name.onnx" --input "x=$nets/x9.npy"
done

# ---- kept intermediates
deploy 0 kept convnet.onnx --input "x=$nets/x9.npy" --intermediates
run compare "$tmp/kept/golden" "$tmp/plain/golden" --json
asks "$tmp/out" "--intermediates" <<'PY'
more than the outputs := len(d["only_a"]) >= 4 and d["only_b"] == []
PY
finish
