#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at any moment and run again; a store that was damaged; two at once; and how fast the second time is.
. "$(dirname "$0")/errors_lib.bash"
need_runtime "recover"
models
real=$(ls "$data"/runtimes/sample-yolov8n-*/320n.onnx)
photo=$(ls "$data"/runtimes/sample-photos-*/bus.jpg)
yolo=("$real" --shape images=1,3,320,320 -i images="$photo")
RANDOM=${SEED:-4711}
npu_ms=(100 250 400) at_once=("" "--fresh")
if [[ ${AIPC_SAN:-} ]]; then ROUNDS=${ROUNDS:-3} npu_ms=(400) at_once=("--fresh"); fi # five times slower

# What a deployment is worth: the shipped files, the golden outputs, every gate's value.
worth() { # OUT
    (cd "$1" && sha256sum cpu/* golden/*.npy)
    tr -d ' \n' <"$1/manifest.json" | grep -o '"gates":\[[^]]*\]'
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }

start=$(now_ms)
run deploy -q "${yolo[@]}" -o undisturbed
cold=$(($(now_ms) - start))
same "an undisturbed run" "0|" "$code|$err"
want=$(worth undisturbed)
start=$(now_ms)
run deploy -q "${yolo[@]}" -o undisturbed
took=$(($(now_ms) - start))
if ((took < 3000)); then ok "the second time, with nothing changed, takes $took ms (first: $cold ms)"; else echo "$took ms" | not_ok "the second time is fast"; fi
same "and ends well" "0|" "$code|$err"
same "with the same result" "$want" "$(worth undisturbed)"
has "from the store" "$out" "stored"

gone() { # what runs with our cache, after a moment
    local i
    for ((i = 0; i < 100; i++)); do
        [[ -z $(leftovers) ]] && return 0
        sleep 0.02
    done
    ps -fp $(leftovers)
}
for ((round = 1; round <= ${ROUNDS:-10}; round++)); do
    rm -rf "$AIPC_CACHE" killed
    ms=$((round * cold / 11 + RANDOM % (cold / 11 + 1)))
    "$aipc" deploy -q "${yolo[@]}" -o killed >/dev/null 2>&1 &
    pid=$!
    sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    status=$?
    same "killed after $ms ms ($status): its workers go, too" "" "$(gone)"
    if [[ -e killed/manifest.json ]]; then same "killed after $ms ms: a manifest means all is there" "$want" "$(worth killed)"; fi
    run deploy -q "${yolo[@]}" -o killed
    same "killed after $ms ms: run again" "0|" "$code|$err"
    same "killed after $ms ms: the same result" "$want" "$(worth killed)"
    same "killed after $ms ms: scratch folders are swept" "" "$(scratch_of "$pid")$(ls "$AIPC_CACHE/tmp")"
    same "killed after $ms ms: nothing unfinished in the folder" "" "$(find killed -name '*.new' -o -name '*.old' -o -name '.*.tmp')"
done

# The same while the NPU's compiler works; its processes hold two vendor libraries.
if [[ -d $data/runtimes/onnxruntime-qnn-2.7.0 ]]; then
    run deploy -q -i x=m/x.npy -t htp:sm8650 -o npu m/good.onnx
    same "an undisturbed run for an NPU" "0|" "$code|$err"
    npu=$(cd npu && tr -d ' \n' <manifest.json | grep -o '"gates":\[[^]]*\]' && sha256sum golden/*)
    for ms in "${npu_ms[@]}"; do
        rm -rf "$AIPC_CACHE" npu-killed
        "$aipc" deploy -q -i x=m/x.npy -t htp:sm8650 -o npu-killed m/good.onnx >/dev/null 2>&1 &
        pid=$!
        sleep "0.$ms"
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        same "NPU, killed after $ms ms: its workers go, too" "" "$(gone)"
        run deploy -q -i x=m/x.npy -t htp:sm8650 -o npu-killed m/good.onnx
        same "NPU, killed after $ms ms: run again" "0|" "$code|$err"
        same "NPU, killed after $ms ms: the same gates" "$npu" \
            "$(cd npu-killed && tr -d ' \n' <manifest.json | grep -o '"gates":\[[^]]*\]' && sha256sum golden/*)"
    done
fi

# A worker is killed, not aipc: that is a crash, and it says so.
rm -rf "$AIPC_CACHE"
"$aipc" deploy -q "${yolo[@]}" -o worker >/dev/null 2>"$tmp/err" &
pid=$!
for ((i = 0; i < 300; i++)); do
    child=$(pgrep -P "$pid" | head -n 1)
    [[ $child ]] && break
    sleep 0.01
done
sleep 0.1
kill -9 "$child"
wait "$pid"
same "a killed worker is a crash" 12 $?
has "it names the signal" "$(<"$tmp/err")" "died of signal 9 (Killed)"
same "nothing is left of it" "" "$(gone)"

# Ctrl-C. A shell's background jobs ignore it unless told otherwise.
env --default-signal=INT "$aipc" deploy -q "${yolo[@]}" -o interrupted >/dev/null 2>"$tmp/err" &
pid=$!
sleep 0.25
kill -INT "$pid"
wait "$pid"
code=$?
if [[ $code == 130 ]]; then ok "interrupted: exit 130"; else echo "$code: $(<"$tmp/err")" | not_ok "interrupted: exit 130"; fi
same "interrupted: its workers go, too" "" "$(gone)"
run deploy -q "${yolo[@]}" -o again
same "after all that" "0|" "$code|$err"
same "and scratch folders are swept" "" "$(scratch_of "$pid")$(ls "$AIPC_CACHE/tmp")"
objects=("$AIPC_CACHE"/objects/*)
same "the store holds golden run, build and comparison" 3 "${#objects[@]}"
for object in "${objects[@]}"; do
    stage=$(tr -d ' \n' <"$object/record.json" | grep -o '"stage":{"stage":"[a-z]*' | sed 's/.*"//')
    [[ $stage ]] || stage=$(tr -d ' \n' <"$object/record.json" | grep -o '"stage":"[a-z]*' | head -n 1 | sed 's/.*"//')
    for file in $(ls "$object"); do
        truncate -s -1 "$object/$file"
        run deploy -q "${yolo[@]}" -o again
        same "$stage: $file lost a byte" "0|" "$code|$err"
        rm "$object/$file"
        run deploy -q "${yolo[@]}" -o again
        same "$stage: $file is gone" "0|" "$code|$err"
        same "$stage: $file: the same result" "$want" "$(worth again)"
    done
    rm -r "$object" && : >"$object"
    run deploy -q "${yolo[@]}" -o again
    same "$stage: a file where the folder should be" 0 "$code"
    rm -rf "$object"
    echo '{"files": [{"file": "../../../../etc/passwd", "bytes": 1}]}' | (mkdir "$object" && cat >"$object/record.json")
    run deploy -q "${yolo[@]}" -o again
    same "$stage: a record that climbs out" "0|" "$code|$err"
done

# Two and four at once, a cold store, folders of their own.
for options in "${at_once[@]}"; do
    rm -rf "$AIPC_CACHE" at-once-*
    pids=()
    for i in 1 2 3 4; do
        # shellcheck disable=SC2086
        "$aipc" deploy -q $options "${yolo[@]}" -o "at-once-$i" >/dev/null 2>"at-once-$i.err" &
        pids+=($!)
    done
    for i in 1 2 3 4; do
        wait "${pids[i - 1]}"
        same "four at once ${options:+with $options }($i)" "0|" "$?|$(<"at-once-$i.err")"
        same "four at once ${options:+with $options }($i): the same result" "$want" "$(worth "at-once-$i")"
    done
    same "four at once: nothing is left in the store's tmp" "" "$(ls "$AIPC_CACHE/tmp")"
done
finish
