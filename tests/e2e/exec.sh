#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc exec: unmodified PyTorch and onnxruntime programs, served by artifacts, print what they print alone.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
need_plain
need_python onnxruntime
apps=$root/tests/python/apps.py

# same_as_alone NAME FOLDER WANT_STDERR ARGS...: the program by itself and served give the same stdout and exit code
same_as_alone() {
    local name=$1 folder=$2 want=$3
    shift 3
    "$python" "$apps" "$@" >"$tmp/plain" 2>"$tmp/plain.err" </dev/null
    local alone=$?
    "$aipc" exec --artifacts "$folder" -- "$python" "$apps" "$@" >"$tmp/served" 2>"$tmp/err" </dev/null
    same "$name: exit code" $alone $?
    same "$name: output" "$(sort "$tmp/plain")" "$(sort "$tmp/served")"
    same "$name: stderr" "$want" "$(sed "s|$tmp|TMP|g" "$tmp/err")"
}

make_nets
deploy 0 two two-io.onnx --target cpu
net=$nets/two-io.onnx
deploy 0 large large.onnx --target cpu
by="by TMP/two (cpu)"
same_as_alone "names, order, subset, lists" "$tmp/two" "aipc: served 3 of 3 calls; two 3 $by" ort "$net" plain
same_as_alone "IO binding" "$tmp/two" "aipc: served 3 of 3 calls; two 3 $by" ort "$net" binding
same_as_alone "a subclass, pickled" "$tmp/two" "aipc: served 1 of 1 calls; two 1 $by" ort "$net" subclass
same_as_alone "wrong names" "$tmp/two" "aipc: two is not served: names the model does not have
aipc: served 0 of 2 calls; two 2 not: names the model does not have" ort "$net" wrong
large="aipc: served 99 of 99 calls; large 99 by TMP/large (cpu)"
same_as_alone "answers kept, written to, in threads and forks" "$tmp/large" "$large" ort "$nets/large.onnx" kept
same_as_alone "the worker dies" "$tmp/large" "aipc: large is not served: the worker for cpu died of signal 9 (Killed) during 'call'
aipc: served 1 of 2 calls; large 1 by TMP/large (cpu); large 1 not: the worker for cpu died of signal 9 (Killed) during 'call'" \
    ort "$nets/large.onnx" crash
same_as_alone "a model that was not deployed" "$tmp/two" "aipc: served nothing: the program called no model that was deployed" \
    ort "$nets/mlp.onnx" plain
"$aipc" exec --strict --artifacts "$tmp/two" -- "$python" "$apps" ort "$nets/mlp.onnx" plain >"$tmp/out" 2>"$tmp/err"
same "--strict: nothing served is exit 4" 4 $?
"$aipc" exec --json --artifacts "$tmp/two" --target htp:sm8650 -- "$python" "$apps" ort "$net" subclass >"$tmp/out" 2>"$tmp/err"
same "a target that was not deployed: the original" 0 $?
has "and why" "$(<"$tmp/out")" '"why": "not deployed for htp:sm8650"'
AIPC_LIBRARY=/nonexistent "$aipc" exec --artifacts "$tmp/two" -- "$python" "$apps" ort "$net" subclass >"$tmp/out" 2>"$tmp/err"
has "the hook cannot load the library: the original, and why" "$?|$(<"$tmp/err")" "0|aipc: served nothing: OSError: /nonexistent"
"$aipc" exec --artifacts "$tmp/nothing" -- true >"$tmp/out" 2>"$tmp/err"
same "no such folder" 7 $?
"$aipc" exec --artifacts "$tmp/two" -- "$python" -c 'import sys; sys.exit(9)' >"$tmp/out" 2>"$tmp/err"
same "the program's own exit code" 9 $?

# Where inputs lie: a tensor that is a block of its own is read in place, a part of one is copied; forks change nothing.
cat >"$tmp/heap.py" <<'PY'
import os
import subprocess
import sys
import numpy as np
import onnxruntime as ort
session = ort.InferenceSession(sys.argv[1])
(name, shape), = [(i.name, i.shape) for i in session.get_inputs()]
def ask(x):
    print(float(session.run(None, {name: x})[0].astype("f8").sum()))
    hook = sys.modules.get("aipc.hook")
    told = [d.told[3] // x.nbytes for m in hook.handler().server.found.values() for d in m.chosen.values()] if hook else []
    with open(sys.argv[2], "a") as f:
        f.write("".join("%d " % n for n in told))
x = np.full(shape, 2, "f4")
ask(x)
ask(x)
ask(np.full([2, *shape], 3, "f4")[1])
subprocess.run(["true"])
ask(x)
sys.stdout.flush()
if not os.fork():
    x[:] = 5
    ask(x)
    sys.stdout.flush()
    os._exit(0)
os.wait()
ask(x)
ask(np.full(shape, 4, "f4"))
PY
"$python" "$tmp/heap.py" "$nets/large.onnx" /dev/null >"$tmp/plain" 2>&1
for heap in 1 0; do
    AIPC_HEAP=$heap "$aipc" exec --artifacts "$tmp/large" -- "$python" "$tmp/heap.py" "$nets/large.onnx" "$tmp/copied$heap" >"$tmp/out" 2>"$tmp/err"
    same "inputs, AIPC_HEAP=$heap: output" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/out")"
done
same "AIPC_HEAP=0: all inputs are copied" "1 1 1 1 1 1 1 " "$(<"$tmp/copied0")"
if [[ -e ${aipc%/*}/dropin/libaipc_heap.so ]]; then
    same "else only those that share a block, or met a fork" "0 0 1 0 1 1 0 " "$(<"$tmp/copied1")"
else
    echo "ok inputs are read in place # skipped: a sanitizer has a heap of its own"
fi

# Several folders, from the environment.
cat >"$tmp/both.py" <<'PY'
import sys
import numpy as np
import onnxruntime as ort
for path in sys.argv[1:]:
    session = ort.InferenceSession(path)
    feed = {i.name: np.ones([d if isinstance(d, int) else 1 for d in i.shape], {"tensor(float)": "f4", "tensor(int64)": "i8"}[i.type])
            for i in session.get_inputs()}
    print([float(np.asarray(o, "f8").sum().round(3)) for o in session.run(None, feed)])
PY
"$python" "$tmp/both.py" "$net" "$nets/large.onnx" >"$tmp/plain"
AIPC_ARTIFACTS=$tmp/two:$tmp/large "$aipc" exec -- "$python" "$tmp/both.py" "$net" "$nets/large.onnx" >"$tmp/out" 2>"$tmp/err"
same "AIPC_ARTIFACTS with two folders: output" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/out")"
same "AIPC_ARTIFACTS with two folders: both serve" "aipc: served 2 of 2 calls; two 1 $by; large 1 by TMP/large (cpu)" \
    "$(sed "s|$tmp|TMP|g" "$tmp/err")"
AIPC_ARTIFACTS=$tmp/two:$tmp/nothing "$aipc" exec -- "$python" "$tmp/both.py" "$net" >"$tmp/out" 2>"$tmp/err"
same "AIPC_ARTIFACTS with a folder that is not there" 7 $?
mkdir "$tmp/work"
(cd "$tmp/work" && AIPC_ARTIFACTS=$tmp/two:$tmp/large "$aipc" verify -- "$python" "$tmp/both.py" "$net" "$nets/large.onnx") \
    >"$tmp/out" 2>"$tmp/err"
same "verify with two folders" "0|" "$?|$(<"$tmp/err")"
has "verify with two folders: both serve" "$(<"$tmp/out")" "served: 2 of 2 calls"

# The same without `aipc exec`: a module that stands for onnxruntime.
cat >"$tmp/wrapped.py" <<'PY'
import sys
import numpy as np
import onnxwrapper as ort
session = ort.InferenceSession(sys.argv[1], backend=sys.argv[2], artifacts=sys.argv[3] if len(sys.argv) > 3 else None)
feed = {i.name: np.ones([d if isinstance(d, int) else 1 for d in i.shape], {"tensor(float)": "f4", "tensor(int64)": "i8"}[i.type])
        for i in session.get_inputs()}
print([float(np.asarray(o, "f8").sum().round(3)) for o in session.run(None, feed)], ort.get_available_providers()[-1:], ort.served(session))
PY
PYTHONPATH=$root/python "$python" "$tmp/wrapped.py" "$net" QAIRT >"$tmp/plain" 2>"$tmp/err"
same "onnxwrapper: not deployed, onnxruntime answers" "0|" "$?|$(<"$tmp/err")"
PYTHONPATH=$root/python "$python" "$tmp/wrapped.py" "$net" CPU "$tmp/two" >"$tmp/served" 2>"$tmp/err"
same "onnxwrapper: deployed" "0|" "$?|$(<"$tmp/err")"
same "onnxwrapper: the same answer" "$(sed 's/ [A-Za-z]*$//' "$tmp/plain")" "$(sed 's/ [A-Za-z]*$//' "$tmp/served")"
same "onnxwrapper: who answered" "False True" "$(sed 's/.* //' "$tmp/plain" "$tmp/served" | tr '\n' ' ' | sed 's/ $//')"

if ! "$python" -c "import torch, onnx" 2>/dev/null; then
    echo "ok exec with torch # skipped: torch not here"
    finish
fi
mkdir "$tmp/index"
"$python" "$apps" index "$tmp/index" "$aipc" >"$tmp/log" 2>&1 || not_ok "tiny modules are deployed" <"$tmp/log"
float="by TMP/index/Tiny/float (cpu)"
same_as_alone "module: kwargs, dict and tuple, fresh memory" "$tmp/index" "aipc: served 3 of 3 calls; Tiny 3 $float" torch plain
same_as_alone "module: shapes and arguments not deployed" "$tmp/index" "aipc: Tiny is not served: a call with float32 1x3x9x9, float32 1x1x1x1 was not deployed
aipc: Tiny is not served: a call with other arguments beside the tensors was not deployed
aipc: served 1 of 3 calls; Tiny 1 not: a call with float32 1x3x9x9, float32 1x1x1x1 was not deployed; Tiny 1 not: a call with other arguments beside the tensors was not deployed; Tiny 1 $float" torch other
same_as_alone "module: channels_last, strided, half" "$tmp/index" \
    "aipc: served 3 of 3 calls; Tiny 2 $float; TinyHalf 1 by TMP/index/Tiny/half (cpu)" torch layout
same_as_alone "module: weights change" "$tmp/index" "aipc: a Tiny is not the one that was recorded: other weights; the original runs
aipc: served 1 of 1 calls; Tiny 1 $float" torch weights
wide="by TMP/index/Tiny/wide (cpu)"
same_as_alone "module: answers kept, written to, in threads and forks" "$tmp/index" "aipc: served 99 of 99 calls; Tiny 99 $wide" torch kept
same_as_alone "module: the worker dies" "$tmp/index" "aipc: Tiny is not served: the worker for cpu died of signal 9 (Killed) during 'call'
aipc: served 1 of 2 calls; Tiny 1 $wide; Tiny 1 not: the worker for cpu died of signal 9 (Killed) during 'call'" torch crash
same_as_alone "module: four threads" "$tmp/index" "aipc: served 80 of 80 calls; Tiny 80 $float" torch threads
same_as_alone "module: fork" "$tmp/index" "aipc: served 3 of 3 calls; Tiny 3 $float" torch fork
same_as_alone "module: a program it starts" "$tmp/index" \
    "aipc: served 4 of 4 calls; Tiny 3 $float; TinyHalf 1 by TMP/index/Tiny/half (cpu)" torch children
same_as_alone "module: killed after a call" "$tmp/index" "aipc: served 1 of 1 calls; Tiny 1 $float" torch killed
same_as_alone "module: training" "$tmp/index" "aipc: Tiny is not served: gradients are wanted
aipc: served 0 of 1 calls; Tiny 1 not: gradients are wanted" torch train
"$aipc" exec --strict --artifacts "$tmp/index" -- "$python" "$apps" torch other >"$tmp/out" 2>"$tmp/err"
same "module: --strict" "1|1" "$?|$(grep -c '^RuntimeError: aipc exec --strict: Tiny is not served' "$tmp/err")"
finish
