#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a program that uses libaipc meets: the installed tree, pkg-config, the example, threads; nothing else exported.
. "$(dirname "$0")/deploy_lib.bash"
if [[ -n ${AIPC_SAN:-} && $AIPC_SAN != thread ]]; then
    echo "ok library # skipped: installed without sanitizers"
    finish
fi
[[ ${AIPC_SAN:-} == thread ]] && san=thread

# passes NAME COMMAND...
passes() {
    local name=$1
    shift
    if "$@" >"$tmp/log" 2>&1 </dev/null; then ok "$name"; else tail -n 20 "$tmp/log" | not_ok "$name"; fi
}

# ---- what is exported
nm -D --defined-only "$build/libaipc.so" | awk '{ print $3 }' | sort >"$tmp/exported"
tr '\n' ' ' <"$root/include/aipc/aipc.h" | grep -oE 'AIPC_API [^;(]*\(' | grep -oE 'aipc_[a-z_]+ ?\(' | tr -d ' (' | sort >"$tmp/declared"
same "libaipc.so exports what aipc.h declares" "$(<"$tmp/declared")" "$(<"$tmp/exported")"
soname=$(objdump -p "$build/libaipc.so" | awk '$1 == "SONAME" { print $2 }')
same "soname" libaipc.so.0 "$soname"
for lang in "c -std=c99" "c++ -std=c++11"; do
    # shellcheck disable=SC2086
    passes "aipc.h is whole in $lang" "${CC:-gcc}" -x $lang -Wall -Wextra -pedantic -Werror -fsyntax-only "$root/include/aipc/aipc.h"
done

# ---- installing
in_tree() { make --no-print-directory -C "$root" BUILD="${build#"$root"/}" CC="${CC:-gcc}" SAN="${san:-}" "$@"; }
prefix=$tmp/opt/aipc
passes "make install" in_tree install PREFIX="$prefix"
(cd "$prefix" && find . ! -type d | sort) >"$tmp/files"
for f in bin/aipc include/aipc/aipc.h lib/libaipc.a lib/libaipc.so lib/libaipc.so.0 lib/pkgconfig/aipc.pc share/man/man1/aipc.1 \
    share/bash-completion/completions/aipc share/zsh/site-functions/_aipc share/fish/vendor_completions.d/aipc.fish \
    share/doc/aipc/LICENSE; do
    grep -qx "./$f" "$tmp/files" || echo "$f"
done >"$tmp/absent"
same "all of it is there" "" "$(<"$tmp/absent")"
same "the installed program runs" "aipc $(<"$root/VERSION")" "$("$prefix/bin/aipc" --version)"
passes "make install with DESTDIR" in_tree install DESTDIR="$tmp/staged" PREFIX=/opt/aipc
same "DESTDIR holds the same files" "$(<"$tmp/files")" "$(cd "$tmp/staged/opt/aipc" && find . ! -type d | sort)"
same "DESTDIR leaves no trace in aipc.pc" "prefix=/opt/aipc" "$(head -n 1 "$tmp/staged/opt/aipc/lib/pkgconfig/aipc.pc")"
passes "make uninstall" in_tree uninstall DESTDIR="$tmp/staged" PREFIX=/opt/aipc
same "uninstall leaves nothing" "" "$(find "$tmp/staged" ! -type d)"

# ---- building against it
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
same "pkg-config knows the version" "$(<"$root/VERSION")" "$(pkg-config --modversion aipc)"
flags="-std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -g ${san:+-fsanitize=$san}"
lines=$(wc -l <"$root/examples/run.c")
if ((lines < 60)); then ok "the example has under 60 lines"; else echo "$lines" | not_ok "the example has under 60 lines"; fi
# shellcheck disable=SC2046,SC2086
{
    passes "the example compiles, shared" "${CC:-gcc}" $flags "$root/examples/run.c" $(pkg-config --cflags --libs aipc) -o "$tmp/run"
    mkdir "$tmp/static" && ln -s "$prefix/lib/libaipc.a" "$tmp/static/" # no .so in sight
    passes "the example compiles, static" "${CC:-gcc}" $flags "$root/examples/run.c" $(pkg-config --cflags aipc) -L"$tmp/static" \
        $(pkg-config --static --libs aipc | sed "s|-L$prefix/lib||") -o "$tmp/run-static"
    passes "threads.c compiles" "${CC:-gcc}" $flags "$root/tests/e2e/threads.c" $(pkg-config --cflags --libs aipc) -lpthread -o "$tmp/threads"
}

# ---- running it
need onnxruntime
make_nets
deploy 0 made convnet.onnx --target cpu
export LD_LIBRARY_PATH=$prefix/lib
"$tmp/run" "$tmp/made" >"$tmp/shared.out" 2>"$tmp/shared.err"
same "the example runs, shared" "0|" "$?|$(<"$tmp/shared.err")"
for part in "input x: float32 1x" "output " "result " " = "; do has "it prints '$part'" "$(<"$tmp/shared.out")" "$part"; done
unset LD_LIBRARY_PATH
PATH=$prefix/bin:$PATH "$tmp/run-static" "$tmp/made" >"$tmp/static.out" 2>"$tmp/static.err"
same "the example runs, static" "0|" "$?|$(<"$tmp/static.err")"
same "both print the same" "$(<"$tmp/shared.out")" "$(<"$tmp/static.out")"
"$tmp/run-static" "$tmp/nothing-here" >"$tmp/out" 2>"$tmp/err"
same "its exit code is aipc's: no such artifact" "7|" "$?|$(<"$tmp/out")"
export LD_LIBRARY_PATH=$prefix/lib
passes "two threads, one handle, equal results" "$tmp/threads" "$tmp/made"
finish
