#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What holds for the source tree itself: layers, sizes, form, nothing of one machine in it.
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
failed=0
max_lines=600    # of a C file
max_python=1200  # of the package in the user's Python, all together

# expect_nothing NAME < what breaks the rule
expect_nothing() {
    local what
    what=$(cat)
    if [[ -z $what ]]; then echo "ok $1"; else echo "not ok $1"; sed 's/^/  # /' <<<"$what" | head -n 40; failed=1; fi
}
# Files of the repository, also the ones not yet committed; a release has no .git.
files() {
    { git ls-files --cached --others --exclude-standard 2>/dev/null || find . -type f | sed 's|^\./||'; } | grep -E "$1" |
        while read -r f; do [[ -f $f ]] && echo "$f"; done
}
mapfile -t code < <(files '\.[ch]$')
mapfile -t scripts < <(files '\.sh$|/[a-z_]*lib\.bash$|^\.ci/run$')
mapfile -t text < <(files '\.(c|h|sh|bash|py|md|json|txt|proto|in|1)$|^Makefile$|^\.ci/run$')

sh tools/check_layers.sh | expect_nothing "includes point only left"
wc -l "${code[@]}" | awk -v max=$max_lines '$2 != "total" && $1 > max { print $2 ": " $1 " lines" }' |
    expect_nothing "no C file has over $max_lines lines"
cat python/aipc/*.py python/aipc/_hook/*.py | wc -l | awk -v max=$max_python '$1 >= max { print $1 " lines" }' |
    expect_nothing "the Python package has under $max_python lines"
grep -nE 'pickle|torch\.load|[^.]eval\(|exec\(' python/aipc/*.py | grep -vE 'allow_pickle=False|no pickle|Pickles are' |
    expect_nothing "the Python package loads no pickles and runs no text"
awk 'length > 120 { print FILENAME ": line " FNR }' python/aipc/*.py | expect_nothing "no line of the Python package is longer than 120"
for f in "${code[@]}" "${scripts[@]}"; do head -n 3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"; done |
    expect_nothing "every source file names its licence"
grep -nE '[[:blank:]]$' "${code[@]}" "${scripts[@]}" Makefile | cut -c1-120 | expect_nothing "no blanks at line ends"
grep -nP '\t' "${code[@]}" | cut -c1-120 | expect_nothing "no tabs in C"
# Spelled in halves so that this file passes.
grep -nE '(^|[^a-z.])/(work|root|home)/[a-z]{2,}|\.\./share''d|py''pi\.|pythonhost''ed|py''torch\.org' "${text[@]}" | cut -c1-160 |
    expect_nothing "no path of one machine, no registry host"
for f in "${scripts[@]}"; do bash -n "$f" 2>&1; done | expect_nothing "shell scripts parse"
for f in .ci/run; do [[ -x $f ]] || echo "$f"; done | expect_nothing ".ci/run can be executed"

# Other versions of clang-format lay out the same code differently.
want=14
have=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
tool=clang-format
if [[ $have != "$want" ]]; then tool=$(command -v clang-format-$want); fi
if [[ -z $tool ]]; then
    echo "ok clang-format finds nothing to change # skipped: no clang-format $want (this is ${have:-none})"
else
    "$tool" --dry-run -Werror "${code[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c |
        awk '{ print $2 ": " $1 " places" }' | expect_nothing "clang-format finds nothing to change (make format)"
fi
exit $failed
