#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes .deps/venv, a Python environment with pinned packages, and prints its interpreter; quick when it is there.
#   tools/venv.sh run [torch] [models] [apps] [bench]    sets of tools/python/*.txt, checked by sha256, in this order
# Ends with 1 and one line of why when it cannot be made here (another Python than the pins are for, no way to the
# packages): whoever needs it says `skipped`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${AIPC_VENV:-$here/../.deps/venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

find_python() {
    for name in python3.11 python3; do
        version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        [ "$version" = 3.11 ] && echo "$name" && return 0
    done
    echo "venv: the pinned wheels are for Python 3.11, which is not here" >&2
    return 1
}

mkdir -p "$venv"
exec 9>"$venv.lock"
flock 9
if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip' 2>/dev/null || sh "$here/setup.sh" python >&2
    "$python" -m venv "$venv" >&2 || { echo "venv: $python -m venv failed" >&2; exit 1; }
fi
for set in "$@"; do
    list=$here/python/$set.txt
    [ -f "$list" ] || { echo "venv: there is no set $set ($list)" >&2; exit 1; }
    stamp=$venv/.aipc-$set
    cmp -s "$list" "$stamp" && continue
    echo "venv: installing $(grep -c == "$list") packages of $set" >&2
    if ! log=$("$venv/bin/python" -m pip install -q --no-deps --no-build-isolation --require-hashes -r "$list" 2>&1); then
        echo "venv: pip could not install $set: $(printf '%s\n' "$log" | grep -i error | head -n 1)" >&2
        [ "$set" = torch ] && echo "venv: PIP_EXTRA_INDEX_URL must name PyTorch's index of builds for the CPU" >&2
        exit 1
    fi
    cp "$list" "$stamp"
done
echo "$venv/bin/python"
