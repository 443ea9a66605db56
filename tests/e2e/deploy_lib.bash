# SPDX-License-Identifier: Apache-2.0
# Sourced by deploy_*.sh: small models, a cache of the script's own, and questions to JSON documents. Not a test itself.
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.bash"
data=${AIPC_DATA:-$root/.deps/data}
export AIPC_DATA=$data AIPC_CACHE=$tmp/cache
build=$(dirname "$aipc")
nets=$build/tests/e2e/nets
# A rule is proven once for all scripts of a run; those that are about proofs take a cache of their own.
proofs=${AIPC_PROOFS:-$build/tests/e2e/proofs}
mkdir -p "$AIPC_CACHE" "$proofs" && ln -sfn "$proofs" "$AIPC_CACHE/proofs"

# need NAME...: ends the script well when a runtime is missing.
need() {
    local runtime
    for runtime in "$@"; do
        if ! compgen -G "$data/runtimes/$runtime-[0-9]*/record.json" >/dev/null; then
            echo "ok $(basename "$0") # skipped: runtime not installed ($runtime in $data)"
            finish
        fi
    done
}

# need_plain: ends the script well with a sanitized library, which no Python can load.
need_plain() {
    if [[ -n ${AIPC_SAN:-} ]]; then
        echo "ok $(basename "$0") # skipped: a sanitized library cannot be loaded by Python"
        finish
    fi
}
# need_python MODULES: $python has them ("torch, onnx"), and finds the package and the program of this build; else the
# script ends well.
need_python() {
    python=${AIPC_VENV:-$root/.deps/venv}/bin/python
    if ! "$python" -c "import $1" 2>/dev/null; then
        echo "ok $(basename "$0") # skipped: no Python with $1 ($python)"
        finish
    fi
    export AIPC_PYTHON=$root/python AIPC_PROGRAM=$aipc
    unset AIPC_ARTIFACTS AIPC_TARGET AIPC_STRICT PYTHONPATH
}
# The same for programs with torch.
need_torch() {
    need_python "torch, onnx, numpy"
    export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
}

# The sanitizer the library was made with.
san_flags() {
    local marks
    marks=$(nm -a "$build/libaipc.a" 2>/dev/null | grep -oE -m1 '__(asan|tsan)_init')
    case $marks in __asan_init) echo "-fsanitize=address,undefined" ;; __tsan_init) echo "-fsanitize=thread" ;; esac
}
# The models, made once for a library; several scripts may come at once.
make_nets() {
    local program=$build/tests/e2e/make_nets
    mkdir -p "$nets"
    (
        flock 9
        if [[ $program -nt $build/libaipc.a && $program -nt $root/tests/e2e/make_nets.c && $program -nt $root/tests/e2e/net_parts.h && -f $nets/done ]]; then exit 0; fi
        # shellcheck disable=SC2046
        "${CC:-gcc}" -std=c17 -O1 -g -D_GNU_SOURCE $(san_flags) -I"$root/src" -I"$root/include" -I"$build/gen" \
            $(pkg-config --cflags libprotobuf-c jansson) "$root/tests/e2e/make_nets.c" "$build/libaipc.a" -lcmocka \
            $(pkg-config --libs libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3) -lm -ldl -lpthread -o "$program" &&
            "$program" "$nets" && touch "$nets/done"
    ) 9>"$build/tests/e2e/.lock" || { echo "not ok the models are made"; exit 1; }
}

# deploy CODE NAME MODEL ARGS...: into $tmp/NAME; checks the exit code, leaves $out and $err.
deploy() {
    local want=$1 name=$2 model=$3
    shift 3
    run deploy "$nets/$model" -o "$tmp/$name" "$@"
    if [[ $code == "$want" ]]; then ok "$name: exit $want"; else printf '%s\n' "exit $code" "$out" "$err" | not_ok "$name: exit $want"; fi
}

# asks FILE NAME: lines "WHAT := PYTHON" on stdin, each must be true of the document `d` (`t` is its first target).
asks() {
    if ! command -v python3 >/dev/null; then echo "ok $2 # skipped: no python3"; return; fi
    python3 - "$1" "$2" 3<&0 <<'PY' || failed=1
import json, math, os, sys
bad = 0
try:
    d = json.load(open(sys.argv[1]))
except Exception as e:
    print(f"not ok {sys.argv[2]}: a document\n  # {e}")
    sys.exit(1)
t = d["targets"][0] if isinstance(d, dict) and d.get("targets") else None
for line in os.fdopen(3):
    if ":=" not in line:
        continue
    what, expr = (s.strip() for s in line.split(":=", 1))
    try:
        good = eval(expr)
        why = ""
    except Exception as e:
        good, why = False, f"{type(e).__name__}: {e}"
    print(("ok " if good else "not ok ") + f"{sys.argv[2]}: {what}")
    if not good:
        bad = 1
        print(f"  # {expr} {why}")
sys.exit(bad)
PY
}
# same_tensor NAME A B: two .npy files hold the same bits.
same_tensor() {
    run compare "$2" "$3"
    same "$1" 0 "$code"
}
