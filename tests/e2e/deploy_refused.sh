#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A graph the backend refuses, without surgery: each node with its op and the backend's own reason.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

deploy 11 refused refused.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --no-surgery
same "the error, whole" "aipc: error: SM8650 refuses 2 nodes; 6 of 8 nodes (75.0 %) would run on it
  where: build
    node 'tri' (Trilu): Operators of type \`Trilu\` are not supported by QNN EP.
    node 'hard' (Hardmax): Operators of type \`Hardmax\` are not supported by QNN EP.
  next: the report lists every node, what was tried, and where it would run; --allow-cpu lets them run on the CPU" "$(grep -v '^aipc: warning' "$tmp/err")"
asks "$tmp/refused/report.json" "refused" <<'PY'
verdict := d["verdict"] == "fail" and t["verdict"] == "fail"
each node, its op, its reason := [(r["node"], r["op"]) for r in t["placement"]["refused"]] == [("tri", "Trilu"), ("hard", "Hardmax")] and all("not supported" in r["reason"] for r in t["placement"]["refused"])
share := t["placement"]["total"] == 8 and t["placement"]["on_target"] == 6 and t["placement"]["share"] == 0.75
where each would run := {n["name"]: n["where"] for n in t["placement"]["nodes"]}["tri"] == "cpu" and {n["name"]: n["where"] for n in t["placement"]["nodes"]}["conv0"] == "htp:sm8650"
error := t["failure"]["error"]["code"] == "backend-refused" and t["failure"]["error"]["exit"] == 11
build stage says it too := t["stages"][0]["verdict"] == "fail" and t["stages"][0]["key_metric"] == "6/8 nodes on target"
nothing is claimed := t["proved"] == []
golden is there all the same := [s["verdict"] for s in d["stages"]] == ["pass", "pass"]
PY
if [[ -e $tmp/refused/manifest.json || -e $tmp/refused/htp-sm8650 ]]; then ls "$tmp/refused" | not_ok "no artifact"; else ok "no artifact"; fi
run run "$tmp/refused" -o "$tmp/no"
same "nothing to run" "7" "$code"

# ---- --json: one document with the error in it
run deploy "$nets/refused.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" -o "$tmp/refused" --json --no-surgery
same "--json: exit" 11 "$code"
asks "$tmp/out" "--json of a refusal" <<'PY'
one document := d["verdict"] == "fail" and t["failure"]["error"]["code"] == "backend-refused"
PY

# ---- one of two targets
deploy 11 half refused.onnx --target cpu --target htp:sm8650 --input "x=$nets/x9.npy" --no-surgery
has "the target is named" "$err" "target htp:sm8650: SM8650 refuses 2 nodes"
asks "$tmp/half/report.json" "one of two" <<'PY'
verdicts := d["verdict"] == "fail" and [x["verdict"] for x in d["targets"]] == ["pass", "fail"]
PY
run run "$tmp/half" --json -o "$tmp/half-ran"
asks "$tmp/out" "what passed runs" <<'PY'
target := d["target"] == "cpu"
PY
finish
