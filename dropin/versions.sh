#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Symbol versions of the drop-in libonnxruntime.so.1. Every release of ONNX Runtime names its symbols VERS_<release>, and
# a program asks for exactly the one it was linked with. What a release does not export costs a line here and nothing else,
# so the table is dense: every 1.MINOR.PATCH of these ranges.
#   versions.sh map      the linker's version script
#   versions.sh header   the aliases, for dropin.c
set -eu
current=1.31.1 # what programs get that are linked with the drop-in itself
last_minor=40 last_patch=5
symbols="OrtGetApiBase $(for p in CPU CUDA ROCM Dnnl Tensorrt MIGraphX; do echo "OrtSessionOptionsAppendExecutionProvider_$p"; done)"

releases() {
    minor=0
    while [ $minor -le $last_minor ]; do
        patch=0
        while [ $patch -le $last_patch ]; do
            echo "1.$minor.$patch"
            patch=$((patch + 1))
        done
        minor=$((minor + 1))
    done
}

case $1 in
map)
    # Every node lists the names, also that of the default: left to "local: *" it would vanish.
    for v in $(releases); do
        echo "VERS_$v {"
        echo "  global:"
        for s in $symbols; do echo "    $s;"; done
        if [ "$v" = $current ]; then echo "  local: *;"; fi
        echo "};"
    done
    ;;
header)
    echo "/* made by dropin/versions.sh */"
    for v in $(releases); do
        name=$(echo "$v" | tr . _)
        at=@
        if [ "$v" = $current ]; then at=@@; fi
        for s in $symbols; do
            echo "extern __typeof__(dropin_$s) dropin_${s}_$name __attribute__((alias(\"dropin_$s\"), visibility(\"default\")));"
            echo "__asm__(\".symver dropin_${s}_$name, $s$at""VERS_$v\");"
        done
    done
    ;;
*)
    echo "usage: versions.sh map|header" >&2
    exit 2
    ;;
esac
