#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Graphs the vendor's library accepts and computes wrong, without surgery: the gate stops them, the first wrong tensor
# is found, and the smallest failing graph is kept. deploy_repair.sh has what surgery makes of them.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

# wrong MODEL NODE OP TENSOR ARGS...
wrong() {
    local model=$1 node=$2 op=$3 tensor=$4 name
    shift 4
    name=$model$*
    deploy 10 "$name" "$model.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" --no-surgery "$@"
    has "$name: the metric, the value, the gate" "$err" "of y is "
    asks "$tmp/$name/report.json" "$name" <<PY
verdict := d["verdict"] == "fail" and t["verdict"] == "fail"
align fails := {s["stage"]: s["verdict"] for s in t["stages"]}["align"] == "fail"
error := t["failure"]["error"]["code"] == "gate-failed" and t["failure"]["error"]["exit"] == 10
first diverging := {k: t["failure"]["first_diverging"][k] for k in ("tensor", "node", "op")} == {"tensor": "$tensor", "node": "$node", "op": "$op"}
its number := t["failure"]["first_diverging"]["sqnr_db"] < 15
reduced := t["failure"]["reduced"]["nodes"] in (1, 2)
float16 is not to blame := {g["verdict"] for g in t["failure"]["float16"]} == {"pass"} and "float16 itself comes closer" in str(t["failure"]["error"]["notes"])
what to do := "where along the graph the error begins; --gate METRIC=VALUE" in t["failure"]["error"]["hint"]
runs and reload are equal all the same := {g["metric"]: g["verdict"] for g in t["gates"] if g["output"] is None}["reload_bit_equal"] == "pass"
PY
    local small=$tmp/$name/htp-sm8650-failing
    for f in model.onnx input-0.npy output-0.npy; do
        if [[ -s $small/$f ]]; then ok "$name: $f is kept"; else ls "$small" 2>&1 | not_ok "$name: $f is kept"; fi
    done
    run inspect "$small/model.onnx" --json
    asks "$tmp/out" "$name: the small model" <<PY
nodes := d["nodes"] in (1, 2) and "$op" in d["ops"]
ends in the wrong tensor := [o["name"] for o in d["outputs"]] == ["$tensor"]
PY
    local input
    input=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["inputs"][0]["name"])' "$tmp/out")
    run deploy "$small/model.onnx" --target htp:sm8650 --input "$input=$small/input-0.npy" -o "$tmp/$name-again" --no-surgery
    same "$name: the small model fails again" 10 "$code"
    asks "$tmp/$name-again/report.json" "$name: again" <<PY
same place := t["failure"]["first_diverging"]["op"] == "$op"
PY
    run deploy "$small/model.onnx" --target cpu --input "$input=$small/input-0.npy" -o "$tmp/$name-cpu"
    same_tensor "$name: its kept output is what the CPU computes" "$tmp/$name-cpu/golden/output-0.npy" "$small/output-0.npy"
    run run "$tmp/$name" -o "$tmp/$name-ran"
    same "$name: what failed can still be run, to look at it" 0 "$code"
}
wrong wrong-pool pool AveragePool p
wrong wrong-pool pool AveragePool p --no-trace
wrong wrong-resize up Resize u
wrong wrong-resize up Resize u --no-trace

# ---- the same again from the store: the same verdict
deploy 10 wrong-pool wrong-pool.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --no-surgery
asks "$tmp/wrong-pool/report.json" "from the store" <<'PY'
same place := t["failure"]["first_diverging"]["node"] == "pool"
PY

# ---- thresholds of the user's own are shown as such
deploy 0 lenient wrong-pool.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --gate cosine=0.1 --gate sqnr_db=0 --gate rel_to_max=10 \
    --gate worst_channel_db=-100
asks "$tmp/lenient/report.json" "--gate" <<'PY'
shown := {g["metric"] for g in t["gates"] if g["user_set"]} == {"cosine", "sqnr_db", "rel_to_max", "worst_channel_db"}
with their value := [g["threshold"] for g in t["gates"] if g["metric"] == "cosine"] == [0.1]
the rest is untouched := all(not g["user_set"] for g in t["gates"] if g["output"] is None)
PY
deploy 10 strict convnet.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --gate sqnr_db=200
asks "$tmp/strict/report.json" "a strict gate" <<'PY'
fails := [g["verdict"] for g in t["gates"] if g["metric"] == "sqnr_db"] == ["fail"]
no single place is blamed := t["failure"]["first_diverging"] is None and t["failure"]["reduced"] is None
more exact operators were tried, no node was looked for := t["repairs"]["sharpening"] and t["repairs"]["stats"] is None and t["repairs"]["needs"] == []
float16 itself does not come so far := [(g["metric"], g["verdict"], 50 < g["value"] < 100) for g in t["failure"]["float16"]] == [("sqnr_db", "fail", True)] and "float16 itself does not pass" in str(t["failure"]["error"]["notes"])
what to do := "what float16 itself comes to; --gate METRIC=VALUE" in t["failure"]["error"]["hint"]
PY
deploy 2 typo convnet.onnx --gate cosin=0.9
has "a mistyped metric" "$err" "did you mean 'cosine'?"
finish
