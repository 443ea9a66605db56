# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/errors/*.sh: the helpers' binaries, the bad models, and a check of exit code and text. Not a test itself.
#
# Beside $AIPC (default build/aipc) the tests take $AIPC_DATA with the runtimes installed (default .deps/data); what needs a
# runtime is skipped, with that reason, where it is missing. Every script has its own cache, and no network.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../e2e/cli_lib.bash"
build=$(dirname "$aipc")
helpers=$build/tests/errors
data=${AIPC_DATA:-$root/.deps/data}
export AIPC_DATA=$data AIPC_CACHE=$tmp/cache AIPC_WHEELS=$tmp/no-wheels
mkdir -p "$AIPC_WHEELS"
cd "$tmp" || exit 1

cc_flags() { pkg-config --cflags libprotobuf-c jansson; }
cc_libs() { pkg-config --libs libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3; }
# A sanitized library wants sanitized helpers.
san_flags() { if nm -a "$1/libaipc.a" 2>/dev/null | grep -q -m1 __asan_init; then echo "-fsanitize=address -fsanitize=undefined"; fi; }

# helper NAME: compiles tests/errors/NAME.c against the library when it is older than its parts; several scripts may want it.
helper() {
    mkdir -p "$helpers"
    (
        flock 9
        if [[ $helpers/$1 -nt $here/$1.c && $helpers/$1 -nt $build/libaipc.a ]]; then exit 0; fi
        # shellcheck disable=SC2046
        "${CC:-gcc}" -std=c17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE $(san_flags "$build") -I"$root/src" -I"$root/include" \
            -I"$build/gen" $(cc_flags) "$here/$1.c" "$build/libaipc.a" $(cc_libs) -lm -ldl -lpthread -o "$helpers/$1"
    ) 9>"$helpers/.lock" || { echo "not ok helper $1 compiles"; exit 1; }
}
models() { # the bad models, in $tmp/m
    helper make_models
    "$helpers/make_models" "$tmp/m" || { echo "not ok models are made"; exit 1; }
}

# refused NAME EXIT EXPECTED_STDERR ARGS...: exit code, exact text, nothing on stdout. The test's own folder reads as TMP in the text.
refused() {
    local name=$1 want_code=$2 want=$3
    shift 3
    run "$@"
    local got=${err//"$tmp"/TMP}
    got=${got//"$data"/DATA}
    same "$name: exit $want_code" "$want_code||$want" "$code|$out|$got"
}
have_runtime() { [[ -f $data/runtimes/onnxruntime-1.31.1/record.json ]]; }
# need_runtime NAME...: ends the script well when there is none.
need_runtime() {
    if have_runtime; then return; fi
    echo "ok $1 # skipped: no ONNX Runtime in $data"
    finish
}
# Our children that are still there: every worker runs with this AIPC_CACHE in its environment.
leftovers() {
    local p
    for p in /proc/[0-9]*; do
        if grep -qz "^AIPC_CACHE=$AIPC_CACHE\$" "$p/environ" 2>/dev/null && [[ $(readlink "$p/exe") == "$aipc" ]]; then echo "${p#/proc/}"; fi
    done
}
# Scratch folders of process $1.
scratch_of() { ls -d /dev/shm/aipc-"$1"-* "${TMPDIR:-/tmp}"/aipc-"$1"-* 2>/dev/null; }

# Runs every case of a file and compares exit code and text. A case:
#     # what it is
#     $ ARGS of aipc, as in a shell, with VAR=VALUE in front where one is needed
#     EXIT
#     what it says on stderr, to the next empty line
# stdout must be empty, but for the table of a deployment that failed half-way. UPDATE=1 writes the file anew: read the difference.
case_env=()         # more VAR=VALUE for every case
case_sed=(-e '')    # more to make alike in what it says
one_case() { # name, command line, expected -> $block is what came
    local env=() line=$2 got
    while [[ $line =~ ^([A-Z_]+=[^ ]*)\ (.*)$ ]]; do
        env+=("${BASH_REMATCH[1]//TMP/$tmp}")
        line=${BASH_REMATCH[2]}
    done
    local args
    eval "args=($line)"
    env ${env[@]+"${env[@]}"} ${case_env[@]+"${case_env[@]}"} "$aipc" "${args[@]}" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$? out=$(<"$tmp/out")
    got=$(sed -e "s|$tmp|TMP|g; s|$data|DATA|g; s|$root|ROOT|g; s/process [0-9]\{2,\}/process PID/g; s/stage-[0-9]*-[0-9a-f]*/stage-ID/g" \
        -e 's/ uses [0-9]* MiB/ uses N MiB/; s/ sent [0-9]* bytes/ sent N bytes/; /AddressSanitizer failed to allocate/d; /^ *$/d' "${case_sed[@]}" "$tmp/err")
    if [[ -n $out && $out != *"verdict: fail"* ]]; then got+=$'\n'"(stdout is not empty)"; fi
    block=$code${got:+$'\n'}$got
    if [[ ${UPDATE:-0} == 1 ]]; then ok "$1"; else same "$1" "$3" "$block"; fi
}
cases() { # FILE
    local name="" command="" want="" line new="" head=""
    while IFS= read -r line || [[ -n $line ]]; do
        case $line in
        "#!"*) head+=$line$'\n' ;;
        "# "*) name=${line#\# } ;;
        '$ '*) command=${line#\$ } want="" ;;
        "") if [[ -n $command ]]; then
            one_case "$name" "$command" "$want"
            new+="# $name"$'\n'"\$ $command"$'\n'"$block"$'\n\n'
            command=""
        fi ;;
        *) want+=${want:+$'\n'}$line ;;
        esac
    done < <(cat "$1"; echo)
    if [[ ${UPDATE:-0} == 1 ]]; then printf '%s%s' "$head" "${new%$'\n'}" >"$1"; fi
}
