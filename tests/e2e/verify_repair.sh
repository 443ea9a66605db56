#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc verify --repair: the gates pass and the program does not do the same: what it was deployed as is made more exact.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
need_plain
need_python onnxruntime
make_nets
mkdir -p "$tmp/app"
cp "$nets/length.onnx" "$tmp/app/"
cd "$tmp/app" || exit 1
# Lengths of small numbers: 36 dB as it is, which any gate lets through, 64 dB by the ratio of the two.
cat >app.py <<'PY'
import numpy as np, onnxruntime as ort
x = ((np.arange(64) * 37 % 64 - 31.5) / 48).astype("f4")[None]
y = ort.InferenceSession("length.onnx").run(None, {"x": x})[0]
print(*("%.4f" % v for v in y[0] * 1000))
PY

# verify CODE NAME ARGS...
verify() {
    local want=$1 name=$2
    shift 2
    "$aipc" verify "$@" -- "$python" app.py >"$tmp/out" 2>"$tmp/err" </dev/null
    same "$name: exit $want" "$want" $?
    out=$(<"$tmp/out") err=$(<"$tmp/err")
}
run record -q -o rec --task numbers=0.01 -- "$python" app.py
run deploy -q rec --target htp:sm8650 --no-trace -o out
same "its gates pass" 0 "$code"
verify 10 "a task that fails"
has "the way on is told" "$err" "--repair deploys again, more exactly"
verify 10 "made more exact, for a stricter task than that gives" --repair --task numbers=0.0001
has "what was done is told" "$out" "deployed again, more exactly: $PWD/out"
run deploy -q rec --target htp:sm8650 --no-trace -o out
verify 0 "made more exact" --repair --json
asks "$tmp/out" "the document" <<'Q'
verdict := d["verdict"] == "pass" and all(g["verdict"] == "pass" for g in d["end"])
deployed again := [p.endswith("/out") for p in d["repair"]["deployed"]] == [True] and d["repair"]["left"] == []
because of the end, not of the calls := [g["verdict"] for g in d["repair"]["first"]["end"]] == ["pass", "fail"] and all(c["verdict"] == "pass" for c in d["repair"]["first"]["calls"])
Q
asks out/index.json "the index" <<<'says so := d["options"]["sharpen"] and d["options"]["no_trace"] and d["targets"] == ["htp:sm8650"] and d["tasks"] == ["numbers=0.01"]'
verify 0 "from then on"
verify 10 "as exact as can be, and not enough" --repair --task numbers=0.0001
has "that is said" "$err" "could not be made more exact: it is as exact as can be already"
same "the way of a user's own gives the same" 0 "$(
    "$aipc" deploy -q rec --target htp:sm8650 --no-trace --sharpen -o own >/dev/null
    cmp -s own/length/*/htp-sm8650/model_qnn.bin out/length/*/htp-sm8650/model_qnn.bin
    echo $?
)"

# What cannot be made more exact, and why.
run deploy -q rec --target htp:sm8650 --no-trace -o out
mv rec gone
verify 10 "without its recording" --repair
has "that is said" "$err" "could not be made more exact: its recording is gone"
mv gone rec
run deploy -q "$nets/length.onnx" --target htp:sm8650 --no-trace -o plain
verify 10 "a model of no recording" --repair --artifacts plain --task numbers=0.01
has "that is said" "$err" "could not be made more exact: it is no deployment of a recording"
sed -i 's/^print/import os\nif os.environ.get("AIPC_ARTIFACTS"): y = y + 1\nprint/' app.py
run deploy -q rec --target cpu -o out
verify 10 "for the cpu" --repair
has "that is said" "$err" "could not be made more exact: it has no target that anything is known to be more exact on"
finish
