#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The libonnxruntime.so.1 that stands before the real one: programs of every kind get the artifact's answer, or the
# original's, and never notice which.
. "$(dirname "$0")/deploy_lib.bash"
need onnxruntime
if [[ -n ${AIPC_SAN:-} ]]; then
    echo "ok dropin # skipped: a sanitized library cannot be loaded into programs that are not"
    finish
fi
make_nets
real=$(dirname "$(compgen -G "$data/runtimes/onnxruntime-[0-9]*/libonnxruntime.so.1" | tail -n 1)")
dropin=$build/dropin
unset LD_LIBRARY_PATH LD_PRELOAD AIPC_ORT AIPC_ARTIFACTS AIPC_TARGET AIPC_STRICT
export AIPC_PROGRAM=$aipc
deploy 0 two two-io.onnx --target cpu
deploy 0 large large.onnx --target cpu
deploy 0 dyn dynamic.onnx --target cpu --shape x=1,16

# build_app NAME LIBRARY_FLAGS...
build_app() {
    local name=$1
    shift
    "${CC:-gcc}" -std=c17 -D_GNU_SOURCE -Wall -Wextra -O1 -g -I"$root/src" "$root/tests/e2e/dropin_app.c" "$@" -ldl -o "$tmp/$name" 2>"$tmp/log" ||
        not_ok "$name compiles" <"$tmp/log"
}
# stub RELEASE: a library with that release's symbol version, to link with
stub() {
    mkdir -p "$tmp/stub-$1"
    echo "VERS_$1 { global: OrtGetApiBase; local: *; };" >"$tmp/stub-$1/map"
    echo 'const void *OrtGetApiBase(void); const void *OrtGetApiBase(void) { return 0; }' |
        "${CC:-gcc}" -x c -shared -fPIC -Wl,-soname,libonnxruntime.so.1 -Wl,--version-script="$tmp/stub-$1/map" - -o "$tmp/stub-$1/libonnxruntime.so.1"
}
# says NAME WANT_LAST_OF_STDERR COMMAND...: stdout equals the real library's in $tmp/plain, stderr ends with this
says() {
    local name=$1 want=$2
    shift 2
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    same "$name: output" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/out")"
    same "$name: stderr" "$want" "$(sed "s|$tmp|TMP|g" "$tmp/err")"
}
served="aipc: served 1 of 1 calls; two 1 by TMP/two (cpu)"
two=$nets/two-io.onnx
app_exec() { "$aipc" exec --artifacts "$tmp/two" -- "$@"; }

# ---- linked, by name, with an RPATH
stub 1.31.1
build_app linked "$tmp/stub-1.31.1/libonnxruntime.so.1"
build_app named -DBY_NAME
build_app rpath "$tmp/stub-1.31.1/libonnxruntime.so.1" -Wl,--disable-new-dtags,-rpath,"$real"
LD_LIBRARY_PATH=$real "$tmp/linked" "$two" >"$tmp/plain" 2>"$tmp/err"
has "the program runs with the real library" "$(<"$tmp/plain")" "elements, "
says "linked" "$served" app_exec "$tmp/linked" "$two"
says "by dlopen" "$served" app_exec "$tmp/named" "$two"
says "RPATH without LD_PRELOAD: the original answers" "aipc: served nothing: nothing below this command uses torch, or onnxruntime from a place aipc reaches" app_exec "$tmp/rpath" "$two"
says "RPATH with LD_PRELOAD" "$served" env LD_PRELOAD="$dropin/libonnxruntime.so.1" "$aipc" exec --artifacts "$tmp/two" -- "$tmp/rpath" "$two"
says "the real library next on the library path" "" env LD_LIBRARY_PATH="$dropin:$real" AIPC_DATA=/nonexistent "$tmp/linked" "$two"
says "the real library by AIPC_ORT" "" env LD_LIBRARY_PATH="$dropin" AIPC_DATA=/nonexistent AIPC_ORT="$real/libonnxruntime.so.1" "$tmp/linked" "$two"
says "without the program in between" "" env LD_LIBRARY_PATH="$dropin" AIPC_ARTIFACTS="$tmp/two" AIPC_STRICT=1 "$tmp/linked" "$two"

# ---- releases
for release in 1.0.0 1.16.3 1.28.2 1.30.0; do
    stub $release
    build_app "linked-$release" "$tmp/stub-$release/libonnxruntime.so.1"
    says "linked with release $release" "$served" app_exec "$tmp/linked-$release" "$two"
done
stub 9.9.9
build_app linked-9 "$tmp/stub-9.9.9/libonnxruntime.so.1"
LD_LIBRARY_PATH=$dropin "$tmp/linked-9" "$two" >"$tmp/out" 2>"$tmp/err"
same "an unknown release is refused by the loader" 1 $?
LD_LIBRARY_PATH=$dropin/compat AIPC_ARTIFACTS=$tmp/two AIPC_STRICT=1 "$tmp/linked-9" "$two" >"$tmp/out" 2>"$tmp/err"
same "and runs with the build without versions" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/out")"
for interface in 1 7 16; do
    LD_LIBRARY_PATH=$real "$tmp/linked" "$two" $interface >"$tmp/plain"
    says "interface $interface" "$served" app_exec "$tmp/linked" "$two" $interface
done
LD_LIBRARY_PATH=$dropin "$tmp/linked" "$two" 900 >"$tmp/out" 2>"$tmp/err"
same "an interface the real library has not" "4|1" "$?|$(grep -c 'interface 900 refused' "$tmp/out")"

# ---- ways of running
for way in bytes given subset fork; do
    LD_LIBRARY_PATH=$real "$tmp/linked" "$two" 16 $way >"$tmp/plain"
    case $way in
    given) want=${served//1 of 1/2 of 2} want=${want/two 1 by/two 2 by} ;;
    fork) want=${served//1 of 1/3 of 3} want=${want/two 1 by/two 3 by} ;;
    *) want=$served ;;
    esac
    says "$way" "$want" app_exec "$tmp/linked" "$two" 16 $way
done

# ---- answers that are lent
large=$nets/large.onnx
for way in file given subset fork keep; do
    LD_LIBRARY_PATH=$real "$tmp/linked" "$large" 16 $way >"$tmp/plain"
    case $way in keep) n=73 ;; fork) n=3 ;; given) n=2 ;; *) n=1 ;; esac
    says "large, $way" "aipc: served $n of $n calls; large $n by TMP/large (cpu)" "$aipc" exec --artifacts "$tmp/large" -- "$tmp/linked" "$large" 16 $way
done

# ---- what was not deployed
dyn=$nets/dynamic.onnx
LD_LIBRARY_PATH=$real "$tmp/linked" "$dyn" 16 other >"$tmp/plain" 2>/dev/null
"$aipc" exec --artifacts "$tmp/dyn" -- "$tmp/linked" "$dyn" 16 other >"$tmp/out" 2>"$tmp/err"
same "another shape: the original answers" "0|$(<"$tmp/plain")" "$?|$(<"$tmp/out")"
same "and one line says so" 1 "$(grep -c 'dyn is not served: a run with float32 5x16 was not deployed' "$tmp/err")"
"$aipc" exec --strict --artifacts "$tmp/dyn" -- "$tmp/linked" "$dyn" 16 other >"$tmp/out" 2>"$tmp/err"
same "--strict fails" 1 $?
has "with the reason" "$(<"$tmp/out")" "was not deployed"
LD_LIBRARY_PATH=$real "$tmp/linked" "$dyn" 16 file >"$tmp/plain" 2>/dev/null

# ---- no real library
LD_LIBRARY_PATH=$dropin AIPC_DATA=/nonexistent "$tmp/linked" "$two" >"$tmp/out" 2>"$tmp/err"
same "no real library" "4|release 0.0.0, interface 29 refused" "$?|$(<"$tmp/out")"
has "it says what to do" "$(<"$tmp/err")" "set AIPC_ORT"
LD_LIBRARY_PATH=$dropin AIPC_ORT=$dropin/compat/libonnxruntime.so.1 "$tmp/linked" "$two" >"$tmp/out" 2>"$tmp/err"
same "a drop-in is no real library" 4 $?

# ---- both ways
mkdir "$tmp/empty"
(cd "$tmp/empty" && LD_LIBRARY_PATH=$real "$aipc" verify --artifacts "$tmp/two" -- "$tmp/linked" "$two") >"$tmp/out" 2>"$tmp/err" </dev/null
same "aipc verify of a C program" "0|" "$?|$(<"$tmp/err")"
has "its calls were served" "$(<"$tmp/out")" "served: 1 of 1 calls"

# ---- what it exports
same "every release of the list" 246 "$(nm -D "$dropin/libonnxruntime.so.1" | grep -c 'OrtGetApiBase@')"
same "nothing else" "" "$(nm -D --defined-only "$dropin/libonnxruntime.so.1" | grep -vE ' (OrtGetApiBase|OrtSessionOptionsAppendExecutionProvider_[A-Za-z]+)@| A VERS_')"
finish
