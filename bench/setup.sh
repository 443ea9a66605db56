#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python side of the benchmarks, in a virtual environment of its own: the same two vendor wheels aipc uses,
# and what a script needs around them. `bench/setup.sh models` adds what exports the models of bench/cost_vs_published.sh.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.deps/venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
have() { "$venv/bin/python" -c "from importlib.metadata import version as v; import sys; sys.exit(any(v(p.split('==')[0]) != p.split('==')[1] for p in sys.argv[1:]))" "$@" 2>/dev/null; }
want() { have "$@" || "$venv/bin/pip" install -q --disable-pip-version-check "$@"; }
want numpy==2.4.6 pillow==13.0.0 onnx==1.23.2 onnxruntime==1.31.1 onnxruntime-qnn==2.7.0
if [ "${1:-}" = models ]; then
    want torch==2.13.0 onnxscript==0.7.2
    # torchvision's wheel names CUDA packages; beside a CPU torch it must come alone (see bench/export_models.py).
    have torchvision==0.28.0 || "$venv/bin/pip" install -q --disable-pip-version-check --no-deps torchvision==0.28.0
    have openai-whisper==20250625 || "$venv/bin/pip" install -q --disable-pip-version-check --no-deps openai-whisper==20250625
    want tqdm tiktoken==0.12.0 || true
fi
