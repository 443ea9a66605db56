#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc deploy for the HTP, on Qualcomm's own libraries: what goes well.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

deploy 0 conv convnet.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --dlc
same "a good deployment is quiet" "" "$err"
asks "$tmp/conv/report.json" "htp report" <<'PY'
tools := [x["name"] for x in d["tools"]] == ["onnxruntime", "onnxruntime-qnn"]
soc := t["soc"]["soc_model"] == 57 and t["soc"]["htp_version"] == 75 and t["soc"]["name"] == "SM8650" and t["soc"]["fp16"] is True
precision := t["precision"] == "fp16"
stages := [s["stage"] for s in t["stages"]] == ["build", "align", "trace", "quantize", "profile"]
every node is on the target := t["placement"]["share"] == 1.0 and all(n["where"] == "htp:sm8650" for n in t["placement"]["nodes"])
node names are the model's := {"conv0", "relu0", "conv1", "gap", "fc"} <= {n["name"] for n in t["placement"]["nodes"]}
facts := {g["metric"]: g["verdict"] for g in t["gates"] if g["output"] is None} == dict.fromkeys(["runs_bit_equal","reload_bit_equal","share_on_target","soc_readback","contract"], "pass")
the numbers are fp16's := 35 < t["metrics"]["y"]["sqnr_db"] < 120
read back := t["artifact"]["readback"]["soc_model"] == 57 and t["artifact"]["readback"]["graphs"][0]["inputs"] == [{"name": "x", "dtype": "float32", "dims": [1,3,9,9]}]
read back outputs := t["artifact"]["readback"]["graphs"][0]["outputs"][0]["name"] == "y" and t["artifact"]["readback"]["build_id"].startswith("v2.51")
compatibility string := ":75:57:" in t["artifact"]["compatibility"]
files := {f["role"] for f in t["artifact"]["files"]} == {"wrapper", "context binary", "dlc"}
trace := len(t["trace"]) >= 4 and all({"index","tensor","node","op","sqnr_db","cosine","max_abs","ref_max"} <= set(e) for e in t["trace"])
trace order := [e["index"] for e in t["trace"]] == list(range(len(t["trace"])))
trace is described := isinstance(t["trace_faithful"], bool) and t["trace_note"] is None
macs of a convolution by hand := sum(l["macs"] for l in t["cost"]["layers"]) == t["cost"]["macs"] == 81*8*27 + 81*8*72 + 8*4
weights of the layers by hand := t["cost"]["weight_bytes"] >= 2*(8*27 + 8*72 + 32)
layers := all(l["bound"] in ("compute","memory","overhead") and l["ms"] >= 0 for l in t["cost"]["layers"])
the estimate is the sum and the overhead := abs(t["cost"]["estimate_ms"] - sum(l["ms"] for l in t["cost"]["layers"]) - 0.305) < 1e-6
assumptions are listed := any("assumed" in a for a in t["cost"]["assumptions"])
emulator time is never device time := t["profile"] is None and any("never reported" in s for s in t["not_proved"])
PY
asks "$tmp/conv/manifest.json" "htp manifest" <<'PY'
the DLC is listed := any(f["role"] == "dlc" and f["file"] == "model.dlc" and f["bytes"] > 0 for f in t["files"])
soc := t["soc_model"] == 57 and t["kind"] == "htp" and t["dir"] == "htp-sm8650"
PY
if [[ -s $tmp/conv/htp-sm8650/model.dlc ]]; then ok "the DLC ships"; else ls "$tmp/conv/htp-sm8650" | not_ok "the DLC ships"; fi
run run "$tmp/conv" -o "$tmp/conv-ran"
same "the artifact runs" 0 "$code"
run run "$tmp/conv" --input "x=$nets/x9.npy" -o "$tmp/conv-ran2"
same_tensor "golden sample or its file: one result" "$tmp/conv-ran/y.npy" "$tmp/conv-ran2/y.npy"
run profile "$tmp/conv" --json
asks "$tmp/out" "profile of an htp artifact" <<'PY'
only the estimate := d["profile"] is None and d["cost"]["estimate_ms"] > 0
PY
run deploy "$nets/convnet.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" -o "$tmp/conv" --dlc --json
asks "$tmp/out" "again" <<'PY'
from the store := d["verdict"] == "pass" and all(s["cached"] for s in d["stages"][:1] + [s for s in t["stages"] if s["stage"] in ("build", "align", "trace")])
at once := d["time"]["vendor_s"] == 0 and d["time"]["wall_s"] < 1
PY

# ---- several targets, one golden run
deploy 0 three mlp.onnx --target cpu --target htp:sm8650 --target htp:sm8750 --input "x=$nets/x16.npy"
asks "$tmp/three/report.json" "three targets" <<'PY'
all there := [x["target"] for x in d["targets"]] == ["cpu", "htp:sm8650", "htp:sm8750"]
all pass := d["verdict"] == "pass" and all(x["verdict"] == "pass" for x in d["targets"])
each its SoC := [x["artifact"]["readback"]["soc_model"] for x in d["targets"][1:]] == [57, 69]
their folders := [x["artifact"]["dir"] for x in d["targets"]] == ["cpu", "htp-sm8650", "htp-sm8750"]
PY
for target in cpu htp:sm8650 htp:sm8750; do
    run run "$tmp/three" --target "$target" -o "$tmp/three-$target"
    same "run --target $target" 0 "$code"
done
run run "$tmp/three/htp-sm8750" --json -o "$tmp/three-x"
asks "$tmp/out" "a target by its folder" <<'PY'
target := d["target"] == "htp:sm8750"
PY

# ---- interfaces on the HTP
deploy 0 two two-io.onnx --target htp:sm8650 --input "a=$nets/a.npy" --input "idx=$nets/idx.npy"
run run "$tmp/two" -o "$tmp/two-ran"
same "int64 input, two outputs: runs" 0 "$code"
deploy 0 dynamic dynamic.onnx --target htp:sm8650 --shape batch=2
deploy 0 external external/model.onnx --target htp:sm8650 --input "x=$nets/x16.npy"
mkdir "$tmp/moved" && cp -r "$tmp/external/htp-sm8650" "$tmp/external/manifest.json" "$tmp/external/golden" "$tmp/moved/"
run run "$tmp/moved" -o "$tmp/moved-ran"
same "an artifact needs nothing but its folder" 0 "$code"

# ---- runtimes in a folder given relative to here
mkdir "$tmp/here" && ln -s "$data" "$tmp/here/data" && cd "$tmp/here" || exit 1
AIPC_DATA=data deploy 0 relative mlp.onnx --target htp:sm8650 --fresh
cd "$root" || exit 1

# ---- what cannot be
deploy 11 old convnet.onnx --target htp:sm8350 --input "x=$nets/x9.npy"
has "no fp16: said" "$err" "SM8350 (HTP v68) cannot run float models: it has no fp16"
has "no fp16: what to do" "$err" "choose a newer SoC (aipc targets), or --precision fp32"
deploy 2 fp32 convnet.onnx --target htp:sm8650 --precision fp32
has "fp32 on an fp16 NPU: said" "$err" "SM8650 runs float models in fp16, not in fp32"
finish
