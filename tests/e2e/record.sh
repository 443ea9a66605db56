#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# record and export on programs of our own (tests/python/programs.py): what is found, kept, left out and refused.
. "$(dirname "${BASH_SOURCE[0]}")/deploy_lib.bash"
python=${AIPC_VENV:-$root/.deps/venv}/bin/python
if ! "$python" -c 'import torch' 2>/dev/null; then echo "skipped: torch not here ($python)"; finish; fi
export AIPC_PYTHON=$root/python OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
program=$root/tests/python/programs.py

# record CODE NAME ARGS...: into $tmp/NAME, document in $tmp/NAME/recording.json
record() {
    local want=$1 name=$2
    shift 2
    run record -o "$tmp/$name" "$@" -- "$python" "$program" ${program_args:-$name}
    if [[ $code == "$want" ]]; then ok "$name: exit $want"; else printf '%s\n' "exit $code" "$out" "$err" | not_ok "$name: exit $want"; fi
}

record 0 shapes
same "shapes: the hook had no errors" "" "$(cat "$tmp"/shapes/hook-error* 2>/dev/null)"
asks "$tmp/shapes/recording.json" shapes <<'EOF'
one Python, one process := d["pythons"] == 1 and len(d["processes"]) == 1
six Nets are told apart, by their weights := len({m["name"] for m in d["models"] if m["identity"]["class"].endswith(".Net")}) == 6
names carry the identity := all(m["name"].startswith("Net-") for m in d["models"] if m["identity"]["class"].endswith(".Net"))
a shell without weights is passed over := not any("Shell" in m["name"] for m in d["models"])
a half precision module := [s["inputs"][0]["dtype"] + s["outputs"][0]["dtype"] for m in d["models"] if m["name"] == "Half" for s in m["signatures"]] == ["float32bfloat16"]
an answer that is no tensor is refused by type := [m for m in d["models"] if m["name"] == "NoTensors"][0]["chosen"] is False and "Answer" in json.dumps([s["refused"] for m in d["models"] if m["name"] == "NoTensors" for s in m["signatures"]])
an argument keyed by modules is refused by path := "ReLU" in json.dumps([s["refused"] for m in d["models"] if m["name"] == "Cache" for s in m["signatures"]])
channels_last and strided are one signature with contiguous := sorted(s["calls"] for m in d["models"] for s in m["signatures"] if len(m["signatures"]) == 4) == [1, 1, 1, 3]
a batch of nothing is kept := any(s["inputs"][0]["dims"] == [0, 3, 8, 8] and len(s["samples"]) == 1 for m in d["models"] for s in m["signatures"])
keywords are part of the signature := any("mask" in [i["name"] for i in s["inputs"]] for m in d["models"] for s in m["signatures"])
four threads, each call counted := any(m["calls"] == 100 for m in d["models"])
eight of a hundred calls are kept := any(m["calls"] == 100 and len(m["signatures"][0]["samples"]) == 8 for m in d["models"])
EOF

record 0 processes
asks "$tmp/processes/recording.json" processes <<'EOF'
five processes called it := len(d["processes"]) == 5
every call counts, also of the killed one := d["models"][0]["calls"] == 7 and len(d["models"]) == 1
their samples are there := len(d["models"][0]["signatures"][0]["samples"]) == 7
EOF

record 7 crash
has "a crash: what was called before is kept" "$err" "the program ended with code 7: the recording holds what it called before"
asks "$tmp/crash/recording.json" crash <<'EOF'
the call that raised is counted, not kept := d["models"][0]["errors"] == {"RuntimeError": 1} and d["status"] == 7
the other is usable := d["models"][0]["chosen"] and len(d["models"][0]["signatures"][0]["samples"]) == 1
EOF

record 4 zero
has "zero calls: said so" "$err" "called no model of torch or onnxruntime"
record 1 cuda
has "CUDA only: the program's own error" "$err" "Torch not compiled with CUDA enabled"
HF_TOKEN=abc program_args="zero --api-key=abc --token abc" record 4 secret
same "secrets are not stored, nor what is in the environment" "" "$(grep -rl abc "$tmp/secret")"
same "nor those a model is called with" "" "$(grep -rl sk-this-is-a-key "$tmp/shapes")"
run record -o "$tmp/isolated" -- "$python" -I "$program" zero
has "python -I: said so" "$code $err" "4 aipc: error: no Python below this command loaded aipc's hook"
record 0 method --module Net.encode --module inner.conv
asks "$tmp/method/recording.json" method <<'EOF'
a method is a model := [m["calls"] for m in d["models"] if m["path"] == ".encode"] == [1]
a module inside of another is one := [(m["calls"], m["chosen"]) for m in d["models"] if m["path"] == "inner.conv"] == [(1, True)]
nothing else is := len(d["models"]) == 2
EOF
run record -o "$tmp" -- true
same "a folder that holds something else is kept" 8 "$code"
run record -o "$tmp/none" -- "$tmp/no-such-program"
same "no such program" 7 "$code"

if "$python" -c 'import onnxruntime' 2>/dev/null; then
    make_nets
    cp "$nets/two-io.onnx" "$tmp/net.onnx"
    program_args="sessions $tmp/net.onnx" record 0 sessions
    asks "$tmp/sessions/recording.json" sessions <<'EOF'
path, bytes and bound memory are one model, in a program that patches onnxruntime itself := len(d["models"]) == 1 and d["models"][0]["calls"] == 3
its own code calls it := d["models"][0]["caller"]["file"].endswith("programs.py")
EOF
    cp "$nets/mlp.onnx" "$tmp/net.onnx"
    run export "$tmp/sessions"
    has "sessions: a model file that has changed is refused by its hash" "$code $err" "is not the model that was recorded"
fi

# checks NAME: tests/python/NAME.py, which says ok or not ok itself.
checks() {
    PYTHONPATH=$root/python "$python" -W ignore "$root/tests/python/$1.py" | tee "$tmp/$1"
    if [[ ${PIPESTATUS[0]} != 0 ]] || grep -q '^not ok' "$tmp/$1"; then failed=1; fi
}
checks level1

# Exporting takes seconds a model: once is enough, and it needs a runtime to judge.
if [[ -z ${AIPC_SAN:-} ]] && compgen -G "$data/runtimes/onnxruntime-[0-9]*/record.json" >/dev/null; then
    checks traces
    record 0 keeps
    run --json export "$tmp/keeps"
    same "keeps: exit 3" 3 "$code"
    asks "$tmp/keeps/export/export.json" keeps <<'EOF'
state and random numbers are found, also where only the second of two sizes has them := {m["name"]: ["keeps state" in str(s["refused"]) for s in m["signatures"]] for m in d["models"] if m["name"] != "Elsewhere"} == dict(dict.fromkeys(("Late", "Written", "Queue", "Random"), [False, True]), Caches=[False] * 2, Sizes=[False] * 2, Always=[True])
no other is refused := all(bool(s["file"]) != bool(s["refused"]) for m in d["models"] for s in m["signatures"] if m["name"] != "Elsewhere")
state outside of the module is never exported := [bool(s["file"]) for m in d["models"] for s in m["signatures"] if m["name"] == "Elsewhere"] == [True, False]
EOF
    record 0 export
    run --json export "$tmp/export"
    same "export: models that keep state are refused" 3 "$code"
    asks "$tmp/export/export/export.json" export <<'EOF'
inputs have the names of the call := [f["input"] for m in d["models"] if m["name"] == "Net" for s in m["signatures"] for f in s["feeds"]] == ["x"]
the first exporter that is right is taken := [(s["exporter"], s["opset"], len(s["attempts"])) for m in d["models"] if m["name"] == "Net" for s in m["signatures"]] == [("torch.export", 18, 1)]
complex parts, rolls, pools over four axes and half precision are exported := all(s["file"] for m in d["models"] if m["name"] in ("Masked", "Pools", "Small") for s in m["signatures"])
Python that decides by shapes, in three shapes := [bool(s["file"]) for m in d["models"] if m["name"] == "Shapes" for s in m["signatures"]] == [True] * 3
one with open dims was tried for two of them, and found out := sorted([(a["open"], a["verdict"]) for a in s["attempts"]] for m in d["models"] if m["name"] == "Shapes" for s in m["signatures"]) == [[(False, "accepted")]] + [[(True, "invalid"), (False, "accepted")]] * 2
two sizes are one model with open dims := [(len({s["file"] for s in m["signatures"]}), [(s["open"], len(s["attempts"])) for s in m["signatures"]]) for m in d["models"] if m["name"] == "Sizes"] == [(1, [(True, 1)] * 2)]
several, optional and keyword inputs := sorted([f["input"] for f in s["feeds"]] for m in d["models"] if m["name"] == "Forms" for s in m["signatures"]) == [["x", "extra_bias"], ["x", "y"]]
dict, named tuple, dataclass and list of answers := [len(s["results"]) for m in d["models"] if m["name"] == "Forms" for s in m["signatures"]] == [3, 3]
where both exporters fail, level 1 repairs := [(s["exporter"], s["level1"], [a["verdict"] for a in s["attempts"]]) for m in d["models"] if m["name"] == "Guarded" for s in m["signatures"]] == [("torchscript", ["max_pool3d"], ["failed", "invalid", "failed", "accepted"])]
an export that runs and is wrong is named := [s["file"] or [a["why"] for a in s["attempts"] if a["verdict"] == "wrong"][0][:15] for m in d["models"] if m["name"] == "Branch" for s in m["signatures"]] == ["it runs, but ou"]
Stateful is refused and named := "keeps state" in [s["refused"] for m in d["models"] if m["name"] == "Stateful" for s in m["signatures"]][0]
modules with hooks or caches are not asked for := not {m["name"] for m in d["models"]} & {"Closed", "Cache"}
EOF
    same "export: the program was ended, not run to its end" "" "$(grep "the end" "$tmp/export/export/program.log")"
    run export "$tmp/export" --module Cache -o "$tmp/cache"
    has "export: a cache of an unknown class is named" "$code $err" "stateful argument: cache is a __main__:classes.<locals>.Shell"
    run export "$tmp/export" --module Closed -o "$tmp/closed"
    has "export: a module with hooks that keep state is named" "$code $err" "a copy keeps the forward hook at 'conv'"
    SEED=1 ONLY=Net run export "$tmp/export" --module Net -o "$tmp/other"
    has "export: other weights are refused" "$code $err" "4 aipc: error: the program now calls"
    run export "$tmp/export" --module Nothing
    has "export: no such model" "$code $err" "no model of the recording is called 'Nothing'"
    run deploy "$tmp/export" --target cpu -o "$tmp/out-export"
    same "the exported ones are deployed" "0" "$code"
    has "the report says of which" "$(grep -o '<title>[^<]*' "$tmp"/out-export/Sizes/*/report.html)" "Sizes 1x3x10x14 on CPU"
    "$python" "$program" export >"$tmp/alone" 2>/dev/null
    AIPC_PROGRAM=$aipc "$aipc" exec --artifacts "$tmp/out-export" -- "$python" "$program" export >"$tmp/served" 2>"$tmp/err"
    same "and serve the program" "$(<"$tmp/alone")" "$(<"$tmp/served")"
    has "but for the models that were refused" "$(<"$tmp/err")" "served 29 of 36 calls; Stateful 3 not"
fi
finish
