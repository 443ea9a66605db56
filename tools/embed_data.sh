#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes C source that holds the given files as bytes and implements src/base/data.h:
#   tools/embed_data.sh data/*.json rules/*.rule > build/gen/data_embedded.c
# Needs od and sed only, so that it works with any C compiler and without Python or xxd.
set -eu
export LC_ALL=C

echo '/* Made by tools/embed_data.sh. Do not edit. */'
echo '#include "base/data.h"'
echo '#include <string.h>'

i=0
for f in "$@"; do
    echo "static const unsigned char bytes_$i[] = {"
    od -An -v -tx1 "$f" | sed -e 's/[ 	]*\([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '0x00};'
    i=$((i + 1))
done

echo 'static const struct { const char *name; const unsigned char *bytes; size_t len; } files[] = {'
i=0
for f in "$@"; do
    echo "    {\"${f##*/}\", bytes_$i, sizeof bytes_$i - 1},"
    i=$((i + 1))
done
cat <<'C'
    {0, 0, 0}
};

const char *const *ap_data_names(void) {
    static const char *const names[] = {
C
for f in "$@"; do echo "        \"${f##*/}\","; done
cat <<'C'
        0};
    return names;
}

const char *ap_data_get(const char *name, size_t *len) {
    for (size_t i = 0; files[i].name; i++) {
        if (strcmp(files[i].name, name) != 0) continue;
        if (len) *len = files[i].len;
        return (const char *)files[i].bytes;
    }
    return 0;
}
C
