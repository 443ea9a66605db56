#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One model for several shapes: an artifact each, an index, and run takes the one that fits.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
make_nets
command -v python3 >/dev/null || { echo "ok several shapes # skipped: no python3"; finish; }

# npy FILE ROWS: a float32 tensor [ROWS,16]
npy() {
    python3 - "$1" "$2" <<'PY'
import struct, sys
rows = int(sys.argv[2])
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 16), }" % rows
head += " " * (63 - (10 + len(head)) % 64) + "\n"
with open(sys.argv[1], "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    f.write(b"".join(struct.pack("<f", ((i * 37) % 101) / 50 - 1) for i in range(rows * 16)))
PY
}
for n in 1 2 3 4; do npy "$tmp/x$n.npy" $n; done

# ---- the CPU
deploy 0 cpu dynamic.onnx --shape batch=1..2/4 --input "x=$tmp/x2.npy" --input "x=$tmp/x4.npy"
has "the table has a row each" "$out" "4,16    pass     batch-4"
has "where no sample fits it is random" "$err" "input 'x' is seeded random"
asks "$tmp/cpu/index.json" "the index" <<'PY'
kind := d["kind"] == "aipc index" and d["format"] == 1 and d["recording"] is None and d["targets"] == ["cpu"]
one model := [(m["name"], m["kind"], m["path"]) for m in d["models"]] == [("dynamic.onnx", "session", None)]
identity := len(d["models"][0]["identity"]["sha256"]) == 64
folders := [a["dir"] for a in d["models"][0]["artifacts"]] == ["batch-1", "batch-2", "batch-4"]
shapes := [a["inputs"] for a in d["models"][0]["artifacts"]] == [[{"name": "x", "dtype": "float32", "dims": [n, 16]}] for n in (1, 2, 4)]
outputs := [a["outputs"][0]["dims"] for a in d["models"][0]["artifacts"]] == [[1, 8], [2, 8], [4, 8]]
verdicts := [a["verdict"] for a in d["models"][0]["artifacts"]] == ["pass"] * 3
signatures differ := len({a["signature"] for a in d["models"][0]["artifacts"]}) == 3
feeds := all(a["feeds"] == [{"input": "x", "leaf": 0}] and a["results"] == [{"output": "y", "leaf": 0}] for a in d["models"][0]["artifacts"])
PY
for n in 2 4; do
    asks "$tmp/cpu/batch-$n/manifest.json" "batch-$n" <<<"its own sample := d['contract']['inputs'][0]['source']['kind'] == 'npy' and d['contract']['inputs'][0]['dims'] == [$n, 16]"
    run run "$tmp/cpu" --input "x=$tmp/x$n.npy" -o "$tmp/ran$n"
    same "run with $n rows" 0 "$code"
    has "run with $n rows takes batch-$n" "$out" "artifact: $tmp/cpu/batch-$n"
    same_tensor "run with $n rows gives what was deployed" "$tmp/ran$n/y.npy" "$tmp/cpu/batch-$n/golden/output-0.npy"
done
run run "$tmp/cpu" -o "$tmp/ran" --json
asks "$tmp/out" "run without inputs" <<'PY'
the first := d["artifact"].endswith("/batch-1") and d["outputs"][0]["dims"] == [1, 8] and d["inputs"] == "golden sample"
PY
run run "$tmp/cpu" --input "x=$tmp/x3.npy" -o "$tmp/ran"
same "a shape that was not deployed" 4 "$code"
has "is told with what there is" "$err" "they take x 1x16; x 2x16; x 4x16"
run run "$tmp/cpu" --input "z=$tmp/x1.npy" -o "$tmp/ran"
same "an input it does not have" 4 "$code"
run run "$tmp/cpu" --input "x=$tmp/none.npy" -o "$tmp/ran"
same "a file that is not there" 7 "$code"
run run "$tmp/cpu/batch-2" --input "x=$tmp/x2.npy" -o "$tmp/ran"
same "a folder by its own name" 0 "$code"
run run "$tmp/cpu" --target htp:sm8650 -o "$tmp/ran"
same "a target it was not deployed for" 5 "$code"
run profile "$tmp/cpu"
same "profile takes the first" 0 "$code"

# ---- a program's calls go to the one that fits
if [[ -n ${AIPC_SAN:-} ]]; then
    echo "ok exec by shape # skipped: a sanitized library cannot be loaded by Python"
elif py=$(sh "$root/tools/venv.sh" run torch 2>"$tmp/why"); then
    cat >"$tmp/app.py" <<PY
import numpy, onnxruntime
s = onnxruntime.InferenceSession("$nets/dynamic.onnx")
for n in (1, 4, 3):
    print(s.run(None, {"x": numpy.ones((n, 16), numpy.float32)})[0].shape)
PY
    run exec --json --artifacts "$tmp/cpu" -- "$py" "$tmp/app.py"
    same "exec: exit code" 0 "$code"
    sed -n '/^{/,$p' "$tmp/out" >"$tmp/exec.json"
    asks "$tmp/exec.json" "exec" <<'PY'
two of three calls are served := (d["calls"], d["served"]) == (3, 2)
each by its shape := sorted(m["artifact"].rsplit("/", 1)[1] for m in d["models"] if m["artifact"]) == ["batch-1", "batch-4"]
the third is named := [m["why"] for m in d["models"] if not m["artifact"]] == ["a run with float32 3x16 was not deployed"]
PY
else
    echo "ok exec by shape # skipped: $(tail -n 1 "$tmp/why")"
fi

# ---- mistakes are told before any work
refused() { # NAME CODE TEXT ARGS...
    local name=$1 want=$2 text=$3
    shift 3
    run deploy "$nets/dynamic.onnx" -o "$tmp/bad" "$@"
    has "$name" "$code $err" "$want aipc: error: $text"
    same "$name: nothing is made" no "$([[ -e $tmp/bad ]] && echo yes || echo no)"
}
refused "too many" 2 "--shape batch=1..33 names more than 32 sizes at one place" --shape batch=1..33
refused "backwards" 2 "--shape batch=4..1: the range runs backwards" --shape batch=4..1
refused "no number" 4 '--shape batch=1/two: no size at "two"' --shape batch=1/two
refused "no such input" 4 "--shape: the model has no input 'btach'" --shape btach=1..2
refused "a sample of no shape" 4 "--input x=$tmp/x3.npy has none of the 2 shapes" --shape batch=1..2 --input "x=$tmp/x3.npy"
refused "a sample of no input" 4 "--input: the model has no input 'y'" --shape batch=1..2 --input "y=$tmp/x3.npy"
run surgery "$nets/dynamic.onnx" --shape batch=1..2 -o "$tmp/plan.json"
has "surgery is for one shape" "$code $err" "several are for 'aipc deploy'"

# ---- what was there before does not count
deploy 0 again dynamic.onnx --shape batch=3 --input "x=$tmp/x3.npy"
deploy 0 again dynamic.onnx --shape batch=1,2
run run "$tmp/again" --input "x=$tmp/x3.npy" -o "$tmp/ran"
same "one shape, then two: the one is gone" 4 "$code"
deploy 0 again dynamic.onnx --shape batch=3 --input "x=$tmp/x3.npy"
run run "$tmp/again" --input "x=$tmp/x3.npy" -o "$tmp/ran"
same "two shapes, then one: the one is there" 0 "$code"

# ---- a shape that fails does not stop the others, and is not served
deploy 10 gates dynamic.onnx --shape batch=1..2 --gate cosine=2
asks "$tmp/gates/index.json" "failed shapes" <<<'all are in the index := [a["verdict"] for a in d["models"][0]["artifacts"]] == ["fail", "fail"]'
run run "$tmp/gates" --input "x=$tmp/x2.npy" -o "$tmp/ran"
same "what failed its gates is not run" 10 "$code"

# ---- the target's own binary for each
if compgen -G "$data/runtimes/onnxruntime-qnn-[0-9]*/record.json" >/dev/null; then
    deploy 0 htp dynamic.onnx --target htp:sm8650 --shape batch=1,4 --no-trace --input "x=$tmp/x1.npy" --input "x=$tmp/x4.npy"
    for n in 1 4; do
        run run "$tmp/htp" --target htp:sm8650 --input "x=$tmp/x$n.npy" -o "$tmp/htp$n"
        has "htp with $n rows" "$code $out" "artifact: $tmp/htp/batch-$n"
        run compare "$tmp/htp$n/y.npy" "$tmp/htp/batch-$n/golden/output-0.npy" --json
        asks "$tmp/out" "htp with $n rows" <<<'is near the golden one := d["tensors"][0]["metrics"]["sqnr_db"] > 40'
    done
else
    echo "ok several shapes on htp # skipped: runtime not installed (onnxruntime-qnn in $data)"
fi
finish
