#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A module answers more than the program reads, and what it does not read fails a gate: deployed without that, when
# the program ends alike without it, and not when the program needs it.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
need_plain
need_torch
mkdir "$tmp/app" && cd "$tmp/app" || exit 1
# Feature 3 is the small difference of two large channels: in half precision mostly noise.
cat >net.py <<'PY'
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.features, self.head = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 4, 1), torch.nn.Linear(8, 5)
        with torch.no_grad():
            for t in (self.conv.weight, self.conv.bias):
                t[0] = t[0].abs()
                t[1] = t[0] * 1.001
            self.features.weight[3] = 0
            self.features.weight[3, 0], self.features.weight[3, 1], self.features.bias[3] = 20, -20, 0

    def forward(self, x):
        h = torch.relu(self.conv(x))
        return self.head(h.mean((2, 3))), {"features": self.features(h)}

def run(read):
    net, seen = Net().eval(), torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for i in range(3):
            scores, more = net(seen + i)
            read(more["features"])
            print("best", scores.argmax().item(), tuple(more["features"].shape))
PY
echo 'import net; net.run(lambda features: None)' >ignores.py
echo 'import net; net.run(lambda features: print("mean %.4f" % features.mean().item()))' >reads.py
echo 'import net, torch; net.run(lambda features: print("sum", (torch.ones(10, 10) @ features).sum() > 0))' >mixes.py
echo 'import net; net.run(lambda features: print(features[:, 1:].detach().cpu().half().shape, features.device))' >passes_on.py
cat >recovers.py <<'PY'
import net
def read(features):
    try:
        print("mean %.4f" % features.mean().item())
    except Exception:
        print("no mean")
net.run(read)
PY
budget=(--repair-builds 1 --repair-time 1 --piece-time 1 --no-trace)

# deploys CODE NAME [ARGS...]: records and deploys NAME.py into out-NAME
deploys() {
    run record -o "rec-$2" -- "$python" "$2.py" "${@:3}"
    run deploy "rec-$2" --target htp:sm8650 -o "out-$2" "${budget[@]}" -v
    if [[ $code == "$1" ]]; then ok "$2: exit $1"; else printf '%s\n' "exit $code" "$out" "$err" | not_ok "$2: exit $1"; fi
}

deploys 0 ignores
has "it says what it left out" "$err" "warning: left out: "
has "by which gate" "$err" "(worst_channel_db "
has "and how it knows" "$err" "The program does not read it"
same "it was asked once, and told in one line" "1 1" "$(grep -c "asks the program whether" "$tmp/err") $(grep -c "left out: " "$tmp/err")"
asks out-ignores/index.json "the index" <<'Q'
the time of all of it := all(d["time"][k] > 0 for k in ("ours_s", "vendor_s", "golden_s", "runs_s", "export_s")) and d["time"]["runs_s"] + d["time"]["export_s"] < d["time"]["wall_s"]
one artifact passed := [a["verdict"] for a in d["models"][0]["artifacts"]] == ["pass"]
its answer has two tensors, of which one is read := [o.get("read") for o in d["models"][0]["artifacts"][0]["outputs"]] == [None, False]
one of them is made := [r["leaf"] for r in d["models"][0]["artifacts"][0]["results"]] == [0]
why it was left out := {g["metric"] for g in d["models"][0]["artifacts"][0]["unread"]["gates"]} == {"worst_channel_db"}
how it was asked := d["models"][0]["artifacts"][0]["unread"]["program"]["calls"] == 3 and {g["verdict"] for g in d["models"][0]["artifacts"][0]["unread"]["program"]["end"]} == {"pass"}
Q
folder=$(dirname "$(echo out-ignores/*/*/manifest.json)")
asks "$folder/report.json" "the report" <<'Q'
it was not built := len(d["contract"]["outputs"]) == 1 and len(t["artifact"]["readback"]["graphs"][0]["outputs"]) == 1
why := d["unread"]["outputs"] and d["unread"]["why"] in d["warnings"]
nothing was searched for := t["repairs"] is None
Q
asks "$folder/manifest.json" "the manifest" <<'Q'
why := d["unread"]["gates"][0]["verdict"] == "fail"
Q
"$aipc" exec --strict --artifacts out-ignores -- "$python" ignores.py >served 2>err </dev/null
same "exec serves it" "0" "$?"
same "the same output, shapes too" "$("$python" ignores.py)" "$(<served)"
"$aipc" exec --artifacts out-ignores -- "$python" reads.py >served 2>err </dev/null
same "a program that reads it fails" "1" "$?"
has "by torch's own error" "$(<err)" "DataDependentOutputException"
has "after a line that explains it" "$(<err)" "aipc: what the program did not read when it was deployed has no data"
"$aipc" exec --artifacts out-ignores -- "$python" mixes.py >served 2>err </dev/null
same "one that computes with it and a real tensor fails, too" "1 0" "$? $(wc -l <served)"
has "by torch's own error, too" "$(<err)" "FakeTensor"
"$aipc" exec --artifacts out-ignores -- "$python" passes_on.py >served 2>err </dev/null
same "what is passed on is no harm" "0|$("$python" passes_on.py)" "$?|$(<served)"
run verify --artifacts out-ignores --json -- "$python" ignores.py
same "verify passes" 0 "$code"
asks "$tmp/out" "verify" <<'Q'
all calls were compared := [(c["compared"], c["apart"], c["verdict"]) for c in d["calls"]] == [(3, 0, "pass")]
the tensor without data is told, and not judged := [(o.get("read"), o["gates"] != []) for o in d["calls"][0]["outputs"]] == [(None, True), (False, False)]
Q
run verify --artifacts out-ignores -- "$python" ignores.py
has "and shown" "$out" "not read"

deploys 10 recovers
has "the gate that fails" "$err" "worst_channel_db"
has "and that the program needs it, though it catches the error" "$err" "without its data, its stdout is not the same"
asks out-recovers/index.json "the index of what is read" <<'Q'
it failed, whole := [(a["verdict"], "unread" in a, [o.get("read") for o in a["outputs"]]) for a in d["models"][0]["artifacts"]] == [("fail", False, [None, None])]
Q
asks "$(echo out-recovers/*/*/report.json)" "its report" <<'Q'
the failure keeps the reason := any("the program needs" in n for n in t["failure"]["error"]["notes"])
the search was not left out := t["repairs"] is not None
Q

# The same model for onnxruntime: an output that is never asked for by name.
cp rec-ignores/export/Net/????????????.onnx net.onnx
cat >session.py <<'PY'
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession("net.onnx")
names = [o.name for o in session.get_outputs()][:int(sys.argv[1])]
x = numpy.random.default_rng(1).random((1, 3, 12, 12), dtype="f4")
print("best", session.run(names, {session.get_inputs()[0].name: x})[0].argmax(), len(names))
PY
deploys 0 session 1
has "left out without a question" "$err" "The program asks for other outputs, by name"
"$aipc" exec --strict --artifacts out-session -- "$python" session.py 1 >served 2>err </dev/null
same "exec serves the session" "0|$("$python" session.py 1)" "$?|$(<served)"
"$aipc" exec --artifacts out-session -- "$python" session.py 2 >served 2>err </dev/null
same "who asks for it gets the original's" "0|$("$python" session.py 2)" "$?|$(<served)"
has "and a line" "$(<err)" "outputs the artifact does not have"
finish
