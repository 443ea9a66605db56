#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc deploy -- PROGRAM: from the app to the artifacts of its models in one command, which exec then serves.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
same "two models are refused" 2 "$("$aipc" deploy a.onnx b.onnx >"$tmp/out" 2>"$tmp/err"; echo $?)"
has "and the way for programs is told" "$(<"$tmp/err")" "a program and its arguments go behind --"
python=${AIPC_VENV:-$root/.deps/venv}/bin/python
if [[ -n ${AIPC_SAN:-} ]] || ! "$python" -c "import onnxruntime" 2>/dev/null; then
    echo "ok deploy a program # skipped: onnxruntime for Python not here, or a sanitized library"
    finish
fi
export AIPC_PYTHON=$root/python AIPC_PROGRAM=$aipc
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
"$aipc" deploy -o broken -- "$python" -c 'import sys; sys.exit(3)' >out 2>err </dev/null
same "a program without a model" 4 $?
finish
