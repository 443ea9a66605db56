#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes docs/report.png, the picture in the README, from a report that `make run` wrote. Needs Chromium.
#   tools/picture.sh [out/report.html]
set -eu
page=$(realpath "${1:-out/report.html}")
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --disable-sync \
    --user-data-dir="$profile" --hide-scrollbars --screenshot="$PWD/docs/report.png" --window-size=1280,1500 "file://$page" >/dev/null 2>&1
ls -l docs/report.png
