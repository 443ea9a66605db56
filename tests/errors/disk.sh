#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Disks that are full or read-only, and an output folder somebody else works in. Small tmpfs mounts in a mount namespace of our own:
# as root, or where users may have one; else those tests are skipped.
if [[ -z ${AIPC_OWN_MOUNTS:-} ]]; then
    for how in "unshare -m" "unshare -rm"; do
        # shellcheck disable=SC2086
        if $how mount -t tmpfs none /mnt 2>/dev/null; then AIPC_OWN_MOUNTS=1 exec $how "$0" "$@"; fi
    done
fi
. "$(dirname "$0")/errors_lib.bash"
need_runtime "disk"
models
real=$(ls "$data"/runtimes/sample-yolov8n-*/320n.onnx)
photo=$(ls "$data"/runtimes/sample-photos-*/bus.jpg)
yolo=(deploy -q "$real" --shape images=1,3,320,320 -i images="$photo")

mkdir busy
(flock 9 && exec sleep 100) 9>busy/.lock &
holder=$!
sleep 0.2
refused "the folder is locked" 8 "aipc: error: 'busy/.lock' is held by another process
  where: busy/.lock
  next: wait for it to end, or stop it; the lock is freed when that process ends" deploy -q -o busy m/good.onnx
kill "$holder" && wait "$holder" 2>/dev/null
run deploy -q -o busy m/good.onnx
same "and when it is free, it works" 0 "$code"

# A second aipc, for real: the first one is stopped in the middle.
"$aipc" "${yolo[@]}" -o both >/dev/null 2>&1 &
first=$!
for ((i = 0; i < 200; i++)); do [[ -s both/.lock ]] && break; sleep 0.02; done
kill -STOP "$first"
refused "another aipc works there" 8 "aipc: error: 'both/.lock' is held by process $first
  where: both/.lock
  next: wait for it to end, or stop it; the lock is freed when that process ends" deploy -q -o both m/good.onnx
kill -CONT "$first"
wait "$first"
same "the first one ends well" 0 $?

refused "an output folder that cannot be made" 7 "aipc: error: making '/proc/out/logs': cannot make the folder '/proc/out': No such file or directory
  where: /proc/out
  next: choose another folder with -o" deploy -q -o /proc/out m/good.onnx
: >file
refused "the output folder is a file" 7 "aipc: error: making 'file/logs': cannot make the folder 'file': Not a directory
  where: file
  next: choose another folder with -o" deploy -q -o file m/good.onnx

if [[ -z ${AIPC_OWN_MOUNTS:-} ]]; then
    echo "ok full and read-only disks # skipped: may not mount"
    finish
fi
# Before the folder below them is removed.
trap 'cd /; umount "$tmp"/* 2>/dev/null; rm -rf "$tmp"' EXIT
mounted() { # DIR SIZE
    mkdir -p "$1"
    mount -t tmpfs -o "size=$2" none "$1"
}
mounted small 32k
refused "the disk of the output folder is full, small model" 7 "aipc: error: cannot write the report into small/o: cannot write 'small/o/report.html': No space left on device
  where: report/small/o/report.html
  next: make room there, or work elsewhere: -o DIR, AIPC_CACHE, AIPC_DATA" deploy -q -o small/o m/good.onnx
same "no artifact is left there" no "$([[ -e small/o/manifest.json ]] && echo yes || echo no)"
mounted medium 4m
refused "the disk of the output folder is full, real model" 7 "aipc: error: cannot write 'medium/o/cpu.new/model.onnx': No space left on device
  where: report/medium/o/cpu.new/model.onnx
  next: make room there, or work elsewhere: -o DIR, AIPC_CACHE, AIPC_DATA" "${yolo[@]}" -o medium/o
same "no artifact is left there, real model" no "$([[ -e medium/o/manifest.json ]] && echo yes || echo no)"
mount -o remount,size=64m medium
run "${yolo[@]}" -o medium/o
same "with room, it goes on" 0 "$code"

for size in 4k 16k 64k 1m 4m 11m; do
    mounted "cache-$size" "$size"
    AIPC_CACHE=$tmp/cache-$size run "${yolo[@]}" -o o
    same "the disk of the store is full at $size" 7 "$code"
    has "the disk of the store is full at $size: it says so" "$err" "No space left on device"
    has "the disk of the store is full at $size: and what to do" "$err" "  next: make room there, or work elsewhere"
    umount "cache-$size"
done
mounted cache-grows 1m
AIPC_CACHE=$tmp/cache-grows run "${yolo[@]}" -o o
mount -o remount,size=64m cache-grows
AIPC_CACHE=$tmp/cache-grows run "${yolo[@]}" -o o
same "with room in the store, it goes on" 0 "$code"
same "nothing half-made stays in the store" "" "$(ls cache-grows/tmp)"

for size in 64k 1m 1300k 1500k 2m; do
    mount -t tmpfs -o "size=$size" none /dev/shm
    run "${yolo[@]}" --fresh -o o
    same "the scratch folder is full at $size" 7 "$code"
    has "the scratch folder is full at $size: it says so" "$err" "No space left on device"
    same "the scratch folder is full at $size: and is left empty" "" "$(ls /dev/shm)"
    umount /dev/shm
done

mkdir ro
mount --bind ro ro && mount -o remount,bind,ro ro
refused "a read-only output folder" 7 "aipc: error: making 'ro/logs': cannot make the folder 'ro/logs': Read-only file system
  where: ro/logs
  next: choose another folder with -o" deploy -q -o ro m/good.onnx
refused "an output folder below a read-only one" 7 "aipc: error: making 'ro/deep/er/logs': cannot make the folder 'ro/deep': Read-only file system
  where: ro/deep
  next: choose another folder with -o" deploy -q -o ro/deep/er m/good.onnx
AIPC_CACHE=$tmp/ro/cache refused "a read-only store" 7 "aipc: error: making 'TMP/ro/cache/objects': cannot make the folder 'TMP/ro/cache': Read-only file system
  where: TMP/ro/cache
  next: work where you may write: -o DIR, AIPC_CACHE, AIPC_DATA" deploy -q -o o m/good.onnx
refused "run into a read-only folder" 7 "aipc: error: making 'ro/outputs': cannot make the folder 'ro/outputs': Read-only file system
  where: ro/outputs
  next: work where you may write: -o DIR, AIPC_CACHE, AIPC_DATA" run both -o ro/outputs
finish
