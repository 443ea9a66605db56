#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What targets compute right before and after surgery: bench/coverage.sh [BUILD] [TARGET...]
# The whole table of variants, cold and with known answers, and for the first target in other shapes and with other
# numbers (SEEDS, default "7 11"); writes bench/results/coverage-DATE.md. A chain counts only when each of its rules is
# proven and the target computed the rewritten piece like the oracle the original one. WORK=DIR keeps what is done
# there, and a second start goes on behind it.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- htp:sm8650 htp:sm8350
aipc=$PWD/$build/aipc
export AIPC_DATA=${AIPC_DATA:-$PWD/.deps/data} TIMEFORMAT='%R %U %S'
tmp=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"
tmp=$(cd "$tmp" && pwd)
export AIPC_CACHE=$tmp/cache
run() { # name, arguments of probe...: from another folder, ./rules would be taken for the user's own
    local name=$tmp/$1
    shift
    [ ! -s "$name.json" ] || return 0
    [ ! -e "$name.part" ] || : >"$name.resumed" # it was interrupted: some answers are known
    find "$AIPC_CACHE/proofs" -type f 2>/dev/null | wc -l >"$name.proofs"
    { time (cd "$tmp" && "$aipc" probe "$@" --all --repair --json >"$name.part"); } 2>"$name.s"
    mv "$name.part" "$name.json"
}
out=bench/results/coverage-$(date +%F).md
for t; do
    for again in cold warm; do run "${t#*:}.$again" "$t"; done
done
seeds=${SEEDS-7 11}
for seed in $seeds; do run "seed.$seed" "$1" --seed "$seed" --vary-shapes; done
python3 - "$tmp" "$seeds" "$@" >"$out" <<'PY'
import collections, json, os, sys
tmp, seeds, targets = sys.argv[1], sys.argv[2].split(), sys.argv[3:]
docs = {t: json.load(open(f"{tmp}/{t.split(':')[1]}.warm.json")) for t in targets}
known = lambda t: open(f"{tmp}/{t.split(':')[1]}.cold.proofs").read().strip()
def seconds(t, run): # on the clock, and used by all processes together: what a busy machine hides
    wall, user, system = map(float, open(f"{tmp}/{t.split(':')[1]}.{run}.s").read().split()[-3:])
    resumed = " (resumed)" if os.path.exists(f"{tmp}/{t.split(':')[1]}.{run}.resumed") else ""
    return f"{wall:.1f}{resumed} | {user + system:.1f}"
print("# Operator variants before and after surgery\n")
print("`bench/coverage.sh`, " + ", ".join(docs[t]["backend"] for t in targets[:1]) + ". Cold proves each rule a chain needs, "
      "unless it was proven before (for another target, or in a bench that was interrupted). Cpu: seconds of all processes together; the clock says little "
      "on a busy machine.\n")
print("| target | variants | right as is | right after surgery | together | left | wrong as is, of them left | proofs known | cold s | cpu | warm s | cpu |")
print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
bad = ("wrong", "unstable", "crashed", "hung")
for t in targets:
    s, p = docs[t]["summary"], docs[t]["probes"]
    wrong = [x for x in p if x["verdict"] in bad]
    left = [x for x in wrong if not x["repair"]["found"]]
    print(f"| {t} | {s['total']} | {s['right_as_is']} | {s['right_after_surgery']} | {s['right_as_is'] + s['right_after_surgery']} | {s['left']} "
          f"| {len(wrong)}, {len(left)} | {known(t)} | {seconds(t, 'cold')} | {seconds(t, 'warm')} |")
def kinds(doc):
    left = collections.Counter(x["repair"]["kind"] for x in doc["probes"] if x["repair"] and not x["repair"]["found"])
    return ", ".join(f"{n} {k}" for k, n in left.most_common()) or "none"
print("\nWhy some are left (docs/probe.md says what the words mean):\n")
for t in targets:
    print(f"- {t}: {kinds(docs[t])}")
if seeds:
    base = {(x["op"], x["variant"]): x for x in docs[targets[0]]["probes"]}
    print(f"\n## {targets[0]}: other shapes, other numbers\n\n`--seed N --vary-shapes`.\n")
    print("| seed | shapes changed | right as is | right after surgery | together | wrong as is, of them left | left |\n|---:|---:|---:|---:|---:|---:|---|")
    other = []
    for seed in seeds:
        doc = json.load(open(f"{tmp}/seed.{seed}.json"))
        s, p = doc["summary"], doc["probes"]
        moved = sum(x["shapes"] != base[x["op"], x["variant"]]["shapes"] for x in p)
        wrong = [x for x in p if x["verdict"] in bad]
        left = sum(not x["repair"]["found"] for x in wrong)
        print(f"| {seed} | {moved} | {s['right_as_is']} | {s['right_after_surgery']} | {s['right_as_is'] + s['right_after_surgery']} | {len(wrong)}, {left} | {kinds(doc)} |")
        for x in p:
            b = base[x["op"], x["variant"]]
            if x["verdict"] != b["verdict"]:
                r = x["repair"]
                after = "" if not r else r["by"] if r["found"] else f"left: {r['kind']}"
                other.append(f"| {seed} | {x['op']} | {x['variant']} | {b['shapes']} {b['verdict']} | {x['shapes']} {x['verdict']} | {after} |")
    if other:
        print("\nVerdicts that hang on the shape:\n\n| seed | operator | variant | in the table | here | surgery |\n|---:|---|---|---|---|---|")
        print("\n".join(other))
for t in targets:
    rows = [x for x in docs[t]["probes"] if x["repair"]]
    text = lambda s: (s or "").replace("|", "/").replace("\n", " ")
    print(f"\n## {t}: repaired\n\n| operator | variant | was | rules | class | error | inputs taken in their drawn range |\n|---|---|---|---|---|---:|---|")
    for x in rows:
        r = x["repair"]
        if r["found"]:
            print(f"| {x['op']} | {x['variant']} | {x['verdict']} | {text(r['by'])} | {r['class']} | {float(r['error']):.2g} | {', '.join(r['given'])} |")
    print(f"\n## {t}: left\n\n| operator | variant | was | kind | why |\n|---|---|---|---|---|")
    for x in rows:
        r = x["repair"]
        if not r["found"]:
            print(f"| {x['op']} | {x['variant']} | {x['verdict']} | {r['kind']} | {text(r['reason'])[:300]} |")
PY
sed -n 1,13p "$out"
