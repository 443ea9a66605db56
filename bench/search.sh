#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Search and repair of YOLO26n end to end, by one command: cold (nothing stored, no probe known, no rule proven) and warm
# (the same again). Wanted: at most 60 s and 2 s.
#   bench/search.sh [BUILD] [MODEL]     MODEL: one of models/fetch.sh, default yolo26n
# A table on stdout and in bench/results/search-DAY.md. Run it on a quiet machine: the emulator takes every processor.
set -euo pipefail
cd "$(dirname "$0")/.."
aipc=$PWD/${1:-build}/aipc name=${2:-yolo26n}
export AIPC_DATA=${AIPC_DATA:-$PWD/.deps/data} ORT_DISABLE_TELEMETRY=1
model=$AIPC_DATA/models/$name
[ -f "$model/meta.json" ] || { echo "skipped: data not here: $name: models/fetch.sh $name"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export AIPC_CACHE=$tmp/cache
mkdir -p bench/results
python3 - "$aipc" "$model" "$tmp" "bench/results/search-$(date +%F).md" <<'PY'
import json, os, resource, subprocess, sys, time
aipc, model, tmp, path = sys.argv[1:]
given = json.load(open(model + "/meta.json"))["deploy"]
rows, code = [], 0
load = os.getloadavg()[0]
for what, most in (("cold", 60), ("warm", 2)):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    out = os.path.join(tmp, what)
    done = subprocess.run([aipc, "deploy", "model.onnx", "-t", "htp:sm8650", "-q", "--no-trace", "-o", out, *given], cwd=model,
                          stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    d = json.load(open(out + "/report.json"))
    t, spent = d["targets"][0], d["time"]
    repairs = (t["repairs"] or {}).get("repairs") or []
    said = "; ".join(f"{r['op']}: {', '.join(r['rules'])}" for r in repairs) or "none needed"
    stages = ", ".join(f"{s['stage']} {s['seconds']:.1f}" for s in t["stages"] if not s["cached"] and s["seconds"])
    code = code or done.returncode
    rows.append(f"| {what} | {wall:.2f} s | {most} s | {'yes' if wall <= most else '**no**'} | {cpu:.1f} s | {spent['ours_s']:.1f} s | "
                f"{spent['vendor_s']:.1f} s | {spent['golden_s']:.1f} s | {said} | {stages or 'all stored'} | {d['verdict']} |")
text = (f"# Search and repair: {os.path.basename(model)} on htp:sm8650\n\n{os.cpu_count()} processors, load before {load:.1f}. cpu: of all "
        "processes. aipc: wall time in which neither the vendor's library nor the oracle was at work.\n\n"
        "| | wall | wanted | met | cpu | aipc | vendor | oracle | repairs | stages | verdict |\n|" + "---|" * 11 + "\n" + "\n".join(rows) + "\n")
print(text)
open(path, "w").write(text)
sys.exit(code)
PY
