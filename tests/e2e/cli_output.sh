#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stdout is the result, stderr the talk: JSON, pipes, colour, full disks.
. "$(dirname "$0")/cli_lib.bash"

escape=$'\033'
export AIPC_DATA=$tmp/data AIPC_CACHE=$tmp/cache

run targets --json
same "targets --json" "0|" "$code|$err"
json "targets --json is JSON" "$tmp/out"
run --json targets
json "--json in front of the command" "$tmp/out"
run runtime list --json
same "runtime list --json" "0" "$code"
json "runtime list --json is JSON" "$tmp/out"
run runtime list
has "runtime list shows the licence" "$out" LICENCE

run targets
has "targets lists cpu" "$out" cpu
for words in targets "runtime list" help "deploy --help"; do
    # shellcheck disable=SC2086
    run $words
    if [[ $out$err == *$escape* ]]; then not_ok "no colour in a pipe: $words" <"$tmp/out"; else ok "no colour in a pipe: $words"; fi
done
run targets --color=always
has "--color=always colours a pipe" "$out" "$escape["
same "colours are all that differs" "$("$aipc" targets)" "$(sed "s/$escape\[[0-9]*m//g" "$tmp/out")"
run --color never targets
same "--color=never is plain" "$("$aipc" targets)" "$out"
trailing=$("$aipc" targets | grep -c ' $')
same "no blanks at line ends" 0 "$trailing"

run targets --names
same "targets --names ends well" "0|" "$code|$err"
if grep -vqE '^[a-z]+(:[a-z0-9_+-]+)?$' "$tmp/out"; then not_ok "one target a line" <"$tmp/out"; else ok "one target a line"; fi
if grep -qx cpu "$tmp/out"; then ok "cpu is a target"; else not_ok "cpu is a target" <"$tmp/out"; fi

# A reader that goes away is no error to talk about.
"$aipc" help --man 2>"$tmp/err" | head -1 >/dev/null
status=${PIPESTATUS[0]}
if [[ $status == 141 || $status == 0 ]]; then ok "a closed pipe ends quietly"; else echo "$status" | not_ok "a closed pipe ends quietly"; fi
same "a closed pipe gives no message" "" "$(<"$tmp/err")"

if [[ -w /dev/full ]]; then
    "$aipc" targets >/dev/full 2>"$tmp/err"
    same "a full disk is an error" "7|aipc: error: cannot write the result: No space left on device" "$?|$(<"$tmp/err")"
fi
"$aipc" targets >&- 2>"$tmp/err"
same "a closed stdout is an error" "7|aipc: error: cannot write the result: Bad file descriptor" "$?|$(<"$tmp/err")"

# On a terminal: colour, unless NO_COLOR or TERM=dumb says otherwise.
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; then
    on_terminal() { SHELL=/bin/sh script -qec "$1" /dev/null </dev/null; }
    has "colour on a terminal" "$(TERM=xterm on_terminal "'$aipc' targets")" "$escape["
    for setting in NO_COLOR=1 TERM=dumb; do
        plain=$(on_terminal "env TERM=xterm $setting '$aipc' targets")
        if [[ $plain == *$escape* ]]; then not_ok "$setting: no colour" <<<"$plain"; else ok "$setting: no colour"; fi
    done
    has "an empty NO_COLOR does not count" "$(on_terminal "env TERM=xterm NO_COLOR= '$aipc' targets")" "$escape["
fi
finish
