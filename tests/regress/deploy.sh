#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bugs of `aipc deploy` and `aipc run` that were fixed: what they answered then is named behind each.
. "$(dirname "$0")/../errors/errors_lib.bash"
need_runtime "deploy"
models
key() { tr -d ' \n' <"$tmp/out" | grep -o '"error":{"code":"[a-z-]*' | sed 's/.*"//'; }
answers() { # NAME EXIT KEY ARGS...
    local name=$1 want="$2 $3"
    shift 3
    run "$@" --json
    same "$name" "$want" "$code $(key)"
}
answers "a graph without outputs breaks a rule (vendor error, 15)" 3 model-invalid deploy -o o m/no_output.onnx
answers "an input given twice is wrong usage (the first one was taken)" 2 usage deploy -o o m/good.onnx -i x=m/x.npy -i x=m/x_inf.npy
answers "a tensor beyond all memory is named" 14 no-memory deploy -o o m/input_huge.onnx
has "with its input" "$(<"$tmp/out")" "input 'x'"

run deploy -q -i x=m/x.npy -o good m/good.onnx
same "a good artifact" "0|" "$code|$err"
for object in "$AIPC_CACHE"/objects/*; do rm -r "$object" && : >"$object"; done
run deploy -q -i x=m/x.npy -o good m/good.onnx
same "stray files in the store block nothing (7)" "0|" "$code|$err"
printf '\x01' | dd of=good/golden/input-0.npy bs=1 seek=130 conv=notrunc status=none
answers "a golden sample that was changed is found (it ran)" 7 corrupt run good -o o
cp good/manifest.json whole.json
tr -d '\n' <whole.json | sed 's|"dims": *\[ *1, *4|"dims": [4611686018427387904, 4|' >good/manifest.json
answers "a manifest whose dims overflow is damaged (bad model, 3)" 7 corrupt run good -o o

# Relative folders (the NPU's plugin was sought beside ONNX Runtime; 6).
if [[ -d $data/runtimes/onnxruntime-qnn-2.7.0 ]]; then
    ln -s "$data" data
    AIPC_DATA=data AIPC_CACHE=cache run deploy -q -i x=m/x.npy -t cpu -t htp:sm8650 -o npu m/good.onnx
    same "relative AIPC_DATA and AIPC_CACHE" "0|" "$code|$err"
    AIPC_DATA=data AIPC_CACHE=cache run run npu -t htp:sm8650 -o o
    same "relative AIPC_DATA, run" "0|" "$code|$err"
else
    echo "ok relative AIPC_DATA # skipped: no onnxruntime-qnn in $data"
fi
finish
