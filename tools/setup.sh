#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing from the system; says nothing when nothing is.
#   tools/setup.sh build runtime check     the sets of tools/packages.txt that are wanted
# As root, or where sudo asks no password, it calls apt-get. Otherwise it prints the line to run and ends with 1.
set -eu
table=$(dirname "$0")/packages.txt

pip_works() {
    for call in "python3 -m pip" pip3 pip; do
        $call --version >/dev/null 2>&1 && return 0
    done
    return 1
}

there() {
    case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
    pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
    file:*) # shellcheck disable=SC2086
        ls ${1#file:} >/dev/null 2>&1 ;;
    pip) pip_works ;;
    *) echo "setup: $table: unknown probe '$1'" >&2; exit 1 ;;
    esac
}

# Names of the missing packages, with their alternatives.
missing() {
    while read -r set probe package; do
        case $set in '' | \#*) continue ;; esac
        case " $* " in *" $set "*) there "$probe" || echo "$package" ;; esac
    done <"$table"
}

# a|b: the first that apt can install.
choose() {
    for wanted in "$@"; do
        first=${wanted%%|*}
        for name in $(echo "$wanted" | tr '|' ' '); do
            if apt-cache show "$name" >/dev/null 2>&1; then first=$name; break; fi
        done
        echo "$first"
    done
}

list=$(missing "$@")
[ -n "$list" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing, under their Debian names: $(echo "$list" | tr '\n' ' ')" >&2
    echo "setup: install them with this system's package manager and run again" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        # shellcheck disable=SC2086
        echo "setup: these packages are missing; install them and run again:" >&2
        echo "  sudo apt-get install --no-install-recommends $(choose $list | tr '\n' ' ')" >&2
        exit 1
    fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
quiet() {
    "$@" >"$log" 2>&1 </dev/null && return 0
    tail -n 15 "$log" | sed 's/^/  /' >&2
    echo "setup: failed: $*" >&2
    return 1
}
quiet $as_root apt-get update || echo "setup: going on with the package lists that are here" >&2
# shellcheck disable=SC2086
names=$(choose $list | tr '\n' ' ')
echo "setup: installing $names" >&2
# shellcheck disable=SC2086
quiet $as_root apt-get install -y --no-install-recommends $names
left=$(missing "$@")
[ -z "$left" ] && exit 0
echo "setup: installed, and still not found: $(echo "$left" | tr '\n' ' ')" >&2
exit 1
