#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on a real model and a real photo: what `make run` does once aipc is built.
#   tools/run.sh build/aipc
set -eu
here=$(dirname "$0")
aipc=$1
deps=${AIPC_DEPS:-$PWD/.deps}
export AIPC_DATA="${AIPC_DATA:-$deps/data}" AIPC_CACHE="${AIPC_CACHE:-$deps/cache}" ORT_DISABLE_TELEMETRY=1

sh "$here/runtimes.sh" "$aipc"
for model in "$AIPC_DATA"/runtimes/sample-yolov8n-*/320n.onnx; do :; done
for photo in "$AIPC_DATA"/runtimes/sample-photos-*/bus.jpg; do :; done
set -- deploy "$model" --target htp:sm8650 --input "images=$photo" --shape images=1,3,320,320 -o "${OUT:-out}"
echo "aipc $*"
echo
exec "$aipc" "$@"
