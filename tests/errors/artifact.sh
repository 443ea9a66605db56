#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Artifacts that were changed after they passed their gates, and manifests somebody else wrote.
. "$(dirname "$0")/errors_lib.bash"
need_runtime "artifact"
models
run deploy -q -i x=m/x.npy -o good m/good.onnx
same "a good artifact" "0|" "$code|$err"
run run good -o outputs
same "it runs" "0|" "$code|$err"

copy() { # NAME: a fresh copy of the artifact, to be damaged
    rm -rf "$1"
    cp -r good "$1"
}
edit() { # NAME SED-EXPRESSION: a copy with its manifest changed
    copy "$1"
    sed -i "$2" "$1/manifest.json"
    if cmp -s "$1/manifest.json" good/manifest.json; then echo "$2" | not_ok "the manifest of $1 is changed"; fi
}
copy flipped
printf '\xff' | dd of=flipped/cpu/model.onnx bs=1 seek=100 conv=notrunc status=none
copy cut
truncate -s -1 cut/cpu/model.onnx
copy gone
rm gone/cpu/model.onnx
copy no_manifest
rm no_manifest/manifest.json
copy half_manifest
head -c 600 good/manifest.json >half_manifest/manifest.json
copy empty_manifest
: >empty_manifest/manifest.json
mkdir no_artifact
copy golden_cut
truncate -s -4 golden_cut/golden/input-0.npy
copy golden_gone
rm golden_gone/golden/input-0.npy
edit climbing 's|"file": "model.onnx"|"file": "../../secret"|'
edit absolute 's|"file": "model.onnx"|"file": "/etc/passwd"|'
edit climbing_dir 's|"dir": "cpu"|"dir": ".."|'
edit climbing_golden 's|"file": "input-0.npy"|"file": "../../input-0.npy"|'
edit format 's|"format": 1|"format": 2|'
edit target 's|"target": "cpu"|"target": "gpu"|'
edit dtype 's|"dtype": "float32"|"dtype": "float33"|'
edit hash 's|"sha256": "[0-9a-f]\{8\}|"sha256": "00000000|'
copy dims
tr -d '\n' <good/manifest.json | sed 's|"dims": *\[ *1, *4|"dims": [4611686018427387904, 4|' >dims/manifest.json
edit no_targets 's|"targets": *\[|"targets": [], "was": [|'
sha=$(sha256sum <good/cpu/model.onnx | cut -d' ' -f1)
case_sed=(-e "s|$sha|SHA|g" -e "s|[0-9a-f]\{64\}|OTHER|g")
cases "$here/artifact.cases"
same "none of them wrote anything" "" "$(ls -d o 2>/dev/null)"

# A manifest cut short at any place: refused, or (white space at its end) as good as whole.
copy sliced
size=$(stat -c %s good/manifest.json) bad=0
for ((at = 0; at < size; at += size / 60)); do
    head -c "$at" good/manifest.json >sliced/manifest.json
    run run sliced -o o
    if [[ $code != 7 || $err != *"aipc: error: "* ]]; then echo "cut at $at: exit $code: $err" | not_ok "a manifest cut at $at"; bad=1; fi
done
if ((!bad)); then ok "a manifest cut at 60 places is refused"; fi
# One bit of it flipped.
for ((at = 3; at < size; at += size / 60)); do
    copy sliced
    old=$(od -An -tu1 -j "$at" -N1 good/manifest.json)
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((old ^ (1 << (at % 7)))))" | dd of=sliced/manifest.json bs=1 seek="$at" conv=notrunc status=none
    run run sliced -o o-flip
    case $code in
    0 | 4 | 5 | 7 | 10) ;;
    *) echo "flipped at $at: exit $code: $err" | not_ok "a manifest flipped at $at"; bad=1 ;;
    esac
done
if ((!bad)); then ok "a manifest with one bit flipped at 60 places harms nobody"; fi
finish
