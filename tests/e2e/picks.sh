#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rows picked by TopK from scores that lie closer together than float16 resolves: judged given the target's picks. An error
# behind the picks is found and repaired all the same; picks that are worse than the best fail.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

deploy 0 picks picks.onnx --target htp:sm8650 --no-trace --input "x=$nets/x400.npy"
asks "$tmp/picks/report.json" "picks" <<'PY'
verdict := d["verdict"] == "pass"
no surgery := t["repairs"] is None
rows and picks are judged := set(t["metrics"]) == {"y", "best", "where"}
the rows by the picks of the target := 30 < t["metrics"]["y"]["sqnr_db"] < 100
the picks by the best there are := t["metrics"]["where"]["sqnr_db"] > 50
it is no secret := any("picks rows" in s for s in t["proved"])
PY

# With the gates on a score that no float16 has, the picks are what fails.
deploy 10 strict picks.onnx --target htp:sm8650 --no-trace --no-surgery --fresh --input "x=$nets/x400.npy" --gate sqnr_db=90
asks "$tmp/strict/report.json" "strict" <<'PY'
first numbers stand := set(t["metrics"]) == {"y", "best"}
PY

deploy 0 mod picks-mod.onnx --target htp:sm8650 --no-trace --input "x=$nets/x24000.npy"
asks "$tmp/mod/report.json" "picks and Mod" <<'PY'
what is wrong behind the picks is repaired := [r["nodes"] for r in t["repairs"]["repairs"]] == [["mod"]]
and nothing else was needed := [n["node"] for n in t["repairs"]["needs"]] == ["mod"] and t["repairs"]["left"] == []
all is judged := set(t["metrics"]) == {"y", "best", "class", "where"}
PY
deploy 10 unrepaired picks-mod.onnx --target htp:sm8650 --no-trace --no-surgery --input "x=$nets/x24000.npy"
has "an error behind the picks is no pick" "$err" "of class is"

deploy 0 large wrong-mod.onnx --target htp:sm8650 --no-trace --input "i=$nets/i300.npy"
asks "$tmp/large/report.json" "numbers beyond float16" <<'PY'
wrong on these values only := t["repairs"]["needs"][0]["node"] == "mod" and t["repairs"]["needs"][0]["verdict"] == "wrong"
repaired := [r["op"] for r in t["repairs"]["repairs"]] == ["Mod"]
PY
finish
