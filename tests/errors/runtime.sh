#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runtimes that are not there, wheels with a wrong hash, installed ones that were damaged. Nothing here needs a network.
. "$(dirname "$0")/errors_lib.bash"
models
mkdir nothing no-pip wheels short
# The name and size of the wheel as pinned.
pin() { tr -d '\n' <"$root/data/runtimes.json" | grep -o "\"name\": *\"onnxruntime\".*" | grep -o "\"$1\": *\"\?[^\",]*" | head -n 1 | sed 's/.*: *"\?//'; }
wheel=$(pin wheel) bytes=$(pin wheel_bytes)
echo "this is no wheel" >"short/$wheel"
truncate -s "$bytes" "wheels/$wheel" # the right name, the right size, all zeros
case_sed=(-e "s|$wheel|WHEEL|g")
cases "$here/runtime.cases"
same "nothing was installed" "" "$(ls nothing/runtimes 2>/dev/null)"

if ! have_runtime; then
    echo "ok damaged runtimes # skipped: no ONNX Runtime in $data"
    finish
fi
# Installed ones in folders of our own, each with a damage.
damage() { # NAME COMMAND
    mkdir -p "$1/runtimes"
    cp -r "$data/runtimes/onnxruntime-1.31.1" "$1/runtimes/"
    (cd "$1/runtimes/onnxruntime-1.31.1" && eval "$2")
}
damage library 'truncate -s 1000 libonnxruntime.so.1.31.1'
damage link 'rm libonnxruntime.so.1'
damage record 'rm record.json'
damage other 'sed -i "s/\"wheel_sha256\": \"..../\"wheel_sha256\": \"0000/" record.json'
damage json 'echo "{" >record.json'
cases "$here/runtime_damaged.cases"
# Deployments look at sizes; a byte changed inside is what doctor looks for.
damage byte 'printf x | dd of=libonnxruntime.so.1.31.1 bs=1 seek=5000000 conv=notrunc status=none'
AIPC_DATA=byte run doctor
same "doctor finds a changed byte" 6 "$code"
has "doctor names the hash that is expected" "$out" "libonnxruntime.so.1.31.1 has sha256"
finish
