#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Models that break a rule: each is refused with code 3, naming file, node or tensor, and what to do.
. "$(dirname "$0")/errors_lib.bash"
need_runtime "models"
models
# Outside the model's folder lies what a hostile model would like to read.
mkdir outside
cp m/weights.bin outside/weights.bin
cp m/weights.bin secret.bin
ln -s ../outside/weights.bin m/link.bin
ln -s ../outside m/away

run inspect m/good.onnx
same "the model they are copies of is good" "0|" "$code|$err"
run inspect m/ext_good.onnx
same "so is the one with external data" "0|" "$code|$err"
cases "$here/models.cases"
run deploy -q -t cpu -o o m/cycle.onnx --json
has "with --json, the error is the document" "$(tr -d ' \n' <"$tmp/out")" '"code":"model-cycle","exit":3'
has "with --json, the hint is there" "$out" '"hint": "no order of these nodes can run'
finish
