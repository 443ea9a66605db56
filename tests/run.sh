#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests and counts them: tests/run.sh check|full|fuzz BUILD
#   check  what `make check` does: a quarter of an hour at most, on two cores
#   full   the long lane: fuzzing for a minute each, valgrind, ThreadSanitizer, end-to-end scripts twice, rules proven on
#          other instances and by sanitized programs, sanitized scripts that `check` leaves out (below: long=)
#   fuzz   the fuzz targets alone, a minute each
# A test is a line `ok NAME` or `not ok NAME` (a cmocka case is one, too); `# skipped: why` behind it, or a line
# `skipped: why` alone, is a skipped one. A step without such lines is one test: its exit code.
# The whole output of each step is kept in BUILD/check/. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 2
lane=$1 build=$2
root=$PWD
jobs=$(nproc)
out=$build/check
rm -rf "$out" "$build"/tests/e2e/proofs "$build"/*/tests/e2e/proofs
mkdir -p "$out/cache"
case $build in /*) full_build=$build ;; *) full_build=$root/$build ;; esac

unset MAKEFLAGS MFLAGS MAKELEVEL AIPC_PROGRAM NO_COLOR LD_LIBRARY_PATH BASH_ENV AIPC_PROOFS
export ORT_DISABLE_TELEMETRY=1 CMOCKA_MESSAGE_OUTPUT=TAP
# Where tests find things. Scripts may read AIPC_SAN: the program under test is built with that sanitizer.
export AIPC=$full_build/aipc AIPC_BUILD=$full_build AIPC_SAN=
export AIPC_DATA=${AIPC_DATA:-$root/.deps/data} AIPC_CACHE=$full_build/check/cache
export LSAN_OPTIONS=suppressions=$root/tests/lsan.supp:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1

passed=0 failed=0 skipped=0 steps_failed=()

# Adds up one step's log: prints "passed failed skipped" and after that what went wrong.
count() { # log, exit code
    awk -v code="$2" '
        /^1\.\.[0-9]+/ { planned += substr($1, 4) }
        /^(not )?ok / && /# *[Ss][Kk][Ii][Pp]/ { skip++; seen++; next }
        /^skipped: / { alone++; next }
        /^ok / { pass++; seen++; next }
        /^not ok / { fail++; seen++ }
        END {
            if (!planned) skip += alone # else cmocka counts the case itself
            if (code == 124 || code == 137) why = "took too long or was killed"
            else if (code != 0 && !fail) why = "ended with exit code " code
            else if (code == 0 && planned > seen) why = "planned " planned " cases, ran " seen
            if (why != "") fail++
            else if (!pass && !fail && !skip) pass++
            print pass + 0, fail + 0, skip + 0, why
        }' "$1"
}

# Takes the result of a finished step into the sums and prints its line.
report() { # name, log, exit code, milliseconds
    local name=$1 log=$2 code=$3 ms=$4 p f s why
    read -r p f s why < <(count "$log" "$code")
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    local word=pass note=
    if ((f)); then word=FAIL; elif ((!p)); then word=skip; fi
    if ((s)); then note=", $s skipped"; fi
    if ((f)); then note=", $f failed$note"; fi
    printf '%s  %-42s %5.1f s  %d passed%s\n' $word "$name" "$((ms / 100))e-1" "$p" "$note"
    # Not only that something was skipped, but what.
    grep -hE '^skipped: |^(not )?ok .*# *[Ss][Kk][Ii][Pp]' "$log" | sed -E 's/^.*(skipped: .*)$/        \1/' | sort | uniq -c |
        sed -E 's/^ *1 +/        /; s/^ *([0-9]+) +/        \1 x /' | cut -c1-150
    ((f)) || return 0
    steps_failed+=("$name")
    # The failed lines with the explanation below them; when there is none, the end of the log.
    if ! awk '/^not ok / && !/# *[Ss][Kk][Ii][Pp]/ { show = 1; n++ } /^ok / { show = 0 }
              show && n <= 12 { print "        " substr($0, 1, 200) } END { exit !n }' "$log" | head -n 60 ||
        [[ -n $why ]]; then
        [[ -n $why ]] && echo "        $why; the end of $log:"
        tail -n 25 "$log" | cut -c1-200 | sed 's/^/        /'
    fi
}

# Sums cross from a subshell in a file.
sums_out() { echo "$passed $failed $skipped ${steps_failed[*]}" >"$out/sums"; }
sums_in() {
    local names
    read -r passed failed skipped names <"$out/sums"
    steps_failed=()
    if [[ -n $names ]]; then steps_failed=("$names"); fi
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
log_of() { echo "$out/$(tr -c 'a-zA-Z0-9\n' '_' <<<"$1").log"; }

# step NAME LIMIT_S COMMAND...: returns the command's exit code
step() {
    local name=$1 limit=$2 log start code
    shift 2
    log=$(log_of "$name")
    start=$(now_ms)
    timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
    code=$?
    report "$name" "$log" $code $(($(now_ms) - start))
    return $code
}

# The same for many commands, as many at once as there are cores: begin NAME LIMIT COMMAND..., then finish.
begun=()
begin() {
    local name=$1 limit=$2 log
    shift 2
    log=$(log_of "$name")
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
    report_ended
    (
        start=$(now_ms)
        timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
        echo "$? $(($(now_ms) - start))" >"$log.new" && mv "$log.new" "$log.end"
    ) &
    begun+=("$name")
}
# Those that have ended, in the order they were begun; all of them when nothing runs any more.
report_ended() {
    local name log code ms left=()
    for name in "${begun[@]}"; do
        log=$(log_of "$name")
        if [[ ! -f $log.end ]] && (($(jobs -rp | wc -l))); then
            left+=("$name")
            continue
        fi
        read -r code ms <"$log.end" || code=1 ms=0
        report "$name" "$log" "$code" "$ms"
    done
    begun=("${left[@]}")
}
finish() {
    wait
    report_ended
}

build_all() { # name, make arguments: the variant must compile without a warning
    local name=$1
    shift
    step "$name" 600 make --no-print-directory -j"$jobs" "$@"
}

unit() { # label, build folder, command in front
    local t
    for t in tests/unit/test_*.c; do
        t=${t##*/}
        begin "$1 ${t%.c}" 300 ${3:-} "$2/tests/${t%.c}"
    done
    finish
}

# As many at a time as there are cores, those that take longest first: none is left to run alone. The caller finishes.
slow="recover mutate unread deploy_repair exec record split sharpen deploy_documents level1"
scripts() { # label, set of scripts...; $long: scripts that are left to `make check-full`
    local label=$1 name set t all=()
    shift
    for name in $slow; do
        for set in "$@"; do all+=("tests/$set/$name.sh"); done
    done
    for set in "$@"; do all+=("tests/$set"/*.sh); done
    local -A seen=()
    for t in "${all[@]}"; do
        name=${t##*/} name=${name%.sh} set=${t#tests/} set=${set%/*}
        if [[ ! -f $t || ${seen[$t]:-} || " ${long:-} " == *" $name "* ]]; then continue; fi
        seen[$t]=1
        begin "$label$set $name" 600 bash "$t"
    done
}

# The same with a sanitized program, two at a time. What the sanitizer says goes to files: tests compare texts, and a
# finding in a worker must not pass for one of the crashes that tests make on purpose.
sanitized() { # label, build folder, kind, sets of scripts
    local label=$1 folder=$2 kind=$3 dir notes=$full_build/check/$2-findings
    shift 3
    mkdir -p "$notes"
    # Crashes made on purpose must look like crashes.
    local common=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0:exitcode=99:allocator_may_return_null=1
    (
        export AIPC=$full_build/$folder/aipc AIPC_BUILD=$full_build/$folder AIPC_SAN=$kind
        export ASAN_OPTIONS=$common:detect_stack_use_after_return=1:log_path=$notes/asan TSAN_OPTIONS=$common:log_path=$notes/tsan:suppressions=$root/tests/tsan.supp
        export UBSAN_OPTIONS=print_stacktrace=1:log_path=$notes/ubsan
        # The sanitizer's dlopen() is the caller then: libraries of a folder no longer find each other by $ORIGIN.
        for dir in "$AIPC_DATA"/runtimes/onnxruntime-qnn-*/; do export LD_LIBRARY_PATH=$dir; done
        scripts "$label " "$@"
        finish
        sums_out
    )
    sums_in
    step "$label: no findings" 60 bash -c '
        files=$(grep -rlE "ERROR: |WARNING: Thread|runtime error:" "$1")
        if [[ -n $files ]]; then cat $files; exit 1; fi' _ "$notes"
}

fuzz() { # seconds
    local target name dir=$full_build/fuzz
    build_all "fuzz targets build (clang)" BUILD="$build/fuzz" CC=clang FUZZ=1 fuzz-bins || return
    mkdir -p "$dir/crashes"
    for target in tests/fuzz/fuzz_*.c; do
        name=${target##*/fuzz_}
        name=${name%.c}
        mkdir -p "$dir/corpus/$name"
        begin "fuzz $name" $(($1 + 120)) "$dir/bin/fuzz_$name" -max_total_time="$1" -timeout=20 -rss_limit_mb=2048 \
            -artifact_prefix="$dir/crashes/$name-" -print_final_stats=1 "$dir/corpus/$name" "tests/fuzz/corpus/$name"
    done
    finish
}

last_words() {
    local s=
    ((skipped)) && s=", $skipped skipped"
    if ((failed)); then
        echo
        echo "failed: ${steps_failed[*]}"
        echo "logs: $out"
    fi
    echo
    echo "$passed passed, $failed failed$s"
    ((failed == 0))
    exit
}
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM

if [[ $lane == fuzz ]]; then
    fuzz 60
    last_words
fi

step "source" 120 bash tests/source.sh
begin "Python packages" 1200 sh -c 'sh tools/venv.sh run torch || echo "skipped: no environment for tests with Python"'
unit_bins=
[[ $lane == full ]] && unit_bins=unit-bins # for valgrind; `make check` runs the sanitized ones
build_all "builds with gcc" BUILD="$build" CC=gcc all $unit_bins conformance-bin || last_words
build_all "builds with clang" BUILD="$build/clang" CC=clang DEBUG=1 all unit-bins # for its warnings
build_all "builds with sanitizers" BUILD="$build/san" CC=gcc SAN=1 all unit-bins
step "vendor runtimes" 3600 sh tools/runtimes.sh "$AIPC" || echo "        tests that need them will fail"
finish # the packages

unit "unit" "$build/san"
# What stands before malloc itself, which sanitizers do, too.
for t in base_heap api_heap; do step "unit test_$t, preloaded" 120 "$build/clang/tests/test_$t"; done
# Before the scripts, which deploy with these proofs. Sanitized programs take them, too, but in the long lane: there each
# proves all it uses. Here that code runs sanitized in test_surgery_prove, rules*.sh and where deploy_repair kills one.
AIPC_PROOFS=$full_build/tests/e2e/proofs
mkdir -p "$AIPC_PROOFS" && ln -sfn "$AIPC_PROOFS" "$AIPC_CACHE/proofs"
[[ $lane == full ]] || export AIPC_PROOFS
step "rules are proven" 900 bash tests/rules.sh "$AIPC"
scripts "" errors e2e regress
finish
# Half a minute to a minute and a half each, of code that deploy_repair, the unit tests and the fuzz targets run sanitized, too.
[[ $lane == full ]] || long="search plans picks record"
sanitized sanitized san address errors e2e regress
long=
step "conformance" 300 "$build/bin/conformance" "$AIPC_DATA" /usr/share/libonnx-testdata/data
step "surgery on operator tests" 300 "$build/bin/surgery" "$AIPC_DATA" /usr/share/libonnx-testdata/data
if [[ $lane == full ]]; then step "rules are proven on other instances" 2400 bash tests/rules.sh "$AIPC" --seed 7 --instances 600; fi
if [[ $lane == full ]]; then step "the table of probes in other shapes" 1800 bash tests/variants.sh "$AIPC"; fi
if [[ $lane == full ]]; then fuzz 60; else fuzz 4; fi

if [[ $lane == full ]]; then
    export AIPC_UNDER_VALGRIND=1
    unit "valgrind" "$build" "valgrind -q --suppressions=tests/valgrind.supp --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"
    unset AIPC_UNDER_VALGRIND
    build_all "builds with ThreadSanitizer" BUILD="$build/tsan" CC=gcc SAN=thread all unit-bins
    unit "tsan" "$build/tsan"
    sanitized threads tsan thread e2e
    scripts "again " errors e2e regress
    finish
fi
last_words
