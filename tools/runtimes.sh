#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the vendor runtimes and samples that the main job and the tests use into $AIPC_DATA; quiet when they are there.
#   AIPC_DATA=.deps/data tools/runtimes.sh build/aipc [NAME...]
set -eu
here=$(dirname "$0")
aipc=$1
shift
[ $# -gt 0 ] || set -- onnxruntime onnxruntime-qnn sample-yolov8n sample-photos
missing=$("$aipc" runtime list | awk -v want=" $* " 'NR > 1 && index(want, " " $1 " ") && $4 != "yes" { print $1 }')
[ -n "$missing" ] || exit 0
# Wheels put into a folder by hand need no pip.
[ -n "${AIPC_WHEELS:-}" ] || sh "$here/setup.sh" runtime
for name in $missing; do
    "$aipc" runtime install "$name"
done
