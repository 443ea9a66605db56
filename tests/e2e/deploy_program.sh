#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc deploy -- PROGRAM: from the app to the artifacts of its models in one command, which exec then serves.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
same "two models are refused" 2 "$("$aipc" deploy a.onnx b.onnx >"$tmp/out" 2>"$tmp/err"; echo $?)"
has "and the way for programs is told" "$(<"$tmp/err")" "a program and its arguments go behind --"
need_plain
need_python onnxruntime
make_nets
app=("$python" "$root/tests/python/apps.py" ort "$nets/two-io.onnx" plain)
cd "$tmp" || exit 1
"$aipc" deploy -o app -- "${app[@]}" >out 2>err </dev/null
same "one command" 0 $?
has "the program's own output" "$(<out)" "$("${app[@]}" 2>/dev/null | head -n 1)"
has "its models are told" "$(<err)" "onnxruntime"
has "and deployed" "$(<out)" "pass"
"$aipc" exec --artifacts app --strict -- "${app[@]}" >served 2>err </dev/null
same "exec serves them" 0 $?
same "the same output" "$("${app[@]}" 2>/dev/null | sort)" "$(sort served)"
# ---- several models, one after the other and three at a time: nothing but the times may differ, whoever ends first
cat >several.py <<'PY'
import sys
import numpy as np
import onnxruntime
for path in sys.argv[1:]:
    session = onnxruntime.InferenceSession(path)
    for size in 2, 3:
        rng = np.random.default_rng(size)
        feeds = {i.name: rng.random([d if isinstance(d, int) else size for d in i.shape], np.float32) for i in session.get_inputs()}
        session.run(None, feeds)
PY
"$aipc" record -q -o several -- "$python" several.py "$nets"/{large,convnet,mlp,dynamic}.onnx >out 2>err </dev/null
same "several models" 0 $?
mkdir one three
for how in "one --jobs 1" "three --jobs 3"; do
    (cd "${how%% *}" && AIPC_CACHE=$PWD/cache run deploy ../several -t cpu -o out -v --gate sqnr_db=1000 ${how#* } &&
        echo "$code" >code && grep -v '^time: ' <<<"$out" >table && sed -n '/error:/,$p' <<<"$err" >error &&
        grep -o ' deploys .*' <<<"$err" | sort >begun && find out -type f | sort >files &&
        python3 -c 'import json; d = json.load(open("out/index.json")); print(json.dumps({k: d[k] for k in d if k not in ("created", "time")}, indent=1))' >index)
done
for what in code table error begun files index; do same "several at a time: $what" "$(<one/$what)" "$(<three/$what)"; done
same "five of them" 5 "$(wc -l <three/begun)"
first=$(sed -n '/"verdict": "fail"/{g;p;q};/"dir": /h' three/index | cut -d '"' -f 4)
has "the error is the first one's that failed" "$(<three/error)" "error: $first: sqnr_db"

"$aipc" deploy -o broken -- "$python" -c 'import sys; sys.exit(3)' >out 2>err </dev/null
same "a program without a model" 4 $?

# ---- what can be said before the program runs is
"$aipc" deploy -o never --target htp:sm9999 -- touch ran >out 2>err </dev/null
same "a target that is not known" 5 $?
for wrong in "--precision fp8" "--task nothing=1" "--gate sqnr=forty" "--shape x=1"; do
    # shellcheck disable=SC2086
    "$aipc" deploy -o never $wrong -- touch ran >out 2>err </dev/null
    same "$wrong is refused" 2 $?
done
AIPC_DATA=$tmp/empty "$aipc" deploy -o never -- touch ran >out 2>err </dev/null
same "a runtime that is not there, too" 6 $?
has "with the way to get it" "$(<err)" "aipc runtime install onnxruntime"
AIPC_DATA=$tmp/empty "$aipc" split -o never -- touch ran >out 2>err </dev/null
same "by split, too" 6 $?
AIPC_DATA=$tmp/empty "$aipc" export app/recording >out 2>err </dev/null
same "by export, too" 6 $?
same "before the program runs" "" "$(ls ran 2>/dev/null)"

# ---- a method that a subclass has from its base
if ! "$python" -c "import torch, onnx" 2>/dev/null; then
    echo "ok a method of a base class # skipped: torch not here"
    finish
fi
cat >sub.py <<'PY'
import torch
class Base(torch.nn.Module):
    def encode(self, x):
        return torch.tanh(self.l(x))
class Sub(Base):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(8, 4)
torch.manual_seed(1)
with torch.no_grad():
    print("%.4f" % Sub().eval().encode(torch.ones(2, 8)).sum().item())
PY
"$aipc" record -q -o sub.rec --module Base.encode -- "$python" sub.py >/dev/null 2>err </dev/null
same "a method of a base class is recorded" 0 $?
"$aipc" deploy -q -t cpu -o sub sub.rec >out 2>err </dev/null
same "and deployed" 0 $?
"$aipc" exec --artifacts sub --target cpu --strict -- "$python" sub.py >served 2>err </dev/null
same "and served" "$("$python" sub.py)" "$(<served)"
has "as that of the class it is called on" "$(<err)" "Sub.encode 1 by"
finish
