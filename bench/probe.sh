#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How many probes a second, asked and known: bench/probe.sh [BUILD] [RUNS]
# The whole table against htp:sm8650. "cpu s" is what all processes used together: it says what a busy machine hides.
# Run it on a quiet machine: two emulators spin on every processor there is.
set -euo pipefail
cd "$(dirname "$0")/.."
aipc=${1:-build}/aipc runs=${2:-3}
export AIPC_DATA=${AIPC_DATA:-$PWD/.deps/data}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export AIPC_CACHE=$tmp/cache TIMEFORMAT='%R %U %S'
read -r load _ </proc/loadavg
echo "processors $(nproc), load before $load"
ask() { # label, arguments...
    local label=$1 wall user sys
    shift
    read -r wall user sys < <({ time "$aipc" probe htp:sm8650 --all --json "$@" >"$tmp/doc" 2>/dev/null; } 2>&1)
    python3 - "$tmp/doc" "$label" "$wall" "$user" "$sys" <<'PY'
import json, sys
doc, label, wall, user, sys_s = sys.argv[1:]
d = json.load(open(doc)); s = d["summary"]; a = d["asking"]
n = s["total"]
print(f"{label:14} {n} probes  wall {float(wall):6.2f} s  cpu {float(user) + float(sys_s):5.2f} s  {n / float(wall):7.0f} probes/s  "
      f"batches {a['batches']}  accepted {s['accepted']} (inexact {s['inexact']}, constant {s['folded']})  refused {s['refused']}  wrong {s['wrong']}")
PY
}
for ((i = 0; i < runs; i++)); do ask "asked" --fresh; done
ask "asked, kept"
for ((i = 0; i < runs; i++)); do ask "known"; done
