#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bugs of the library that were fixed; each has its own small program here.
. "$(dirname "$0")/../errors/errors_lib.bash"
need_runtime "library"
models
run deploy -q -i x=m/x.npy -o good m/good.onnx
same "a good artifact" "0|" "$code|$err"
for program in open_in_thread; do
    # shellcheck disable=SC2046
    "${CC:-gcc}" -std=c17 -g -Wall -Wextra -Werror -D_GNU_SOURCE $(san_flags "$build") -I"$root/include" "$root/tests/regress/$program.c" \
        "$build/libaipc.a" $(cc_libs) -lm -ldl -lpthread -o "$tmp/$program" || { echo "not ok $program compiles"; failed=1; continue; }
    AIPC_PROGRAM=$aipc "$tmp/$program" good || failed=1
done
finish
