#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Regenerates the table of docs/cost.md: exports the models, builds each for each SoC of bench/published.csv (only the
# build: nothing runs in the emulator), and compares the estimate with the published latency.
#   bench/cost_vs_published.sh [BUILD] [--fit]      --fit: fits the figures of data/cost.json anew and prints them
set -eu
cd "$(dirname "$0")/.."
build=build
case "${1:-}" in --*|"") ;; *) build=$1; shift ;; esac
: "${AIPC_DATA:=$PWD/.deps/data}"
export ORT_DISABLE_TELEMETRY=1
python=$(sh tools/venv.sh run torch models)
"$python" -W ignore bench/export_models.py .deps/models >&2
ln -sf "$(ls "$AIPC_DATA"/runtimes/sample-yolov8n-*/320n.onnx | tail -n 1)" .deps/models/yolov8n_640.onnx
mkdir -p "$build/bench"
libs="libprotobuf-c jansson libcrypto libzip libjpeg libpng sqlite3"
${CC:-cc} -std=c17 -O2 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Isrc -Iinclude -I"$build/gen" \
    $(pkg-config --cflags $libs) bench/buildcost.c "$build/libaipc.a" $(pkg-config --libs $libs) -lm -ldl -lpthread \
    -o "$build/bench/buildcost"
exec "$python" bench/cost_vs_published.py "$build" "$AIPC_DATA" "$@"
