#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a wheel: the program, the library, the drop-in and the Python package. `make wheel` calls it.

usage: wheel.py --version V --program ELF --library ELF --dropin DIR --python DIR --licence FILE -o DIR

A wheel is a zip file with a list of its files, so nothing but Python itself is needed to make one. What the two ELF files
need beside glibc goes to lib/aipc of the environment, where their RPATH looks; the tag is the newest glibc any of them asks for.
"""
import argparse
import base64
import hashlib
import os
import re
import subprocess
import zipfile

GLIBC = re.compile(r"^(libc|libm|libdl|libpthread|librt|ld-linux.*|linux-vdso)\.so")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(files):
    """Paths of the shared libraries these files load, without glibc's."""
    found = {}
    for f in files:
        for line in run("ldd", f).splitlines():
            m = re.match(r"\s*(\S+) => (\S+) \(", line)
            if "not found" in line:
                raise SystemExit("wheel.py: %s: %s" % (f, line.strip()))
            if m and not GLIBC.match(m.group(1)):
                found[m.group(1)] = m.group(2)
    return found


def glibc_of(files):
    """The newest GLIBC_2.x any file asks for."""
    text = "".join(run("objdump", "-T", f) for f in files)
    return max(int(n) for n in re.findall(r"GLIBC_2\.(\d+)", text))


class Wheel:
    def __init__(self, path, info):
        self.zip, self.record, self.info = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED), [], info

    def add(self, name, data, mode=0o644):
        entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))  # the same bytes make the same wheel
        entry.external_attr, entry.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
        self.zip.writestr(entry, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append("%s,sha256=%s,%d" % (name, digest, len(data)))

    def file(self, name, path, mode=0o644):
        with open(path, "rb") as f:
            self.add(name, f.read(), mode)

    def close(self):
        record = self.info + "/RECORD"
        self.add(record, ("\n".join(self.record) + "\n%s,,\n" % record).encode())
        self.zip.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ("version", "program", "library", "dropin", "python", "licence"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("-o", "--output", required=True)
    a = parser.parse_args()
    libraries = needed([a.program, a.library])
    dropins = [os.path.join(a.dropin, f) for f in ("libonnxruntime.so.1", "compat/libonnxruntime.so.1", "libaipc_heap.so")]
    tag = "py3-none-manylinux_2_%d_%s" % (
        glibc_of([a.program, a.library, *dropins, *libraries.values()]), os.uname().machine)
    name = "aipc-" + a.version
    os.makedirs(a.output, exist_ok=True)
    path = os.path.join(a.output, "%s-%s.whl" % (name, tag))
    w = Wheel(path, name + ".dist-info")
    for folder, _, files in sorted(os.walk(a.python)):
        for f in sorted(files):
            full = os.path.join(folder, f)
            if f.endswith(".py"):
                w.file(os.path.relpath(full, a.python), full)
    w.file("aipc/libaipc.so.0", a.library, 0o755)  # a libaipc.so would be taken for the Python module
    for f in dropins:
        w.file("aipc/dropin/" + os.path.relpath(f, a.dropin), f, 0o755)
    w.file(name + ".data/scripts/aipc", a.program, 0o755)
    for soname, f in sorted(libraries.items()):
        w.file("%s.data/data/lib/aipc/%s" % (name, soname), f, 0o755)
    w.file(w.info + "/licenses/LICENSE", a.licence)
    w.add(w.info + "/METADATA", ("Metadata-Version: 2.4\nName: aipc\nVersion: %s\nSummary: From a model, or the program that "
                                 "runs it, to a verified NPU artifact\nLicense-Expression: Apache-2.0\nLicense-File: LICENSE\n"
                                 "Requires-Python: >=3.9\n" % a.version).encode())
    w.add(w.info + "/WHEEL", ("Wheel-Version: 1.0\nGenerator: aipc tools/wheel.py\nRoot-Is-Purelib: false\nTag: %s\n" % tag).encode())
    w.close()
    print(path)


if __name__ == "__main__":
    main()
