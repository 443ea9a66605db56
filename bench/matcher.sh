#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rule matcher on a large graph: bench/matcher.sh [BUILD] [NODES] [RUNS]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -gt 0 ] && shift
mkdir -p "$build/bench"
libs="libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3"
${CC:-cc} -std=c17 -O2 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Isrc -Iinclude -I"$build/gen" \
    $(pkg-config --cflags $libs) bench/matcher.c "$build/libaipc.a" $(pkg-config --libs $libs) -lm -ldl -lpthread \
    -o "$build/bench/matcher"
exec "$build/bench/matcher" "$@"
