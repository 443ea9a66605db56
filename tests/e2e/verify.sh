#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc verify: a program as it is and served, compared at its models and at its end.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
need_plain
need_python onnxruntime
make_nets
app=$tmp/app
mkdir -p "$app"
cp "$nets/mlp.onnx" "$nets/dynamic.onnx" "$app/"
cat >"$app/app.py" <<'PY'
import os, sys, time
import numpy as np
import onnxruntime as ort
model, what = sys.argv[1:3]
s = ort.InferenceSession(model)
x = s.get_inputs()[0]
for i in range(3):
    feed = {x.name: (np.arange(np.prod([d if isinstance(d, int) else 1 for d in x.shape])).reshape([d if isinstance(d, int) else 1 for d in x.shape]) % 7 - 3 + i).astype("f4")}
    out = s.run(None, feed)[0]
    print("call %d: %.3f in %s, took %.2f ms" % (i, out.sum(), os.getcwd(), time.perf_counter() % 7))
np.save("out.npy", out)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "beside.txt"), "w") as f:
    f.write("score %.3f\n" % out.sum())
open("input.txt", "a").write("appended")
if what == "log":
    open("run.log", "w").write("process " + os.urandom(8).hex())
sys.exit(int(what) if what.isdigit() else 0)
PY
echo "as it was" >"$app/input.txt"
deploy 0 app/out mlp.onnx --target cpu
before=$(cd "$app" && find . -not -path './out*' -type f -exec sha256sum {} + | sort)
cd "$app" || exit 1

# verify CODE NAME ARGS...: leaves $out and $err
verify() {
    local want=$1 name=$2
    shift 2
    "$aipc" verify "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    same "$name: exit $want" "$want" $?
    out=$(<"$tmp/out") err=$(<"$tmp/err")
}
verify 0 "the same program" -- "$python" app.py mlp.onnx plain
has "it says so" "$out" "verdict: pass"
has "all calls were served" "$out" "served: 3 of 3 calls"
verify 0 "by absolute paths, as a document" --json -- "$python" "$app/app.py" "$app/mlp.onnx" plain
asks "$tmp/out" "the document" <<'Q'
verdict := d["verdict"] == "pass" and (d["status_plain"], d["status_served"]) == (0, 0)
served := (d["served"]["calls"], d["served"]["served"]) == (3, 3)
calls := [(c["calls"], c["compared"], c["apart"], c["verdict"]) for c in d["calls"]] == [(3, 3, 0, "pass")]
files := sorted(d["files"]) == ["beside.txt", "input.txt", "out.npy"]
end := {g["what"]: (g["metric"], g["verdict"]) for g in d["end"]} == {"exit code": ("difference", "pass"), "stdout": ("difference", "pass"), "out.npy": ("cosine", "pass"), "beside.txt": ("difference", "pass"), "input.txt": ("difference", "pass")}
Q
same "the user's files stay as they were" "$before" "$(find . -not -path './out*' -type f -exec sha256sum {} + | sort)"

# ---- what differs
verify 10 "a log that differs each time" -- "$python" app.py mlp.onnx log
has "where" "$out" "run.log: process "
verify 0 "a log that is not looked at" --task none:run.log -- "$python" app.py mlp.onnx log
verify 0 "several tasks" --task exact:beside.txt --task none:run.log --task text=0.01 -- "$python" app.py mlp.onnx log
verify 10 "no boxes" --task boxes:stdout -- "$python" app.py mlp.onnx plain
verify 2 "no such task" --task nonsense -- "$python" app.py mlp.onnx plain
has "which there are" "$err" "percent, words, exact, boxes"
verify 0 "an exit code of its own, twice the same" -- "$python" app.py mlp.onnx 9
verify 4 "a model that was not deployed" -- "$python" app.py dynamic.onnx plain
has "what to do" "$err" "aipc exec"
verify 4 "a program that calls nothing" -- "$python" -c 'print(1)'
verify 7 "nothing deployed" --artifacts nowhere -- "$python" app.py mlp.onnx plain
verify 7 "no such program" -- no-such-program

# A task that is named once: where the program is recorded, or where the recording is deployed.
record() { "$aipc" record "$@" -- "$python" app.py mlp.onnx log >"$tmp/log" 2>&1 </dev/null || not_ok "recorded" <"$tmp/log"; }
record --task none:run.log --task numbers=0.1 -o rec
run deploy rec --target cpu -o named -q
verify 0 "a task of the recording" --artifacts named --json -- "$python" app.py mlp.onnx log
asks "$tmp/out" "a task of the recording" <<'Q'
it is said := d["tasks"] == ["none:run.log", "numbers=0.1"]
it holds := {g["what"]: g["threshold"] for g in d["end"]}["stdout"] == 0.1 and "run.log" not in {g["what"] for g in d["end"]}
Q
verify 10 "another one" --artifacts named --task text -- "$python" app.py mlp.onnx log
run deploy rec --target cpu -o named --task none:run.log --task exact:beside.txt -q
same "a task of the deployment" 'none:run.log exact:beside.txt' "$(python3 -c 'import json; print(*json.load(open("named/index.json"))["tasks"])')"
verify 0 "a task of the deployment" --artifacts named -- "$python" app.py mlp.onnx log
run deploy --target cpu -o both --task none:run.log -q -- "$python" app.py mlp.onnx log
verify 0 "a task of the program" --artifacts both -- "$python" app.py mlp.onnx log
run record --task nonsense -o bad -- "$python" app.py mlp.onnx log
has "what is no task is not kept" "$code $err" "2 aipc: error: --task: 'nonsense' is no task"
run deploy rec --task boxes= -o bad
same "nor deployed with" 2 "$code"
run deploy mlp.onnx --task boxes -o bad
has "a model has no task" "$code $err" "mlp.onnx is no recording"
rm -rf rec named both bad

# An artifact of other weights under the model's name: what verify is for.
"$python" - "$nets/mlp.onnx" other.onnx <<'PY'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = max(range(0, len(data) - 64, 4), key=lambda i: sum(0.01 < abs(v) < 1 for v in struct.unpack_from("<16f", data, i)))
struct.pack_into("<16f", data, at, *[v + 0.5 for v in struct.unpack_from("<16f", data, at)])
open(sys.argv[2], "wb").write(data)
PY
"$aipc" deploy other.onnx -o wrong --target cpu -q >"$tmp/log" 2>&1 </dev/null || not_ok "other weights are deployed" <"$tmp/log"
# pretend FOLDER MODEL: the deployment says it is MODEL's.
pretend() {
    "$python" - "$1/manifest.json" "$2" <<'PY'
import hashlib, json, sys
m = json.load(open(sys.argv[1]))
m["model"]["sha256"] = hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest()
json.dump(m, open(sys.argv[1], "w"))
PY
}
pretend wrong "$nets/mlp.onnx"
verify 10 "other weights" --artifacts wrong --json --keep "$tmp/kept" -- "$python" app.py mlp.onnx plain
asks "$tmp/out" "both ends see it" <<'Q'
verdict := d["verdict"] == "fail"
calls := d["calls"][0]["verdict"] == "fail" and any(g["verdict"] == "fail" for g in d["calls"][0]["outputs"][0]["gates"])
end := {g["what"] for g in d["end"] if g["verdict"] == "fail"} >= {"stdout", "beside.txt"}
note := any(" | " in (g.get("note") or "") for g in d["end"])
Q
same "--keep" "2" "$(cat "$tmp/kept/plain/stdout" "$tmp/kept/served/work/beside.txt" | grep -c 'call 0\|score')"

# A program that feeds answers back: what is served gets other inputs from the third call on. Each call is compared on the
# inputs of the run as it is; state-near.onnx errs by a millionth, state-wrong.onnx is right while the state is small.
cat >state.py <<'PY'
import numpy as np
import onnxruntime as ort
s, h = ort.InferenceSession("state.onnx"), np.zeros((1, 8), "f4")
for i in range(6):
    y, h = s.run(None, {"x": np.full((1, 8), i % 3 - 0.5 if i else 1e-6, "f4"), "h": h})
    print("%.3f" % y.sum())
PY
cp "$nets/state.onnx" .
for kind in near wrong; do
    "$aipc" deploy "$nets/state-$kind.onnx" -o "state-$kind" --target cpu -q >"$tmp/log" 2>&1 </dev/null ||
        not_ok "state-$kind is deployed" <"$tmp/log"
    pretend "state-$kind" state.onnx
done
verify 0 "state that drifts" --artifacts state-near --json -- "$python" state.py
asks "$tmp/out" "state that drifts" <<'Q'
every call is compared := [(c["calls"], c["compared"], c["apart"] - c["replayed"], c["replayed"] > 1, c["verdict"]) for c in d["calls"]] == [(6, 6, 0, True, "pass")]
nothing was picked := [(c["picked"], c["note"]) for c in d["calls"]] == [(None, None)]
what came of it is judged, too := {g["what"] for g in d["end"]} == {"exit code", "stdout"}
Q
verify 0 "state that drifts, in words" --artifacts state-near -- "$python" state.py
has "how it was compared" "$out" "calls had other inputs when served"
cat >single.py <<'PY'
import numpy as np
import onnxruntime as ort
ort.InferenceSession("sum.onnx").run(None, {"x": np.ones((1, 8), "f4")})
PY
cp "$nets/sum.onnx" .
"$aipc" deploy sum.onnx -o sum --target cpu -q >"$tmp/log" 2>&1 </dev/null || not_ok "sum is deployed" <"$tmp/log"
verify 0 "an output of one number" --artifacts sum -- "$python" single.py
same "its distance is shown" "y max_abs info" "$(awk '/max_abs/ { print $3, $4, $NF }' <<<"$out")"
verify 10 "wrong where inputs differ" --artifacts state-wrong --task none --json -- "$python" state.py
asks "$tmp/out" "wrong where inputs differ" <<'Q'
the calls say so, not what came of it := [(c["replayed"] > 1, c["verdict"]) for c in d["calls"]] == [(True, "fail")] and all(g["verdict"] == "pass" for g in d["end"])
Q

# The same with a module of torch, whose arithmetic differs in the last bits by itself.
if ! "$python" -c "import torch, onnx" 2>/dev/null; then
    echo "ok verify a module # skipped: torch not here"
    finish
fi
cat >step.py <<'PY'
import torch
class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.new, self.old = torch.nn.Linear(32, 32), torch.nn.Linear(32, 32)
    def forward(self, x, state):
        h = torch.tanh(self.new(x) + self.old(state["h"]))
        return torch.nn.functional.softplus(h), {"h": h}
with torch.no_grad():
    m, state = Step().eval(), {"h": torch.zeros(1, 32)}
    for i in range(6):
        y, state = m(torch.full((1, 32), i % 3 - 0.5), state)
        print("%.3f" % y.sum())
PY
run deploy --target cpu -o step -q --task numbers=0.01 -- "$python" step.py
verify 0 "a module that feeds back" --artifacts step --json -- "$python" step.py
asks "$tmp/out" "a module that feeds back" <<'Q'
every call is compared := [(c["calls"], c["compared"], c["apart"] - c["replayed"], c["note"], len(c["outputs"])) for c in d["calls"]] == [(6, 6, 0, None, 2)]
Q

# Half precision: the program's own answers are no more exact than their type.
cat >half.py <<'PY'
import torch
class Halves(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b = torch.nn.Linear(256, 256), torch.nn.Linear(256, 32)
    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))
with torch.no_grad():
    m = Halves().eval().half()
    print("%.2f" % m(torch.linspace(-1, 1, 256)[None].half()).float().abs().sum())
PY
run deploy --target cpu -o half -q -- "$python" half.py
verify 0 "a module in half precision" --artifacts half --json -- "$python" half.py
asks "$tmp/out" "a module in half precision" <<'Q'
it was served := d["served"]["served"] == 1
by gates of half precision := [g["threshold"] for c in d["calls"] for o in c["outputs"] for g in o["gates"] if g["metric"] == "sqnr_db"] == [30]
Q

# Tokens and their features: along which axis the channels lie is read off the graph, and known to whoever verifies.
cat >tokens.py <<'PY'
import torch
class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.a, self.norm = torch.nn.Linear(16, 32), torch.nn.LayerNorm(32)
    def forward(self, x):
        return self.norm(self.a(x))
with torch.no_grad():
    print("%.2f" % Tokens().eval()(torch.linspace(-1, 1, 320).reshape(1, 20, 16)).abs().sum())
PY
run deploy --target cpu -o tokens -q -- "$python" tokens.py
asks tokens/index.json "features" <<'Q'
in the contract := [json.load(open("tokens/%s/manifest.json" % a["dir"]))["contract"]["outputs"][0]["channel_axis"] for m in d["models"] for a in m["artifacts"]] == [2]
Q
verify 0 "features" --artifacts tokens --json -- "$python" tokens.py
asks "$tmp/out" "features" <<'Q'
are channels := [o["metrics"]["channel_axis"] for c in d["calls"] for o in c["outputs"]] == [2]
Q
finish
