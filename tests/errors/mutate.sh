#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Damaged models. Every byte of a small one in-process under the sanitizers (mutate.c); samples of it through the program; samples
# of a real one both ways. No crash, no sanitizer report, and a refusal has an exit code and words.
. "$(dirname "$0")/errors_lib.bash"
models

# The rooms that read models, with the sanitizers: the sanitized build of `make check` when there is one, else a small one.
san=$build/san rooms=()
[[ -f $san/libaipc.a ]] || { san=$build/errors-san; rooms=(ROOMS="base tensor graph"); }
if [[ -n $(san_flags "$build") ]]; then san=$build; else
    # The folder is named as in the Makefile's own calls: other options would compile it anew.
    flock "$helpers/.lock" env -u MAKEFLAGS make -s -C "$root" -j2 BUILD="${san#"$root"/}" "${rooms[@]}" SAN=1 "${san#"$root"/}/libaipc.a" \
        >"$tmp/make.log" 2>&1 || { tail -5 "$tmp/make.log" | not_ok "the sanitized library builds"; finish; }
fi
if [[ ! $san/mutate -nt $san/libaipc.a || ! $san/mutate -nt $here/mutate.c ]]; then
    # shellcheck disable=SC2046
    "${CC:-gcc}" -std=c17 -O1 -g -D_GNU_SOURCE $(san_flags "$san") -fno-sanitize-recover=undefined -I"$root/src" -I"$san/gen" $(cc_flags) \
        "$here/mutate.c" "$san/libaipc.a" $(cc_libs) -lm -ldl -lpthread -o "$san/mutate" || exit 1
fi
mutate() { # NAME ARGS...
    "$san/mutate" "${@:2}" >"$tmp/log" 2>&1
    code=$?
    if ((code)); then not_ok "$1" <"$tmp/log"; else ok "$1: $(sed -n 's/.*: //p' "$tmp/log")"; fi
}
mutate "every byte of a small model" m/good.onnx
mutate "every byte of a model with external data" m/ext_good.onnx
mutate "every byte of a model with symbols" m/symbolic.onnx
real=$(ls "$data"/runtimes/sample-yolov8n-*/320n.onnx 2>/dev/null)
if [[ $real ]]; then mutate "samples of a real model" "$real" "${SAMPLES:-12}"; fi

# flip FILE POSITION TO: one bit; cut FILE BYTES TO
flip() {
    cp "$1" "$3"
    local old
    old=$(od -An -tu1 -j "$2" -N1 "$1")
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((old ^ (1 << ($2 % 8)))))" | dd of="$3" bs=1 seek="$2" conv=notrunc status=none
}
# acceptable CODE: it worked, or the model, an input, a gate, a refusal of the library; never a bug, a crash or a hang
sane() { # NAME
    case $code in
    0) ok "$1 -> 0" ;;
    3 | 4 | 10 | 15)
        if [[ $err == *"aipc: error: "?????* || $out == *"verdict: fail"* ]]; then ok "$1 -> $code"; else echo "no words: $err" | not_ok "$1"; fi ;;
    *) printf 'exit %s\n%s\n' "$code" "$err" | not_ok "$1" ;;
    esac
}
through() { # FILE NAME DEPLOY-OPTIONS...
    run inspect "$1"
    sane "inspect $2"
    if have_runtime; then
        run deploy -q -t cpu -o damaged --timeout 60 --memory 4096 "$1" "${@:3}"
        sane "deploy $2"
    fi
}
size=$(stat -c %s m/good.onnx)
for ((i = 0; i < 40; i++)); do
    at=$((size * i / 40))
    flip m/good.onnx "$at" flipped.onnx
    through flipped.onnx "bit flipped in byte $at"
done
for ((i = 0; i < 8; i++)); do
    at=$((size * i / 8))
    head -c "$at" m/good.onnx >cut.onnx
    through cut.onnx "cut at byte $at"
done
if [[ $real ]]; then
    size=$(stat -c %s "$real")
    for at in 0 7 40 $((size / 3)) $((size / 2)) $((size - 200)) $((size - 9)); do
        flip "$real" "$at" flipped.onnx
        through flipped.onnx "real model, bit flipped in byte $at" --shape images=1,3,320,320
        head -c "$at" "$real" >cut.onnx
        through cut.onnx "real model, cut at byte $at" --shape images=1,3,320,320
    done
fi
finish
