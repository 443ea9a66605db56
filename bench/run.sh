#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Speed and memory of this checkout, as a table on stdout and in bench/results/DATE.md. It measures and never asserts.
#   bench/run.sh [BUILD] [PAIRS]     what `make bench` calls; BUILD must be built
# Pairs are interleaved (A B A B ...), so that a machine whose speed drifts does not favour either side.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
pairs=${2:-5}
: "${AIPC_DATA:=$PWD/.deps/data}"
export AIPC_DATA ORT_DISABLE_TELEMETRY=1
[ -d "$AIPC_DATA/runtimes" ] || { echo "bench: no runtimes in $AIPC_DATA; run 'make run' first" >&2; exit 1; }
sh tools/venv.sh run bench >/dev/null
mkdir -p "$build/bench" bench/results
cc=${CC:-cc}
flags="-std=c17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow"
$cc $flags bench/pss.c -o "$build/bench/pss"
libs="libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3"
$cc $flags -Isrc -Iinclude -I"$build/gen" $(pkg-config --cflags $libs) bench/bigmodel.c "$build/libaipc.a" \
    $(pkg-config --libs $libs) -lm -ldl -lpthread -o "$build/bench/bigmodel"
exec python3 bench/measure.py --build "$build" --pairs "$pairs"
