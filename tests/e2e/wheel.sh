#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The wheel in an environment of its own: the program is on its PATH, the library and the package are found, models are served.
. "$(dirname "$0")/deploy_lib.bash"
if [[ -n ${AIPC_SAN:-} ]]; then
    echo "ok wheel # skipped: packed without sanitizers"
    finish
fi
need onnxruntime
need_python "onnxruntime, pip"
unset AIPC_PYTHON AIPC_PROGRAM AIPC_LIBRARY PYTHONPATH LD_LIBRARY_PATH
if ! make --no-print-directory -C "$root" BUILD="${build#"$root"/}" CC="${CC:-gcc}" wheel >"$tmp/log" 2>&1 </dev/null; then
    tail -n 20 "$tmp/log" | not_ok "make wheel"
    finish
fi
wheel=$(tail -n 1 "$tmp/log")
[[ $wheel == /* ]] || wheel=$root/$wheel
"$python" -m venv "$tmp/venv" >"$tmp/log" 2>&1
venv=$tmp/venv/bin
"$venv/pip" install --quiet --disable-pip-version-check --no-index --no-deps "$wheel" >"$tmp/log" 2>&1 </dev/null
same "pip install" "0|" "$?|$(<"$tmp/log")"
same "the program" "aipc $(<"$root/VERSION")" "$("$venv/aipc" --version)"
same "what they need comes along, but for glibc" "" "$(ldd "$venv/aipc" "$tmp"/venv/lib/python3*/site-packages/aipc/libaipc.so.0 |
    grep '=> ' | grep -vE " => $tmp/venv/|^[[:space:]]*(libc|libm|libdl|libpthread)\.so")"
same "the package and the library" "$(<"$root/VERSION") []" "$("$venv/python" -c 'import aipc.libaipc as l, ctypes
s = l.Server("", None); f = ctypes.CDLL(l.find()).aipc_version; f.restype = ctypes.c_char_p; print(f().decode(), s.models)')"
make_nets
deploy 0 two two-io.onnx --target cpu
# The environment borrows onnxruntime.
"$python" -c 'import onnxruntime, os; print(os.path.dirname(os.path.dirname(onnxruntime.__file__)))' >"$(echo "$tmp"/venv/lib/python3*/site-packages)/borrowed.pth"
net=$nets/two-io.onnx
"$venv/python" "$root/tests/python/apps.py" ort "$net" plain >"$tmp/plain" 2>&1
(PATH=$venv:$PATH && aipc exec --artifacts "$tmp/two" -- python "$root/tests/python/apps.py" ort "$net" plain) >"$tmp/served" 2>"$tmp/err" </dev/null
same "aipc exec" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/served")"
same "and it was served" "aipc: served 3 of 3 calls; two 3 by TMP/two (cpu)" "$(sed "s|$tmp|TMP|g" "$tmp/err")"
same "the heap that workers see" "$(echo "$tmp"/venv/lib/python3*/site-packages)/aipc/dropin/libaipc_heap.so" \
    "$("$venv/aipc" exec --artifacts "$tmp/two" -- sh -c 'echo $LD_PRELOAD' 2>"$tmp/err")"
# The package in every Python there is; export and level 1 want torch.
site=$(echo "$tmp"/venv/lib/python3*/site-packages)
for minor in 9 10 11 12 13; do
    if ! PYENV_VERSION=3.$minor python3.$minor -c "" 2>/dev/null; then
        echo "ok Python 3.$minor # skipped: python3.$minor not here"
        continue
    fi
    same "Python 3.$minor" "[]" "$(PYENV_VERSION=3.$minor PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$site python3.$minor -c '
import glob, os, sys
import aipc.exec, aipc.hook, aipc.record
for path in glob.glob(os.path.join(sys.path[1], "aipc", "**", "*.py"), recursive=True):
    with open(path) as f:
        compile(f.read(), path, "exec")
print(aipc.libaipc.Server("", None).models)' 2>&1)"
done
"$venv/pip" uninstall --quiet --yes aipc >"$tmp/log" 2>&1
same "pip uninstall leaves nothing" "" "$(find "$tmp/venv" -name '*aipc*' -not -name '*.pyc' -not -type d | grep -v __pycache__)"
finish
