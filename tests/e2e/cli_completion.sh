#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Completion scripts: current in completion/, parsed by their shells, and (bash) giving the right words.
. "$(dirname "$0")/cli_lib.bash"

for pair in bash:aipc.bash zsh:_aipc fish:aipc.fish; do
    shell=${pair%%:*} file=$root/completion/${pair#*:}
    run completion "$shell"
    same "completion $shell ends well" "0|" "$code|$err"
    same "completion/${pair#*:} is current (aipc completion $shell)" "$(<"$file")" "$out"
    if ! command -v "$shell" >/dev/null; then echo "ok $shell parses it # skipped: no $shell"; continue; fi
    if "$shell" -n "$file" 2>"$tmp/err"; then ok "$shell parses it"; else not_ok "$shell parses it" <"$tmp/err"; fi
done

# What bash offers for a line, one blank between words.
mkdir "$tmp/work" "$tmp/work/models" "$tmp/bin"
touch "$tmp/work/photo one.jpg" "$tmp/work/model.onnx"
ln -s "$aipc" "$tmp/bin/aipc"
cd "$tmp/work" || exit 1
PATH=$tmp/bin:$PATH
. "$root/completion/aipc.bash"
offers() { # NAME LINE EXPECTED
    COMPREPLY=()
    COMP_LINE=$2 COMP_POINT=${#2}
    _aipc 2>"$tmp/err"
    same "$1" "$3|" "${COMPREPLY[*]}|$(<"$tmp/err")"
}
offers "commands" "aipc " "new deploy record export exec verify split inspect compare run profile probe rules surgery apply diff doctor runtime targets help completion"
offers "a command begun" "aipc de" "deploy"
offers "a command after common options" "aipc -q --color never insp" "inspect"
offers "an option" "aipc deploy --pre" "--precision"
offers "a common option" "aipc deploy m --js" "--json"
offers "choices" "aipc deploy --precision " "fp16 fp32"
offers "choices after =" "aipc deploy --precision=fp1" "fp16"
offers "actions" "aipc runtime i" "install"
offers "topics" "aipc help exi" "exit-codes"
offers "files" "aipc deploy mod" "models model.onnx"
offers "files of NAME=FILE" "aipc deploy m --input images=model.o" "model.onnx"
offers "files with blanks" "aipc deploy m --input images=ph" "photo one.jpg"
offers "folders" "aipc run out -o mod" "models"
offers "nothing for numbers" "aipc deploy m --seed " ""
offers "targets" "aipc deploy m -t cp" "cpu"
COMP_WORDBREAKS=$' \t\n=:'
offers "targets after a colon" "aipc deploy m -t htp:sm865" "sm8650"
finish
