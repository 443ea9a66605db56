#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real documents against docs/documents.md: every key they hold stands there, in the section of its command.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
make_nets
mkdir "$tmp/d"
# document SECTION ARGS...
count=0
document() {
    local section=$1
    shift
    run "$@" --json
    cp "$tmp/out" "$tmp/d/$((count++)) $section.json"
}
targets=(--target cpu)
if compgen -G "$data/runtimes/onnxruntime-qnn-[0-9]*/record.json" >/dev/null; then targets+=(--target htp:sm8650); fi
document deploy deploy "$nets/wrong-pool.onnx" "${targets[@]}" --input "x=$nets/x9.npy" -o "$tmp/w"
document deploy deploy "$nets/refused.onnx" "${targets[@]}" -o "$tmp/r"
document deploy deploy "$nets/picture.onnx" --input image=/nowhere.png -o "$tmp/n"
cp "$tmp/w/manifest.json" "$tmp/d/m manifest.json.json"
document inspect inspect "$nets/external/model.onnx"
document inspect inspect "$nets/dynamic.onnx"
document compare compare "$nets/mlp.onnx" "$nets/convnet.onnx"
document compare compare "$nets/opset-13.onnx" "$nets/opset-17.onnx"
document compare compare "$nets/x9.npy" "$nets/x16.npy"
document compare compare "$nets/x9.npy" "$nets/x9.npy"
document compare compare "$tmp/w/golden" "$tmp/r/golden"
document surgery surgery "$nets/plan.onnx" --shape batch=1 -o "$tmp/plan.json"
document apply apply "$nets/plan.onnx" "$tmp/plan.json" -o "$tmp/plan.onnx"
document surgery apply "$nets/plan-retrained.onnx" "$tmp/plan.json" --rebase "$tmp/plan2.json"
document diff diff "$nets/plan.onnx" "$tmp/plan.onnx"
if ((${#targets[@]} > 2)); then document surgery surgery "$nets/plan.onnx" --shape batch=1 --target htp:sm8650; fi
document targets targets
document "runtime list" runtime list
document "run, profile" run "$tmp/w" -o "$tmp/ran"
document "run, profile" profile "$tmp/w"
python=${AIPC_VENV:-$root/.deps/venv}/bin/python
if [[ -z ${AIPC_SAN:-} ]] && "$python" -c "import onnxruntime" 2>/dev/null; then
    export AIPC_PYTHON=$root/python AIPC_PROGRAM=$aipc
    "$aipc" deploy "$nets/mlp.onnx" --target cpu -o "$tmp/mlp" --quiet >/dev/null 2>&1 </dev/null
    mkdir "$tmp/empty" && cd "$tmp/empty" || exit 1
    program=("$python" "$root/tests/python/apps.py" ort "$nets/mlp.onnx" plain)
    "$aipc" verify --json --artifacts "$tmp/mlp" -- "${program[@]}" >"$tmp/d/v exec, verify.json" 2>"$tmp/log" </dev/null
    "$aipc" exec --json --artifacts "$tmp/mlp" -- sh -c '"$@" >&2' sh "${program[@]}" >"$tmp/d/e exec, verify.json" 2>"$tmp/log" </dev/null
    cd "$root" || exit 1
fi
command -v python3 >/dev/null || { echo "ok documents # skipped: no python3"; finish; }
python3 - "$root/docs/documents.md" "$tmp"/d/*.json <<'PY' || failed=1
import json, os, re, sys
text = open(sys.argv[1]).read()
sections = {m[0].split("(")[0].strip(): m[1] for m in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.S | re.M)}
everywhere = sections["deploy"]
# Objects whose keys are names out of the model, not fields.
named = {"metrics", "shapes", "opsets", "ops", "dtypes", "fixed", "touched", "binds", "values"}
def keys(j, path, out):
    if isinstance(j, list):
        for x in j:
            keys(x, path, out)
    elif isinstance(j, dict):
        names = path and (path[-1] in named and (path[-1] != "metrics" or not {"cosine"} <= set(j)))
        names = names or (len(path) > 1 and path[-2] == "stages" and path[-1] in ("inputs", "outputs"))
        for k, v in j.items():
            if not names:
                out.setdefault(k, ".".join(path + [k]))
            keys(v, path if names else path + [k], out)
bad = 0
for name in sys.argv[2:]:
    section = os.path.basename(name).split(" ", 1)[1][:-5]
    found = {}
    keys(json.load(open(name)), [], found)
    known = set(re.findall(r'"(\w+)"', sections[section] + everywhere + "".join(sections[s] for s in ("inspect", "targets", "compare", "surgery"))))
    missing = [p for k, p in found.items() if k not in known]
    print(("not ok " if missing else "ok ") + f"{os.path.basename(name)[:-5]}: {len(found)} keys are documented")
    for p in missing:
        bad = 1
        print("  # not in docs/documents.md:", p)
sys.exit(bad)
PY
finish
