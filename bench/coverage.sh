#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What targets compute right before and after surgery: bench/coverage.sh [BUILD] [TARGET...]
# The whole table of variants, cold and with known answers; writes bench/results/coverage-DATE.md. A chain counts only
# when each of its rules is proven and the target computed the rewritten piece like the oracle the original one.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- htp:sm8650 htp:sm8350
aipc=$PWD/$build/aipc
export AIPC_DATA=${AIPC_DATA:-$PWD/.deps/data} TIMEFORMAT='%R'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export AIPC_CACHE=$tmp/cache
out=bench/results/coverage-$(date +%F).md
for t; do # from another folder: ./rules would be taken for the user's own
    for run in cold warm; do
        { time (cd "$tmp" && "$aipc" probe "$t" --all --repair --json >"$tmp/${t#*:}.$run.json"); } 2>"$tmp/${t#*:}.$run.s"
    done
done
python3 - "$tmp" "$@" >"$out" <<'PY'
import collections, json, sys
tmp, targets = sys.argv[1], sys.argv[2:]
docs = {t: json.load(open(f"{tmp}/{t.split(':')[1]}.warm.json")) for t in targets}
seconds = lambda t, run: float(open(f"{tmp}/{t.split(':')[1]}.{run}.s").read().split()[-1])
print("# Operator variants before and after surgery\n")
print("`bench/coverage.sh`, " + ", ".join(docs[t]["backend"] for t in targets[:1]) + ". Cold proves every rule a chain needs.\n")
print("| target | variants | right as is | right after surgery | together | left | wrong as is, of them left | cold s | warm s |")
print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
bad = ("wrong", "unstable", "crashed", "hung")
for t in targets:
    s, p = docs[t]["summary"], docs[t]["probes"]
    wrong = [x for x in p if x["verdict"] in bad]
    left = [x for x in wrong if not x["repair"]["found"]]
    print(f"| {t} | {s['total']} | {s['right_as_is']} | {s['right_after_surgery']} | {s['right_as_is'] + s['right_after_surgery']} | {s['left']} "
          f"| {len(wrong)}, {len(left)} | {seconds(t, 'cold'):.1f} | {seconds(t, 'warm'):.1f} |")
for t in targets:
    rows = [x for x in docs[t]["probes"] if x["repair"]]
    text = lambda s: (s or "").replace("|", "/").replace("\n", " ")
    print(f"\n## {t}: repaired\n\n| operator | variant | was | rules | class | error | inputs taken in their drawn range |\n|---|---|---|---|---|---:|---|")
    for x in rows:
        r = x["repair"]
        if r["found"]:
            print(f"| {x['op']} | {x['variant']} | {x['verdict']} | {text(r['by'])} | {r['class']} | {float(r['error']):.2g} | {', '.join(r['given'])} |")
    print(f"\n## {t}: left\n\n| operator | variant | was | why |\n|---|---|---|---|")
    for x in rows:
        r = x["repair"]
        if not r["found"]:
            print(f"| {x['op']} | {x['variant']} | {x['verdict']} | {text(r['reason'])[:300]} |")
PY
sed -n 1,8p "$out"
