#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Wrong command lines: exact text, exit code 2, nothing on stdout.
. "$(dirname "$0")/cli_lib.bash"

fails "unknown command, near one" "aipc: error: unknown command 'depoly'
  next: did you mean 'aipc deploy'? 'aipc help' lists the commands" depoly model.onnx
fails "unknown command, none near" "aipc: error: unknown command 'frobnicate'
  next: 'aipc help' lists the commands" frobnicate
fails "hidden command is not suggested" "aipc: error: unknown command 'workr'
  next: 'aipc help' lists the commands" workr
fails "empty command" "aipc: error: unknown command ''
  next: 'aipc help' lists the commands" ""
fails "unknown option, near one" "aipc: error: unknown option '--tagret' of 'aipc deploy'
  next: did you mean '--target'? 'aipc deploy --help' lists the options" deploy m.onnx --tagret cpu
fails "unknown option with value" "aipc: error: unknown option '--tagret' of 'aipc deploy'
  next: did you mean '--target'? 'aipc deploy --help' lists the options" deploy m.onnx --tagret=cpu
fails "unknown option typed short" "aipc: error: unknown option '--prec' of 'aipc deploy'
  next: did you mean '--precision'? 'aipc deploy --help' lists the options" deploy m.onnx --prec fp16
fails "unknown option, none near" "aipc: error: unknown option '--bananas' of 'aipc run'
  next: 'aipc run --help' lists the options" run out --bananas
fails "unknown letter" "aipc: error: unknown option '-z' of 'aipc deploy'
  next: 'aipc deploy --help' lists the options" deploy m.onnx -z
fails "unknown letter in a bundle" "aipc: error: unknown option '-z' of 'aipc deploy'
  next: 'aipc deploy --help' lists the options" deploy m.onnx -qz
fails "unknown option in front" "aipc: error: unknown option '--colour' of 'aipc'
  next: did you mean '--color'? 'aipc --help' lists the options" --colour
fails "option without its value" "aipc: error: --seed needs a value: --seed N" deploy m.onnx --seed
fails "letter without its value" "aipc: error: -o needs a value: -o DIR" deploy m.onnx -o
fails "flag with a value" "aipc: error: --dlc takes no value" deploy m.onnx --dlc=yes
fails "not a choice" "aipc: error: --precision must be one of fp16, fp32; 'int8' is none of them" \
    deploy m.onnx --precision int8
fails "part of a choice is none" "aipc: error: --precision must be one of fp16, fp32; 'fp16 fp32' is none of them" \
    deploy m.onnx --precision "fp16 fp32"
fails "colour is a choice" "aipc: error: --color must be one of auto, always, never; 'blue' is none of them" \
    --color blue targets
fails "no number" "aipc: error: --seed wants a whole number, not '0x10'" deploy m.onnx --seed 0x10
fails "negative number" "aipc: error: --seed wants a whole number, not '-1'" deploy m.onnx --seed -1
fails "empty number" "aipc: error: --top wants a whole number, not ''" profile out --top=
fails "number too small" "aipc: error: --timeout must be between 1 and 4294967295, not 0" deploy m.onnx --timeout 0
fails "number too big" "aipc: error: --memory must be between 1 and 4294967295, not 99999999999" \
    deploy m.onnx --memory 99999999999
fails "number beyond 64 bits" \
    "aipc: error: --seed must be between 0 and 18446744073709551615, not 18446744073709551616" \
    deploy m.onnx --seed 18446744073709551616
fails "input without a name" "aipc: error: --input wants NAME=FILE, not 'photo.jpg'" deploy m.onnx --input photo.jpg
fails "input without a file" "aipc: error: -i wants NAME=FILE, not 'images='" deploy m.onnx -i images=
fails "gate without a metric" "aipc: error: --gate wants METRIC=VALUE, not '=3'" deploy m.onnx --gate =3
fails "missing model" "aipc: error: 'aipc deploy' needs MODEL: the ONNX model, or a recording; behind --: a program, run once and recorded into DIR/recording
  next: 'aipc deploy --help' shows the usage" deploy
fails "missing second argument" "aipc: error: 'aipc compare' needs B: what to hold against it
  next: 'aipc compare --help' shows the usage" compare a.npy
fails "one model too many" "aipc: error: deploy takes one model, not 2 ('a.onnx', 'b.onnx')
  next: one call a model; a program and its arguments go behind --" deploy a.onnx b.onnx
fails "one argument too many" "aipc: error: unexpected argument 'b.onnx' of 'aipc inspect'
  next: 'aipc inspect --help' shows the usage" inspect a.onnx b.onnx
fails "options end at --" "aipc: error: unexpected argument '--json' of 'aipc inspect'
  next: 'aipc inspect --help' shows the usage" inspect a.onnx -- --json
fails "unknown action" "aipc: error: ACTION must be one of list, install, remove; 'get' is none of them" runtime get
fails "remove what" "aipc: error: 'aipc runtime remove' needs NAME
  next: 'aipc runtime list' shows what is installed" runtime remove
fails "list takes no names" "aipc: error: 'aipc runtime list' takes no names" runtime list onnxruntime
fails "worker without channel" "aipc: error: 'aipc worker' needs --fd N
  next: aipc starts its workers itself" worker
fails "worker on stdout" "aipc: error: --fd must be between 3 and 2147483647, not 1" worker --fd 1
fails "unknown shell" "aipc: error: SHELL must be one of bash, zsh, fish; 'ksh' is none of them" completion ksh
fails "help on nothing known" "aipc: error: unknown command 'deplo'
  next: did you mean 'aipc deploy'? 'aipc help' lists the commands" help deplo
fails "control characters are shown as ?" "aipc: error: unknown command '?[31mred??'
  next: 'aipc help' lists the commands" $'\033[31mred\n\a'
fails "a broken UTF-8 word" "aipc: error: unknown command 'a?b'
  next: 'aipc help' lists the commands" $'a\xffb'

# The document comes although --json stands after the mistake, or the mistake in front of the command.
for words in "deploy m.onnx --tagret cpu --json" "--json depoly" "--colour --json" "deploy --json"; do
    # shellcheck disable=SC2086
    run $words
    same "with --json, stderr is empty: $words" "2|" "$code|$err"
    has "with --json, the error is a document: $words" "$out" '"error"'
    json "that document is JSON: $words" "$tmp/out"
done
run inspect -- --json extra
same "--json after -- is no option" "2|" "$code|$out"
run compare --json
has "the document carries the exit code" "$(tr -d ' \n' <"$tmp/out")" '"exit":2'
finish
