#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Deploys the models models/fetch.sh made, each by its one command, and writes the table of all of this day to bench/results/:
#   models/check.sh [NAME...]          all that are there, without names
# AIPC (default build/aipc), TARGET (default htp:sm8650), SECONDS_EACH (default 1800), FRESH=1: nothing from the store,
# TRACE=1: with the comparison of every tensor. Ends with 1 when a model that is there does not pass.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export AIPC_DATA="${AIPC_DATA:-$root/.deps/data}" AIPC_CACHE="${AIPC_CACHE:-$root/.deps/cache}" ORT_DISABLE_TELEMETRY=1
exec python3 "$root/models/check.py" "$@"
