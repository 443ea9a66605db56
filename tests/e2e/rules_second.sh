#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A second oracle: instances on which the two disagree are disputed, shown and not counted; a rule is never proven by them.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime

# ---- a command that is none, one that says nothing of use
run rules test is_nan --second "$tmp/there-is-none"
same "no such program" 7 "$code"
has "no such program: named" "$err" "there-is-none"

if ! PY=$(sh "$root/tools/venv.sh" run torch 2>"$tmp/venv"); then
    echo "ok rules_second # skipped: $(tail -n1 "$tmp/venv")"
    finish
fi
mkdir "$tmp/own"
cd "$tmp" || exit 1
cat >own/r.rule <<'RULES'
rule neg_by_mul { doc "" class exact match { y = Neg(x: f32) } replace { y = Mul(x, -1.0) } }
rule wrong_abs { doc "" class exact match { y = Abs(x: f32) } replace { y = Identity(x) } }
RULES
# The reference evaluator, one off wherever it gives floats.
cat >liar.py <<'PY'
import importlib.util, sys
spec = importlib.util.spec_from_file_location("second", sys.argv[1])
second = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)
class Liar(second.ReferenceEvaluator):
    def run(self, names, inputs):
        return [v + 1 if v.dtype.kind == "f" else v for v in super().run(names, inputs)]
second.ReferenceEvaluator = Liar
sys.exit(second.main())
PY

# ---- the reference agrees
run rules test neg_by_mul wrong_abs --rules own --second "$PY $root/tools/second_oracle.py" --json
same "the reference: exit" 10 "$code"
asks "$tmp/out" "the reference" <<'PY'
the right rule holds := [(p["verdict"], p["disputed"], p["instances"] >= 200) for p in d["proofs"] if p["rule"] == "neg_by_mul"] == [("holds", 0, True)]
the wrong one fails := [p["verdict"] for p in d["proofs"] if p["rule"] == "wrong_abs"] == ["fails"]
PY

# ---- a second oracle that disagrees: disputed, on top of the 200 that count
run rules test neg_by_mul wrong_abs --rules own --second "$PY liar.py $root/tools/second_oracle.py" --json
asks "$tmp/out" "a liar" <<'PY'
disputed are counted apart := [p["disputed"] >= 15 and p["instances"] >= 200 for p in d["proofs"] if p["rule"] == "neg_by_mul"] == [True]
what neither of them gives is wrong := [p["verdict"] for p in d["proofs"] if p["rule"] == "wrong_abs"] == ["fails"]
PY
run rules test neg_by_mul --rules own --second "$PY liar.py $root/tools/second_oracle.py"
has "the table shows them" "$out" "DISPUTED"
finish
