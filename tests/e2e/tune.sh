#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --tune: what runs right is rewritten where the gates hold and the cost falls; what is not kept has a reason.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

# ---- htp: the estimate decides
deploy 0 plain tune.onnx --target htp:sm8650 --no-trace
deploy 0 htp tune.onnx --target htp:sm8650 --no-trace --tune
has "what was kept is told" "$out" "htp:sm8650: tuned by tune_scale_once at 1 places"
asks "$tmp/htp/report.json" "htp" <<'PY'
passes := d["verdict"] == "pass"
kept := "tune_scale_once" in [s["rule"] for s in t["repairs"]["tuning"]["kept"]]
it got cheaper := t["repairs"]["tuning"]["cost"][1] < t["repairs"]["tuning"]["cost"][0]
each step did := all(s["cost"][1] < s["cost"][0] for s in t["repairs"]["tuning"]["kept"])
what was not kept has a reason := all(s["reason"] for s in t["repairs"]["tuning"]["rejected"])
the artifact is the tuned one := t["repairs"]["after"]["cost"]["nodes"] < t["repairs"]["cleaned"]["cost"]["nodes"]
estimates := abs(t["cost"]["estimate_ms"] - t["repairs"]["tuning"]["cost"][1]) < 1e-9
PY
asks "$tmp/plain/report.json" "without --tune" <<<'nothing is touched := t["repairs"] is None'
run apply "$nets/tune.onnx" "$tmp/htp/htp-sm8650/plan.json" -o "$tmp/applied.onnx"
same "the plan can be applied" 0 "$code"
run inspect "$tmp/applied.onnx" --json
asks "$tmp/out" "the plan's model" <<<'scales once := d["ops"]["Mul"] == 1'
deploy 0 htp tune.onnx --target htp:sm8650 --no-trace --tune
asks "$tmp/htp/report.json" "again" <<<'from the store := all(s["cached"] for s in t["stages"] if s["stage"] in ("surgery", "build", "align"))'

# ---- cpu: the clock decides, so what is kept may differ, but not what is told
deploy 0 cpu tune.onnx --tune
asks "$tmp/cpu/report.json" "cpu" <<'PY'
passes := d["verdict"] == "pass"
time was measured := t["repairs"]["cleaned"]["cost"]["measured_ms"] > 0
something was tried := len(t["repairs"]["tuning"]["kept"]) + len(t["repairs"]["tuning"]["rejected"]) >= 1
every step has both times or a reason := all(s["cost"][0] > 0 and (s["cost"][1] or s.get("reason")) for k in ("kept", "rejected") for s in t["repairs"]["tuning"][k])
what was kept was faster := all(s["cost"][1] < s["cost"][0] for s in t["repairs"]["tuning"]["kept"])
what was not kept has a reason := all(s["reason"] for s in t["repairs"]["tuning"]["rejected"])
PY
run run "$tmp/cpu" -o "$tmp/ran"
same "the tuned artifact runs" 0 "$code"

# ---- surgery alone
run --json surgery "$nets/tune.onnx" --target htp:sm8650 --tune -o "$tmp/plan.json" --save "$tmp/tuned.onnx"
same "surgery --tune" 0 "$code"
asks "$tmp/out" "surgery --tune" <<'PY'
the rule is a step := [s["name"] for s in d["steps"] if s["kind"] == "rule"][:1] == ["tune_scale_once"]
and stands in the report := d["repairs"]["tuning"]["kept"][0]["rule"] == "tune_scale_once"
PY
run apply "$nets/tune.onnx" "$tmp/plan.json" -o "$tmp/again.onnx"
same "apply gives the same bytes" "0 0" "$code $(cmp -s "$tmp/tuned.onnx" "$tmp/again.onnx"; echo $?)"
run --json surgery "$nets/tune.onnx" --target cpu --tune -o "$tmp/plan.json"
same "surgery --tune for the cpu" 0 "$code"
run surgery "$nets/tune.onnx" --target cpu
has "surgery for the cpu without it" "$code $err" "2 aipc: error: --target cpu: the cpu takes every model"
finish
