#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a served call costs (bench/exec.py): bench/exec.sh [BUILD] [CALLS]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
: "${AIPC_DATA:=$PWD/.deps/data}"
export AIPC_DATA ORT_DISABLE_TELEMETRY=1
python=$(sh tools/venv.sh run torch)
mkdir -p "$build/bench"
libs="libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3"
# shellcheck disable=SC2046
${CC:-cc} -std=c17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Isrc -Iinclude -I"$build/gen" $(pkg-config --cflags $libs) bench/calls.c \
    "$build/libaipc.a" $(pkg-config --libs $libs) -lm -ldl -lpthread -o "$build/bench/calls"
exec "$python" bench/exec.py "$build" "${2:-2000}"
