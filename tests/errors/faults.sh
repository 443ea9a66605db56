#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A vendor library that crashes, hangs, eats memory, prints and writes garbage: each is one error of its own with the library's last
# words, at any moment, and nothing of it stays behind. The library is fake_ort.c, installed like a runtime.
. "$(dirname "$0")/errors_lib.bash"
need_runtime "faults"
models
real=$data/runtimes/onnxruntime-1.31.1
fake=$tmp/fake-data/runtimes/onnxruntime-1.31.1
mkdir -p "$fake" "$helpers"
"${CC:-gcc}" -std=c17 -O1 -fPIC -shared -Wall -Wextra -Werror -D_GNU_SOURCE "$here/fake_ort.c" -ldl -o "$fake/libonnxruntime.so.1.31.1" || exit 1
# Everything but the library's own bytes is as the record says; a deployment looks at sizes.
truncate -s "$(stat -L -c %s "$real/libonnxruntime.so.1.31.1")" "$fake/libonnxruntime.so.1.31.1"
ln -s libonnxruntime.so.1.31.1 "$fake/libonnxruntime.so.1"
for f in "$real"/*; do [[ -e $fake/${f##*/} ]] || cp "$f" "$fake/"; done
export FAKE_ORT_REAL=$real/libonnxruntime.so.1
case_env=("AIPC_DATA=$tmp/fake-data")

AIPC_DATA=$tmp/fake-data run deploy -q -i x=m/x.npy -o plain m/good.onnx
same "without a fault the fake library works" "0|" "$code|$err"
rm -rf "$AIPC_CACHE"
start=$SECONDS
cases "$here/faults.cases"
AIPC_DATA=$tmp/fake-data FAKE_ORT=stdout FAKE_ORT_AT=run run deploy -q -i x=m/x.npy -o o m/good.onnx
same "garbage on stdout disturbs nothing" "0|" "$code|$err"
has "it is in the log" "$(tail -n 1 o/logs/cpu-golden.log | tr -d '\001\377')" "garbage on stdout, line 999"
took=$((SECONDS - start))
if ((took < 60)); then ok "all faults in $took s"; else echo "$took s" | not_ok "no fault takes long"; fi

# Golden and build are stored; the fault comes when the target's own runs begin, or when it is loaded again.
rm -rf "$AIPC_CACHE"
run deploy -q -i x=m/x.npy -o good m/good.onnx
same "a good deployment" "0|" "$code|$err"
forget() { # STAGE...: throws those results out of the store
    local s r
    for s in "$@"; do
        for r in "$AIPC_CACHE"/objects/*/record.json; do
            if tr -d ' \n' <"$r" | grep -q "\"stage\":{\"stage\":\"$s\""; then rm -rf "${r%/*}"; fi
        done
    done
}
forget align
# The runs and the reload go side by side: which of the two fails first is chance.
case_sed=(-e 's/reload in a fresh process: //; s/cpu-reload/cpu-build/')
cases "$here/faults_align.cases"
forget build align
cases "$here/faults_build.cases"
run deploy -q -i x=m/x.npy -o good m/good.onnx
same "and after all of them, the real library goes on" "0|" "$code|$err"

# Other doors to the library.
for fault in crash garbage; do
    AIPC_DATA=$tmp/fake-data FAKE_ORT=$fault run run good --input x=m/x.npy -o outputs
    want=$([[ $fault == crash ]] && echo 12 || echo 15)
    same "run, $fault" "$want" "$code"
    AIPC_DATA=$tmp/fake-data FAKE_ORT=$fault run profile good
    same "profile, $fault" "$want" "$code"
    AIPC_DATA=$tmp/fake-data FAKE_ORT=$fault run doctor
    same "doctor, $fault" 6 "$code"
    has "doctor goes on to its other checks after a $fault" "$out" "target"
done
AIPC_DATA=$tmp/fake-data run doctor
same "doctor sees that the library is not the pinned one" 6 "$code"
has "doctor names both hashes" "$out" "expected"

left=$(leftovers)
if [[ -z $left ]]; then ok "no process is left"; else ps -fp $left | not_ok "no process is left"; fi
# Of dead processes. Other tests kill theirs meanwhile; the next run sweeps what those leave, so only what stays counts.
for try in 1 2 3 4 5; do
    left=$(ls -d /dev/shm/aipc-* 2>/dev/null | while read -r d; do [[ -d /proc/$(cut -d- -f2 <<<"${d##*/}") ]] || echo "$d"; done)
    [[ -n $left ]] || break
    AIPC_DATA=$tmp/fake-data run doctor
done
if [[ -z $left ]]; then ok "no scratch folder is left"; else echo "$left" | not_ok "no scratch folder is left"; fi
finish
