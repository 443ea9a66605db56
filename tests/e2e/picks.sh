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

# A program whose model picks: verify looks at its calls in the same way.
need_plain
need_python onnxruntime
mkdir "$tmp/app" && cd "$tmp/app" || exit 1
cp "$nets/picks.onnx" "$nets/picks-mod.onnx" "$nets/x400.npy" "$nets/x24000.npy" .
cat >app.py <<'PY'
import sys
import numpy as np
import onnxruntime as ort
s, x = ort.InferenceSession(sys.argv[1]), np.load(sys.argv[2])
for shift in range(2):
    s.run(None, {"x": np.roll(x, shift, 1)})
print("done")
PY
# verify CODE NAME ARTIFACTS MODEL INPUT
verify() {
    run verify --json --target htp:sm8650 --artifacts "$tmp/$3" -- "$python" app.py "$4" "$5"
    same "verify, $2: exit $1" "$1" "$code"
}
verify 0 "rows in another order" picks picks.onnx x400.npy
asks "$tmp/out" "verify, rows in another order" <<'PY'
compared given the picks := [(c["compared"], c["picked"], c["verdict"]) for c in d["calls"]] == [(2, ["where"], "pass")]
the picks are judged := sorted(o["name"] for o in d["calls"][0]["outputs"]) == ["best", "where", "y"]
PY
run verify --target htp:sm8650 --artifacts "$tmp/picks" -- "$python" app.py picks.onnx x400.npy
has "it says so" "$out" "picks rows: compared with what the original computes"
verify 0 "a repaired model" mod picks-mod.onnx x24000.npy
asks "$tmp/out" "verify, a repaired model" <<'PY'
compared given the picks := [(c["picked"], c["verdict"]) for c in d["calls"]] == [(["where"], "pass")]
PY
# Thresholds of the deployment hold; the model it was made of is the program's when it lies nowhere else.
python3 - "$tmp/picks/manifest.json" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))
m["model"]["file"] = "/nowhere.onnx"
json.dump(m, open(sys.argv[1], "w"))
PY
verify 0 "the model lies elsewhere" picks picks.onnx x400.npy
python3 - "$tmp/picks/manifest.json" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))
for g in m["targets"][0]["gates"]:
    if g["metric"] == "sqnr_db":
        g.update(user_set=True, threshold=90)
json.dump(m, open(sys.argv[1], "w"))
PY
verify 10 "a threshold of the user's" picks picks.onnx x400.npy
asks "$tmp/out" "verify, a threshold of the user's" <<'PY'
first numbers stand := [(c["picked"], c["note"], len(c["outputs"])) for c in d["calls"]] == [(None, None, 2)]
threshold := {g["threshold"] for o in d["calls"][0]["outputs"] for g in o["gates"] if g["metric"] == "sqnr_db"} == {90}
PY
finish
