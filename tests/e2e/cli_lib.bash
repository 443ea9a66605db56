# SPDX-License-Identifier: Apache-2.0
# Sourced by cli_*.sh: counts, and the things every check compares. Not a test itself.
# Each script takes the program from $AIPC (default build/aipc), prints `ok NAME` or `not ok NAME`, and ends with 1 when
# anything failed.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
aipc=${AIPC:-$root/build/aipc}
case $aipc in /*) ;; *) aipc=$PWD/$aipc ;; esac
tmp=$(mktemp -d "${TMPDIR:-/tmp}/aipc-cli.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
unset NO_COLOR
failed=0

ok() { echo "ok $1"; }
not_ok() { # name, details on stdin
    echo "not ok $1"
    sed 's/^/  # /'
    failed=1
}
# same NAME EXPECTED ACTUAL
same() {
    if [[ $2 == "$3" ]]; then ok "$1"; else diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | not_ok "$1"; fi
}
# has NAME TEXT PART: TEXT contains PART
has() {
    if [[ $2 == *"$3"* ]]; then ok "$1"; else printf 'no "%s" in:\n%s\n' "$3" "$2" | not_ok "$1"; fi
}
# run ARGS...: sets $code, $out, $err
run() {
    "$aipc" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$?
    out=$(<"$tmp/out") err=$(<"$tmp/err")
}
# fails NAME EXPECTED_ERR ARGS...: a usage error: code 2, empty stdout, exact text on stderr
fails() {
    local name=$1 want=$2
    shift 2
    run "$@"
    same "$name" "2||$want" "$code|$out|$err"
}
# json NAME FILE: FILE is one JSON document
json() {
    if ! command -v python3 >/dev/null; then echo "ok $1 # skipped: no python3"; return; fi
    if python3 -m json.tool "$2" >/dev/null 2>"$tmp/json"; then ok "$1"; else not_ok "$1" <"$tmp/json"; fi
}
finish() { exit "$failed"; }
