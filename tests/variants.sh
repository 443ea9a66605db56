#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The table of variants in other shapes and with other numbers, before and after surgery: tests/variants.sh AIPC [SEED...]
# Nothing here knows which shapes come up: what holds must hold for all of them.
set -u
aipc=$1
shift
[ $# -gt 0 ] || set -- 7 11
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1 # a folder ./rules would be taken for the user's own
for runtime in onnxruntime onnxruntime-qnn; do
    compgen -G "${AIPC_DATA:-$HOME/.local/share/aipc}/runtimes/$runtime-[0-9]*" >/dev/null || {
        echo "skipped: $runtime is not installed"
        exit 0
    }
done
for seed; do
    "$aipc" probe htp:sm8650 --all --seed "$seed" --vary-shapes --repair --json >"$tmp/doc" || echo "not ok seed $seed: exit"
    python3 - "$tmp/doc" "$seed" <<'PY'
import collections, json, sys
d = json.load(open(sys.argv[1])); s = d["summary"]; p = d["probes"]
left = [x for x in p if x["repair"] and not x["repair"]["found"]]
checks = {
    "every variant has a verdict": s["total"] >= 458 and s["unasked"] == s["invalid"] == 0,
    "at least 430 are right after surgery": s["right_as_is"] + s["right_after_surgery"] >= 430,
    "each of the rest has a reason": all(x["repair"]["reason"] for x in left),
    "what is repaired is right, up to what counts as inexact": all(x["repair"]["error"] <= 0.02 for x in p
        if x["repair"] and x["repair"]["found"] and "Quantize" not in x["op"]), # there: the share that is one step off
}
for what, holds in checks.items():
    print(f"{'ok' if holds else 'not ok'} seed {sys.argv[2]}: {what}")
print(f"# {s['right_as_is']} right as they are, {s['right_after_surgery']} after surgery, {s['left']} left; as they are {s['refused']} refused, {s['wrong']} wrong")
print("# left:", dict(collections.Counter(x["repair"]["kind"] for x in left)), [f"{x['op']} {x['variant']}" for x in left if x["repair"]["kind"] == "no chain"])
PY
done
