#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a served call costs (bench/exec.py): bench/exec.sh [BUILD] [CALLS]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
: "${AIPC_DATA:=$PWD/.deps/data}"
export AIPC_DATA ORT_DISABLE_TELEMETRY=1
python=$(sh tools/venv.sh run torch)
exec "$python" bench/exec.py "$build" "${2:-2000}"
