#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# surgery, apply, diff on the sample model; on models from wheels when their folder is given:
#   SILERO_VAD=DIR (silero_vad/data of silero-vad 6.2.3), PP_OCR=DIR (models of rapidocr-onnxruntime 1.4.4)
. "$(dirname "${BASH_SOURCE[0]}")/deploy_lib.bash"
need onnxruntime
model=$(compgen -G "$data/runtimes/sample-yolov8n-*/320n.onnx" | head -1)

# cleaned NAME MAX_NODES MODEL ARGS...: all outputs pass, at most so many nodes, apply gives the same bytes.
cleaned() {
    local name=$1 most=$2 file=$3
    shift 3
    run --json surgery "$file" "$@" -o "$tmp/$name.json" --save "$tmp/$name.onnx"
    same "$name: exit code" 0 "$code"
    cp "$tmp/out" "$tmp/$name.doc"
    asks "$tmp/$name.doc" "$name" <<EOF2
at most $most nodes := d["result"]["nodes"] <= $most
every exact step is bit-equal := all(s["gate"]["bit_equal"] for s in d["steps"] if s["class"] == "exact")
every step passed its gate := all(s["gate"]["passed"] for s in d["steps"])
nothing was left unjudged := all(s["gate"]["unjudged"] == 0 for s in d["steps"])
EOF2
    run apply "$file" "$tmp/$name.json" -o "$tmp/$name.again.onnx"
    same "$name: apply" 0 "$code"
    same "$name: apply gives the same bytes" 0 "$(cmp -s "$tmp/$name.onnx" "$tmp/$name.again.onnx"; echo $?)"
}

if [[ -n $model ]]; then
    cleaned yolov8n 238 "$model" --shape images=1,3,320,320
    asks "$tmp/yolov8n.doc" "stored" <<<'the stored model is the result := os.path.getsize(d["stored"]) == os.path.getsize("'"$tmp/yolov8n.onnx"'")'
    run --json surgery "$model" --shape images=1,3,320,320 -o "$tmp/second.json"
    same "a second run gives the same plan" 0 "$(cmp -s "$tmp/yolov8n.json" "$tmp/second.json"; echo $?)"
    run surgery "$model" --shape images=1,3,320,320
    has "the table names the pass" "$out" "shapes"
    has "the table names the verdict" "$out" "bit-equal"
    run diff "$model" "$tmp/yolov8n.onnx"
    same "diff: they differ" 10 "$code"
    has "diff: counts" "$out" "node         90 removed, 0 added"
    run diff "$tmp/yolov8n.onnx" "$tmp/yolov8n.again.onnx"
    same "diff: they are equal" "0|equal: 233 nodes, 233 nodes" "$code|$out"
    run surgery "$model"
    same "a dynamic model wants --shape" 4 "$code"
    run surgery "$model" --shape images=1,3,320,320 --skip nonsense
    same "no such pass" 2 "$code"
    run surgery "$model" --shape images=1,3,320,320 --fix nothing=1
    same "no such input to fix" 4 "$code"

    # A plan that no longer holds names the step and what differs, and writes nothing.
    broken() { # NAME SED TEXT
        sed "$2" "$tmp/yolov8n.json" >"$tmp/broken.json"
        rm -f "$tmp/broken.onnx"
        run apply "$model" "$tmp/broken.json" -o "$tmp/broken.onnx"
        has "$1" "$code $err" "$3"
        same "$1: nothing is written" no "$([[ -e $tmp/broken.onnx ]] && echo yes || echo no)"
    }
    broken "another version of a pass" 's/"version":1/"version":9/' "10 aipc: error: step 1 of the plan (shapes) no longer holds: this aipc has another version"
    broken "another source" 's/\("source": .*"sha256":"\)..../\10000/' "the plan was made for another model"
    broken "another shape" 's/"images":\[1,3,320,320\]/"images":[1,3,640,640]/' "(before)"
    broken "another result" 's/"after":"......../"after":"00000000/' "(after)"
    broken "no plan" 's/"format": 1/"format": 7/' "format 7"
    : >"$tmp/empty.json"
    run apply "$model" "$tmp/empty.json" -o "$tmp/broken.onnx"
    same "an empty plan" 7 "$code"
else
    echo "ok surgery of the sample # skipped: the sample model is not installed in $data"
fi

# Symbolic dimensions take the sizes of an input file.
make_nets
cleaned dynamic 4 "$nets/dynamic.onnx" --input "x=$nets/batch5.npy"
asks "$tmp/dynamic.doc" dynamic <<<'the shape is that of the sample := d["shapes"] == {"x": [5, 16]}'

if [[ -n ${SILERO_VAD:-} ]]; then
    cleaned silero 60 "$SILERO_VAD/silero_vad.onnx" --shape input=1,512 --shape state=2,1,128 --fix sr=16000
    asks <(run --json inspect "$tmp/silero.onnx"; echo "$out") silero <<<'no If is left := "If" not in d["ops"]'
    cleaned silero16k 60 "$SILERO_VAD/silero_vad_16k_op15.onnx" --shape input=1,512 --shape state=2,1,128 --fix sr=16000
    cleaned silero_ifless 60 "$SILERO_VAD/silero_vad_op18_ifless.onnx" --shape input=1,512 --shape state=2,1,128 --fix sr=16000
else
    echo "ok silero VAD # skipped: SILERO_VAD is not set"
fi
if [[ -n ${PP_OCR:-} ]]; then
    cleaned ppocr_det 330 "$PP_OCR/ch_PP-OCRv4_det_infer.onnx" --shape x=1,3,320,320
    cleaned ppocr_rec 403 "$PP_OCR/ch_PP-OCRv4_rec_infer.onnx" --shape x=1,3,48,320
else
    echo "ok PP-OCR # skipped: PP_OCR is not set"
fi
finish
