#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One contract in three places: AP_ERR_TABLE, docs/exit-codes.md and aipc help exit-codes say the same.
. "$(dirname "$0")/cli_lib.bash"

header=$root/src/base/err.h doc=$root/docs/exit-codes.md

# "CODE WORD", sorted, from the header: the enum gives the number, the table the word.
awk '
    /^ *AP_EXIT_[A-Z]+ = [0-9]+/ { gsub(/,/, ""); number[$1] = $3 }
    /^ *X\([A-Z_]+, *AP_EXIT_/ { split($0, part, /, */); gsub(/"/, "", part[3]); print number[part[2]], part[3] }
' "$header" | sort -n -k1,1 -k2,2 >"$tmp/header"
# The same from the table of the document.
awk -F'|' '
    /^\| *[0-9]+ \|/ { code = $2 + 0; n = split($4, words, /[ `]+/); for (i = 1; i <= n; i++) if (words[i] != "") print code, words[i] }
' "$doc" | sort -n -k1,1 -k2,2 >"$tmp/doc"
if [[ -s $tmp/header ]]; then ok "err.h holds errors"; else echo "none found" | not_ok "err.h holds errors"; fi
same "docs/exit-codes.md has the error words of err.h" "$(<"$tmp/header")" "$(<"$tmp/doc")"

awk '/^ *AP_EXIT_[A-Z]+ = [0-9]+/ { gsub(/,/, ""); print $3 }' "$header" | sort -n >"$tmp/codes"
awk -F'|' '/^\| *[0-9]+ \|/ { print $2 + 0 }' "$doc" | sort -n >"$tmp/doc_codes"
same "docs/exit-codes.md has the codes of err.h" "$(<"$tmp/codes")" "$(<"$tmp/doc_codes")"

run help exit-codes
same "help exit-codes ends well" "0|" "$code|$err"
awk -F'|' '/^\| *[0-9]+ \|/ { m = $3; gsub(/^ +| +$/, "", m); print $2 + 0, m }' "$doc" >"$tmp/meaning"
same "help exit-codes says what the document says" "$(<"$tmp/meaning")" "$(sed 's/^ *\([0-9]*\)  */\1 /' <<<"$out")"

# Exit codes the program itself reaches without any runtime.
run targets
same "0: success" 0 "$code"
run targets --wrong
same "2: usage" 2 "$code"
run inspect "$tmp/no-such-model.onnx"
same "7: no such file, nothing on stdout" "7|" "$code|$out"
has "7: the message names the file" "$err" "$tmp/no-such-model.onnx"
finish
