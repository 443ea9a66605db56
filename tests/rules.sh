#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The rule library: every rule holds on 200 random instances, and at least 95 of 100 lines of their preconditions
# matter: tests/rules.sh AIPC [OPTION...] (--seed 7 --instances 1000)
if ! compgen -G "$AIPC_DATA/runtimes/onnxruntime-[0-9]*/record.json" >/dev/null; then
    echo "ok rules # skipped: runtime not installed (onnxruntime)"
    exit 0
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/aipc-rules.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$1" rules test --mutate --json "${@:2}" >"$tmp/out" 2>"$tmp/err" || [[ $? == 10 ]] || { echo "not ok rules test runs"; sed 's/^/  # /' "$tmp/err"; exit 1; }
python3 - "$tmp/out" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
bad = 0
for p in d["proofs"]:
    if p["verdict"] == "holds" and p["instances"] >= 200:
        print("ok rule %s" % p["rule"])
    else:
        bad = 1
        print("not ok rule %s\n  # %s: %s" % (p["rule"], p["verdict"], p.get("reason", "")))
s = d["summary"]
score = s["killed"] / max(s["mutants"], 1)
print("%s lines of preconditions that matter: %d of %d" % ("ok" if score >= 0.95 else "not ok", s["killed"], s["mutants"]))
for p in d["proofs"]:
    for m in p.get("mutants", []):
        if not m["killed"]:
            print("  # %s: %s" % (p["rule"], m["where"]))
sys.exit(bad or score < 0.95)
PY
