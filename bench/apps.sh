#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every program of `aipc new` from the app to the verified artifact; a table in bench/results/apps-DAY.md:
#   bench/apps.sh [NAME... | --table]     all without names; a row stays until its program is run again; --table: only that
# AIPC (default build/aipc), TARGET (default htp:sm8650), PYTHON (default tools/venv.sh), SECONDS_EACH (3600),
# OMP_NUM_THREADS=1 beside other work: threads of torch stand in each other's way then. Twenty times, for the smallest network.
# LPRNET_DATA: folder with lprnet.pth, classes.txt, plates/; PLATES: how many of them verify reads (300).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export AIPC_DATA="${AIPC_DATA:-$root/.deps/data}" AIPC_CACHE="${AIPC_CACHE:-$root/.deps/cache}" ORT_DISABLE_TELEMETRY=1
export YOLO_CONFIG_DIR="$root/.deps" HF_HUB_OFFLINE=1
PYTHON=${PYTHON:-$(sh "$root/tools/venv.sh" run torch models apps)}
export PYTHON
exec python3 "$root/bench/apps.py" "$@"
