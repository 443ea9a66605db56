#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Freeze and clean on long graphs: bench/clean.sh [BUILD] [NODES...]; the time should grow as the nodes do.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 12500 25000 50000
mkdir -p "$build/bench"
libs="libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3"
${CC:-cc} -std=c17 -O2 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Isrc -Iinclude -I"$build/gen" \
    $(pkg-config --cflags $libs) bench/clean.c "$build/libaipc.a" $(pkg-config --libs $libs) -lm -ldl -lpthread \
    -o "$build/bench/clean"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export AIPC_CACHE="$dir/cache" AIPC_DATA="${AIPC_DATA:-$PWD/.deps/data}"
for n; do
    "$build/bench/clean" "$dir/chain.onnx" "$n"
    start=$(date +%s%N)
    "$build/aipc" -q surgery "$dir/chain.onnx" -o "$dir/plan.json" | tail -n 1
    echo "  surgery: $((($(date +%s%N) - start) / 1000000)) ms"
done
