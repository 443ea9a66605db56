#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A deployed artifact in other hands: another SoC, changed files, photos by the recipe it was deployed with.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
make_nets

# A picture without a tool that draws: 20x12, a gradient.
python3 - "$tmp/p.png" <<'PY' || { echo "ok deploy_artifact # skipped: no python3"; finish; }
import struct, sys, zlib
rows = b"".join(b"\0" + bytes(v for x in range(20) for v in (x * 12, y * 20, (x * y) % 256)) for y in range(12))
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 12, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PY

# ---- pictures
deploy 0 pic picture.onnx --input "image=$tmp/p.png"
deploy 0 recipe picture.onnx --input "image=$tmp/p.png" --recipe image=resize=stretch,color=bgr,mean=0.5,std=0.25
asks "$tmp/recipe/report.json" "picture" <<'PY'
source := d["contract"]["inputs"][0]["source"]["kind"] == "image"
the whole recipe is written down := all(w in d["contract"]["inputs"][0]["source"]["recipe"] for w in ("layout=nchw", "color=bgr", "resize=stretch", "size=", "scale=", "mean=0.5", "std=0.25", "pad="))
PY
run compare "$tmp/pic/golden/input-0.npy" "$tmp/recipe/golden/input-0.npy"
same "the recipe counts" 10 "$code"
for name in recipe pic; do
    run run "$tmp/$name" --input "image=$tmp/p.png" -o "$tmp/$name-ran"
    run run "$tmp/$name" -o "$tmp/$name-golden"
    same_tensor "$name: run reads a picture as it was deployed" "$tmp/$name-ran/y.npy" "$tmp/$name-golden/y.npy"
done
run compare "$tmp/recipe-ran/y.npy" "$tmp/pic-ran/y.npy"
same "and the recipe counts there, too" 10 "$code"
deploy 2 badrecipe picture.onnx --input "image=$tmp/p.png" --recipe image=colour=bgr
deploy 4 wrongname picture.onnx --input "image=$tmp/p.png" --recipe imag=color=bgr
has "a recipe for no input" "$err" "did you mean 'image'?"

# ---- a changed artifact is not run
deploy 0 cpu mlp.onnx --input "x=$nets/x16.npy"
cp -r "$tmp/cpu" "$tmp/flipped"
printf 'X' | dd of="$tmp/flipped/cpu/model.onnx" bs=1 seek=100 conv=notrunc status=none
run run "$tmp/flipped" -o "$tmp/no"
same "one byte of the model" 7 "$code"
has "one byte of the model: said" "$err" "the manifest says"
cp -r "$tmp/cpu" "$tmp/gone"
rm "$tmp/gone/cpu/model.onnx"
run run "$tmp/gone" -o "$tmp/no"
same "a missing file" 7 "$code"
cp -r "$tmp/cpu" "$tmp/escape"
sed -i 's/"dir": "cpu"/"dir": ".."/' "$tmp/escape/manifest.json"
run run "$tmp/escape" -o "$tmp/no"
same "a folder outside" "7|aipc: error: $tmp/escape: manifest.json: target folder '..' lies outside" "$code|$(head -1 "$tmp/err")"
run run "$tmp/cpu" --target htp:sm8650 -o "$tmp/no"
same "a target it does not have" "5|aipc: error: the artifact has no target 'htp:sm8650'; it has cpu" "$code|$(head -1 "$tmp/err")"
run run "$tmp" -o "$tmp/no"
same "no artifact" 7 "$code"

# ---- the wrong SoC: the emulator would run it, aipc does not
need onnxruntime-qnn
deploy 0 htp mlp.onnx --target htp:sm8650 --input "x=$nets/x16.npy"
cp -r "$tmp/htp" "$tmp/other"
sed -i 's/"target": "htp:sm8650"/"target": "htp:sm8750"/; s/"soc_model": 57/"soc_model": 69/' "$tmp/other/manifest.json"
run run "$tmp/other" -o "$tmp/no"
same "the wrong SoC" 10 "$code"
has "the wrong SoC: both are named" "$err" "was made for soc_model 57, the target is SM8750 (soc_model 69)"
run run "$tmp/other" -o "$tmp/no" --json
has "the wrong SoC: the word" "$out" '"soc-mismatch"'
finish
