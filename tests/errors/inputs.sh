#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Inputs, shapes and targets that do not fit the model or the machine.
. "$(dirname "$0")/errors_lib.bash"
need_runtime "inputs"
models
head -c 3000 "$data"/runtimes/sample-photos-*/bus.jpg >cut.jpg
echo "no picture" >text.jpg
: >empty.jpg
head -c 30 /dev/zero >zero.png
cases "$here/inputs.cases"
run deploy -q m/symbolic.onnx --shape left=1,3,4,4 --shape right=1,3,4,4 -o good
same "with all shapes it works" 0 "$code"
finish
