#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aipc new: every example is written whole: it compiles, finds what it imports from its own folder, says what it needs.
# The programs themselves run in models/run_apps.sh; they fetch their weights.
. "$(dirname "$0")/cli_lib.bash"

run new
has "the list names them" "$out" "whisper-tiny.en"
count=$(($(wc -l <<<"$out") - 1))
names=$(tail -n +2 <<<"$out" | cut -d' ' -f1)
same "the list is not empty" 1 $((count > 10))
fails "an unknown one" "aipc: error: there is no example 'yolov9'
  next: 'aipc new' alone lists them" new yolov9
run new --list
has "so does --list" "$out" "whisper-tiny.en"
has "README says how to verify" "$(run new yolov8n -o "$tmp/y"; cat "$tmp/y/README.md")" "--task boxes=0.95"
run new --json
cp "$tmp/out" "$tmp/list.json"
json "the list is JSON" "$tmp/list.json"

# What a program imports is in its folder or among the packages it names.
cat >"$tmp/imports.py" <<'PY'
import ast, os, sys
folder = sys.argv[1]
here = {f[:-3] for f in os.listdir(folder) if f.endswith(".py")}
named = {line.split("==")[0].lower().replace("-", "_") for line in open(os.path.join(folder, "requirements.txt")).read().split()}
alias = {"PIL": "pillow", "rapidocr_onnxruntime": "rapidocr_onnxruntime", "whisper": "openai_whisper", "cv2": "opencv_python_headless"}
# Imports inside functions serve other examples; those at the top must be there.
for file in sorted(here):
    tree = ast.parse(open(os.path.join(folder, file + ".py")).read(), file, feature_version=(3, 9))
    for node in tree.body:
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else
                     [node.module] if isinstance(node, ast.ImportFrom) else []):
            top = name.split(".")[0]
            if top not in here and top not in sys.stdlib_module_names and alias.get(top, top).lower() not in named:
                print(f"{file}.py imports {name}")
PY
for name in $names; do
    run new "$name" -o "$tmp/new/$name"
    same "$name is written" "0|" "$code|$err"
    if ! command -v python3 >/dev/null; then continue; fi
    same "$name imports what it has" "" "$(python3 "$tmp/imports.py" "$tmp/new/$name" 2>&1)"
done
run new ppocr -o "$tmp/new/ppocr"
same "what is there is not overwritten" "2" "$code"
run new ppocr -o "$tmp/list.json/x"
has "a folder that cannot be" "$err" "list.json"
finish
