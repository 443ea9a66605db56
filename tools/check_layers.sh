#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point only left: a room of src/ may include itself and the rooms named here, nothing else of ours. The same
# holds for the folders of a room.
# Prints every line that breaks this; ends with 1 when there is one.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

# The order of the rooms. A room may include the rooms left of it...
order="base tensor graph engine target worker golden surgery quant device report plan kb llm agent serve api"
# ...but these, which know less than their place allows:
narrow="
report base
device base
golden base tensor graph
worker base target
cli
"
# Rooms that may include the public header. The command line includes nothing else of ours.
public="plan api cli"
# Rooms that are made of folders, and the order of those.
folders="
surgery facts oracle rule match native apply prove pass probe search repair
plan work surgery artifact recording deploy sides program verify
"

# includes PATH: the lines that include files of ours.
includes() {
    find "$1" -name '*.[ch]' -exec grep -Hn '^ *# *include *"' {} +
}

broken=$(
    for room in src/*/; do
        room=${room#src/}
        room=${room%/}
        allowed=$(echo "$narrow" | awk -v r="$room" '$1 == r { $1 = ""; print; found = 1 } END { if (!found) print "?" }')
        if [ "$allowed" = "?" ]; then
            case " $order " in
            *" $room "*) allowed=${order%%"$room"*} ;;
            *) echo "src/$room: no room of the design (tools/check_layers.sh)"; continue ;;
            esac
        fi
        case " $public " in *" $room "*) allowed="$allowed aipc" ;; esac
        includes "src/$room" |
            awk -v room="$room" -v allowed=" $allowed " '
                # file:line:#include "target/spec.h"; without a folder: the same room, or what protoc-c made of graph/
                {
                    split($0, quoted, "\"")
                    n = split(quoted[2], part, "/")
                    to = n > 1 ? part[1] : (part[1] ~ /\.pb-c\.h$/ ? "graph" : room)
                    if (to == ".." || (to != room && !index(allowed, " " to " "))) print
                }'
    done
    echo "$folders" | while read -r room order; do
        [ -n "$room" ] || continue
        includes "src/$room" |
            awk -v room="$room" -v order="$order" '
                BEGIN { n = split(order, name, " "); for (i = 1; i <= n; i++) place[name[i]] = i }
                # src/surgery/match/expr.c:2:#include "surgery/facts/facts.h"
                {
                    split($0, quoted, "\"")
                    split($0, from, "/")
                    parts = split(quoted[2], to, "/")
                    if (!(from[3] in place)) print $0 " (no folder of the design: src/" room "/)"
                    else if (parts > 1 && to[1] == room && (!(to[2] in place) || place[to[2]] > place[from[3]])) print
                }'
    done
)
[ -z "$broken" ] && exit 0
echo "$broken"
exit 1
