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
program_args="zero --api-key=abc --token abc" record 4 secret
same "secrets are not stored" "" "$(grep -rl abc "$tmp/secret")"
run record -o "$tmp/isolated" -- "$python" -I "$program" zero
has "python -I: said so" "$code $err" "4 aipc: error: no Python below this command loaded aipc's hook"
record 0 method --module Net.encode
asks "$tmp/method/recording.json" method <<'EOF'
the method is the model := [(m["path"], m["calls"]) for m in d["models"]] == [(".encode", 1)]
EOF
run record -o "$tmp" -- true
same "a folder that holds something else is kept" 8 "$code"
run record -o "$tmp/none" -- "$tmp/no-such-program"
same "no such program" 7 "$code"

sample=$(compgen -G "$data/runtimes/sample-yolov8n-*/320n.onnx" | head -1)
if [[ -n $sample ]] && "$python" -c 'import onnxruntime' 2>/dev/null; then
    nets=$tmp/nets
    cp "$sample" "$tmp/net.onnx"
    program_args="sessions $tmp/net.onnx" record 0 sessions
    asks "$tmp/sessions/recording.json" sessions <<'EOF'
path and bytes are one model := len(d["models"]) == 1 and d["models"][0]["calls"] == 3
EOF
fi

echo "$(PYTHONPATH=$root/python "$python" -W ignore "$root/tests/python/level1.py")" | tee "$tmp/level1"
if grep -q '^not ok' "$tmp/level1"; then failed=1; fi

# Exporting takes seconds a model: once is enough, and it needs a runtime to judge.
if [[ -z ${AIPC_SAN:-} ]] && compgen -G "$data/runtimes/onnxruntime-[0-9]*/record.json" >/dev/null; then
    record 0 export
    run --json export "$tmp/export"
    same "export: a model that keeps state is refused" 3 "$code"
    cp "$tmp/out" "$tmp/export.doc"
    asks "$tmp/export/export/export.json" export <<'EOF'
Net is exported := [s["file"] is not None and s["exporter"] for m in d["models"] if m["name"] == "Net" for s in m["signatures"]] == ["torch.export"]
its inputs have the names of the call := [f["input"] for m in d["models"] if m["name"] == "Net" for s in m["signatures"] for f in s["feeds"]] == ["x"]
Stateful is refused and named := "keeps state" in [s["refused"] for m in d["models"] if m["name"] == "Stateful" for s in m["signatures"]][0]
complex parts and rolls need level 1 := all(s["file"] for m in d["models"] if m["name"] == "Masked" for s in m["signatures"])
the pools are exported := all(s["file"] for m in d["models"] if m["name"] == "Pools" for s in m["signatures"])
the module with hooks is not asked for := not any(m["name"] == "Hooked" for m in d["models"])
EOF
    same "export: the program was ended, not run to its end" "" "$(grep "the end" "$tmp/export/export/program.log")"
    SEED=1 run export "$tmp/export" --module Net -o "$tmp/other"
    has "export: other weights are refused" "$code $err" "4 aipc: error: the program now calls"
    run export "$tmp/export" --module Nothing
    has "export: no such model" "$code $err" "no model of the recording is called 'Nothing'"
fi
finish
