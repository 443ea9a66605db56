#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc split: a program in three parts, which do what it does, together and one by one.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
need_plain
need_python onnxruntime
export PYTHONDONTWRITEBYTECODE=1
make_nets
mkdir "$tmp/app" && cd "$tmp/app" || exit 1
cp "$nets/two-io.onnx" .
cp "$root/tests/python/apps.py" .
# split CODE NAME ARGS...
split() {
    local want=$1 name=$2
    shift 2
    "$aipc" split "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    same "$name: exit $want" "$want" $?
    out=$(<"$tmp/out") err=$(<"$tmp/err")
}
# same_parts NAME FOLDER: infer.py prints what the program prints, and so do the parts one by one over files
same_parts() {
    sort "$tmp/plain" -o "$tmp/plain"
    (cd "$tmp" && "$python" "$2/infer.py" 2>"$tmp/err" | sort | diff - "$tmp/plain") >"$tmp/diff" || not_ok "$1: infer.py" <"$tmp/diff"
    has "$1: its calls" "$(<"$tmp/err")" "split: 3 of 3 calls"
    (cd "$tmp" && rm -rf in made && "$python" "$2/pre.py" --files in && "$python" "$2/infer.py" --inputs in --outputs made &&
        "$python" "$2/post.py" --files made | sort >"$tmp/diff") >"$tmp/log" 2>&1 || not_ok "$1: one by one" <"$tmp/log"
    same "$1: post.py" "$(<"$tmp/plain")" "$(<"$tmp/diff")"
}

split 0 "a session" --json -o parts -- "$python" apps.py ort two-io.onnx plain
sed -n '/^{/,$p' "$tmp/out" >"$tmp/doc"
asks "$tmp/doc" "the document" <<'Q'
answered := (d["calls"], d["answered"], d["verdict"]) == (3, 3, "pass")
files := {"pre.py", "post.py", "infer.py", "model.onnx", "split.json"} <= set(d["files"])
end := [(g["what"], g["verdict"]) for g in d["end"]] == [("exit code", "pass"), ("stdout", "pass")]
Q
"$python" apps.py ort two-io.onnx plain >"$tmp/plain"
same_parts "a session" "$tmp/app/parts"
split 2 "a folder that holds one" -o parts -- "$python" apps.py ort two-io.onnx plain
split 4 "a program without a model" -o none -- "$python" -c 'print(1)'
split 2 "nothing to split" -o other
split 10 "a program that is never the same" -o never -- "$python" -c "
import os; exec(open('apps.py').read().replace('print(session', 'print(os.urandom(8).hex(), session').replace('__name__ ==', 'not')); ort_program('two-io.onnx', 'plain')"
has "it says where" "$out" "stdout: "

split 0 "memory that was bound" --json -o bound -- "$python" apps.py ort two-io.onnx binding
sed -n '/^{/,$p' "$tmp/out" >"$tmp/doc"
asks "$tmp/doc" "memory that was bound" <<'Q'
answered := (d["calls"], d["answered"], d["verdict"]) == (3, 3, "pass")
Q
# Below aipc exec: the file is served, and the program is still answered by it.
run deploy parts/model.onnx --target cpu -o out -q
"$python" apps.py ort two-io.onnx binding >"$tmp/plain"
"$aipc" exec --artifacts out --strict -- "$python" bound/infer.py >"$tmp/served" 2>"$tmp/err" </dev/null
same "infer.py served" "$(sort "$tmp/plain")" "$(sort "$tmp/served")"
has "by the file" "$(<"$tmp/err")" "split: 3 of 3 calls"
has "and that by its artifact" "$(<"$tmp/err")" "aipc: served 3 of 3 calls"

if ! "$python" -c "import torch, onnx" 2>/dev/null; then
    echo "ok split with torch # skipped: torch not here"
    finish
fi
"$aipc" record -o rec -- "$python" apps.py torch plain >"$tmp/log" 2>&1 </dev/null || not_ok "recorded" <"$tmp/log"
split 0 "a module, of a recording" rec -o module
"$python" apps.py torch plain >"$tmp/plain"
same_parts "a module" "$tmp/app/module"

# A method that the program calls in place of its module.
"$aipc" record -o rec2 --module Tiny.encode -- "$python" apps.py torch method >"$tmp/log" 2>&1 </dev/null || not_ok "recorded" <"$tmp/log"
split 0 "a method" rec2 -o method
"$python" apps.py torch method >"$tmp/plain"
same_parts "a method" "$tmp/app/method"
finish
