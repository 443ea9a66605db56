#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Graphs the vendor's library refuses or computes wrong: surgery repairs them, the report names each repair, a second run
# is instant, and the plan makes the same model again.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime onnxruntime-qnn
make_nets

# repaired NAME MODEL NODE OP VERDICT ARGS...
repaired() {
    local name=$1 model=$2 node=$3 op=$4 verdict=$5
    shift 5
    deploy 0 "$name" "$model.onnx" --target htp:sm8650 "$@"
    asks "$tmp/$name/report.json" "$name" <<PY
verdict := d["verdict"] == "pass"
a stage of its own := t["stages"][0]["stage"] == "surgery" and t["stages"][0]["verdict"] == "pass"
the need := any(n["node"] == "$node" and n["op"] == "$op" and n["verdict"] == "$verdict" for n in t["repairs"]["needs"])
the repair := any("$node" in r["nodes"] and r["rules"] for r in t["repairs"]["repairs"])
a reason for each := all(r["why"] for r in t["repairs"]["repairs"])
nothing is left := t["repairs"]["left"] == [] and t["repairs"]["cpu"] == []
no node on the CPU := t["placement"]["share"] == 1
how it was before := t["repairs"]["before"]["error"]["code"] in ("backend-refused", "gate-failed")
what changed := any(r["mark"] in "-+~" for r in t["repairs"]["changes"]["rows"])
gates hold against the original := all(g["verdict"] != "fail" for g in t["gates"])
the plan ships := [f["role"] for f in t["artifact"]["files"]].count("plan") == 1
PY
    has "$name: the summary names the repair" "$out" "repaired $op $node"
    has "$name: the page too" "$(cat "$tmp/$name/report.md")" "### Repairs"
    run apply "$nets/$model.onnx" "$tmp/$name/htp-sm8650/plan.json" -o "$tmp/$name.again.onnx"
    same "$name: apply" 0 "$code"
    asks "$tmp/$name/htp-sm8650/plan.json" "$name: apply" <<PY
the same bytes := __import__("hashlib").sha256(open("$tmp/$name.again.onnx", "rb").read()).hexdigest() == d["result"]["sha256"]
PY
    deploy 0 "$name" "$model.onnx" --target htp:sm8650 "$@"
    asks "$tmp/$name/report.json" "$name: second run" <<'PY'
from the store := all(s["cached"] for s in t["stages"] if s["stage"] in ("surgery", "build", "align", "trace"))
at once := d["time"]["wall_s"] < 2
no vendor call := d["time"]["vendor_s"] == 0
PY
    run run "$tmp/$name" -o "$tmp/$name-ran"
    same "$name: it runs" 0 "$code"
}
repaired wrong-pool wrong-pool pool AveragePool wrong --input "x=$nets/x9.npy"
repaired wrong-resize wrong-resize up Resize wrong --input "x=$nets/x9.npy"
repaired mod refused-mod mod Mod refused --input "x=$nets/x9.npy"
repaired cumsum refused-cumsum sum CumSum refused --input "x=$nets/x9.npy"
repaired dynamic refused-dynamic sum CumSum refused --shape batch=2

# ---- uint16 activations: SiLU behind a convolution is taken, and wrong on maps of 9 to 12 rows; each node is right on its own
repaired silu wrong-silu silu0 Mul wrong --input "x=$nets/x9.npy"
asks "$tmp/silu/report.json" "silu" <<'PY'
as it is the numbers are far off := [g["value"] < 15 for g in t["repairs"]["before"]["gates"] if g["metric"] == "sqnr_db"] == [True]
afterwards they are not := t["metrics"]["silu2.d"]["sqnr_db"] > 50
each of the three := len(t["repairs"]["repairs"]) == 3
no other rule was needed := {x for r in t["repairs"]["repairs"] for x in r["rules"]} == {"silu_flat_quantised"}
PY
run rules why "$nets/wrong-silu.onnx" --target htp:sm8650 --json
asks "$tmp/out" "silu: why" <<'PY'
wrong where it stands := all(n["verdict"] == "wrong" and "with what makes its operands" in n["reason"] for n in d["nodes"] if n["op"] == "Mul")
and the chain that helps := {tuple(n["chain"]) for n in d["nodes"] if n["op"] == "Mul"} == {("silu_flat_quantised",)}
PY
deploy 0 silu-contrib wrong-silu-contrib.onnx --target htp:sm8650 --input "x=$nets/x9.npy"
asks "$tmp/silu-contrib/report.json" "silu, as ONNX Runtime's quantizer writes it" <<'PY'
afterwards the numbers are right := t["metrics"]["silu2.d"]["sqnr_db"] > 50
by the same rule := {x for r in t["repairs"]["repairs"] for x in r["rules"]} == {"silu_flat_quantised_contrib"}
PY
deploy 0 silu-16 silu.onnx --target htp:sm8650
asks "$tmp/silu-16/report.json" "silu, 16 rows" <<<'right as it is := t["repairs"] is None and t["metrics"]["silu2.d"]["sqnr_db"] > 50'

# ---- the same through aipc surgery
run surgery "$nets/refused-mod.onnx" --target htp:sm8650 -o "$tmp/mod.json" --save "$tmp/mod.onnx" --json
same "surgery --target" 0 "$code"
cp "$tmp/out" "$tmp/mod.doc"
asks "$tmp/mod.doc" "surgery --target" <<'PY'
passed := d["passed"]
its repair := d["repairs"]["repairs"][0]["op"] == "Mod"
rules in the plan := [s["kind"] for s in d["steps"]].count("rule") >= 1
PY
run apply "$nets/refused-mod.onnx" "$tmp/mod.json" -o "$tmp/mod.again.onnx"
same "its plan gives the same bytes" 0 "$(cmp -s "$tmp/mod.onnx" "$tmp/mod.again.onnx"; echo $?)"
run surgery "$nets/refused-mod.onnx" --target cpu
same "the cpu needs no repair" 2 "$code"

run surgery "$nets/refused-unique.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" --json
same "surgery of what cannot be repaired" 11 "$code"
has "surgery of what cannot be repaired: the way out" "$err" "next: --allow-cpu lets them run on the CPU"
cp "$tmp/out" "$tmp/unique.doc"
asks "$tmp/unique.doc" "surgery of what cannot be repaired" <<'PY'
the smallest graphs are there := all(os.path.exists(l["model"]) for l in d["repairs"]["left"]) and len(d["repairs"]["left"]) == 2
PY
run surgery "$nets/refused-unique.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" --allow-cpu
same "surgery --allow-cpu" 0 "$code"
has "surgery --allow-cpu: named" "$out" "on the CPU: 2 nodes: unique, most"

# ---- a plan that no longer holds
sed 's/"hash":"......../"hash":"00000000/' "$tmp/mod.json" >"$tmp/stale.json"
run apply "$nets/refused-mod.onnx" "$tmp/stale.json" -o "$tmp/stale.onnx"
same "a rule that has changed" 10 "$code"
same "nothing is written" no "$([[ -e $tmp/stale.onnx ]] && echo yes || echo no)"
run apply "$nets/refused-cumsum.onnx" "$tmp/mod.json" -o "$tmp/stale.onnx"
same "another model" 10 "$code"

# ---- what cannot be repaired: what was tried, the smallest graph, the way out
deploy 11 left refused-unique.onnx --target htp:sm8650 --input "x=$nets/x9.npy"
asks "$tmp/left/report.json" "left" <<PY
all refused nodes are named := [l["node"] for l in t["repairs"]["left"]] == ["unique", "most"]
with the words of the target := "Unique" in t["repairs"]["left"][0]["reason"]
with the reason no rule helps := t["repairs"]["left"][0]["why_not"] == "the size of its output 'u' depends on the data"
no gate is passed and no artifact there := t["verdict"] == "fail" and not os.path.exists("$tmp/left/manifest.json")
PY
has "left: the summary says so" "$out" "left Unique unique (refused)"
run inspect "$tmp/left/htp-sm8650-left/left-0.onnx" --json
asks "$tmp/out" "left: the smallest graph" <<'PY'
one node := d["nodes"] == 1 and d["ops"] == {"Unique": 1}
PY
deploy 0 left-cpu refused-unique.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --allow-cpu
asks "$tmp/left-cpu/report.json" "left, with --allow-cpu" <<'PY'
they run on the CPU, named := t["repairs"]["cpu"] == ["unique", "most"]
what stays is told all the same := [l["node"] for l in t["repairs"]["left"]] == ["unique", "most"]
the interface is judged by the whole := [g["verdict"] for g in t["gates"] if g["metric"] == "contract"] == ["pass"]
PY
has "left, with --allow-cpu: counted" "$out" "on the CPU: 2 nodes: unique, most"
has "left, with --allow-cpu: the page too" "$(cat "$tmp/left-cpu/report.md")" "On the CPU (2): unique, most"
run run "$tmp/left-cpu" -o "$tmp/left-cpu-ran"
same "left, with --allow-cpu: it runs" 0 "$code"
deploy 0 cpu refused.onnx --target htp:sm8650 --input "x=$nets/x9.npy" --allow-cpu
asks "$tmp/cpu/report.json" "--allow-cpu" <<'PY'
what can be repaired is := [r["op"] for r in t["repairs"]["repairs"]] == ["Trilu"]
what cannot is named := t["repairs"]["cpu"] == ["hard"]
the share shows it := t["placement"]["share"] < 1 and [g["user_set"] for g in t["gates"] if g["metric"] == "share_on_target"] == [True]
it is no secret := any("left to the CPU" in s for s in t["not_proved"])
PY
has "--allow-cpu: the summary says so" "$out" "on the CPU: 1 node: hard"
run run "$tmp/cpu" -o "$tmp/cpu-ran"
same "--allow-cpu: it runs" 0 "$code"

# ---- killed in the middle: the next run goes on as if nothing had been
AIPC_CACHE=$tmp/cache-killed setsid "$aipc" deploy "$nets/wrong-resize.onnx" --target htp:sm8650 --input "x=$nets/x9.npy" -o "$tmp/killed" \
    >/dev/null 2>&1 &
victim=$!
for _ in $(seq 100); do
    sleep 0.05
    [[ -e $tmp/killed/logs/htp-sm8650-repair.log ]] && break
done
kill -9 -- -$victim 2>/dev/null
wait $victim 2>/dev/null
export AIPC_CACHE=$tmp/cache-killed
deploy 0 killed wrong-resize.onnx --target htp:sm8650 --input "x=$nets/x9.npy"
asks "$tmp/killed/report.json" "after a kill" <<'PY'
repaired := [r["op"] for r in t["repairs"]["repairs"]] == ["Resize"]
PY
finish
