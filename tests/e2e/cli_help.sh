#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Help that teaches: every command, every way to ask for it; the version; the manual page is current.
. "$(dirname "$0")/cli_lib.bash"

version=$(<"$root/VERSION")
run --version
same "version" "0|aipc $version|" "$code|$out|$err"
run -V
same "version, short" "0|aipc $version|" "$code|$out|$err"

run
overview=$out
same "aipc alone ends well" "0|" "$code|$err"
for words in help --help -h "--color never"; do
    # shellcheck disable=SC2086
    run $words
    same "the overview comes with: $words" "0|$overview" "$code|$out"
done
if [[ $overview == *worker* ]]; then not_ok "worker is hidden" <<<"$overview"; else ok "worker is hidden"; fi

commands="deploy inspect compare run profile probe surgery apply diff doctor runtime targets help completion"
for c in $commands; do
    has "the overview names $c" "$overview" "
  $c "
    run "$c" --help
    help=$out
    same "$c --help ends well" "0|" "$code|$err"
    for part in "Usage: aipc $c" "Common options:" "Examples:" "Exit codes:" "--json"; do
        has "$c --help has '$part'" "$help" "$part"
    done
    examples=$(grep -c '^  # ' <<<"$help")
    if ((examples >= 2)); then ok "$c --help has examples"; else echo "$examples" | not_ok "$c --help has examples"; fi
    widest=$(awk '{ if (length > w) w = length } END { print w + 0 }' <<<"$help")
    if ((widest <= 80)); then ok "$c --help fits 80 columns"; else echo "$widest" | not_ok "$c --help fits 80 columns"; fi
    run help "$c"
    same "help $c is $c --help" "$help" "$out"
    run "$c" -h
    same "$c -h is $c --help" "$help" "$out"
done
run deploy --help --precision fp16
same "help needs no other argument" 0 "$code"
for o in --target --input --recipe --shape --gate --precision --seed --dlc --no-trace --fresh --jobs --timeout --memory --output; do
    has "deploy --help explains $o" "$("$aipc" deploy --help)" "$o"
done

run help --man
same "the manual page is written" "0|" "$code|$err"
same "docs/man/aipc.1 is current (aipc help --man > docs/man/aipc.1)" "$(<"$root/docs/man/aipc.1")" "$out"
if command -v groff >/dev/null; then
    warnings=$(groff -man -Tutf8 -ww "$root/docs/man/aipc.1" 2>&1 >/dev/null)
    same "the manual page has no roff warnings" "" "$warnings"
fi
finish
