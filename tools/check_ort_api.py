#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare src/engine/ort_api.h with an official onnxruntime_c_api.h.

usage: check_ort_api.py [--ours FILE] HEADER...

ort_api.h declares the functions of ONNX Runtime that aipc calls by their position in the library's tables. A wrong position
calls a wrong function, so whenever the file is edited, or a newer release is to be used, run this against the header of that
release, and of an older one to see that positions agree between releases. The official header is not part of this
repository; unpack it from a release archive or from a package that carries it (the npm package com.github.asus4.onnxruntime
does). onnxruntime_error_code.h is read too when it lies next to HEADER.

Checked for each HEADER: position, return type and parameter types of every function; the value of every enumerator; order
and types of the fields of OrtEnvCreationOptions. A function or enumerator that the header does not have is a mismatch when
the header is at least as new as AP_ORT_API_VERSION, and only listed when it is older.

Exit status: 0 all agree, 1 mismatches (printed, one a line), 2 wrong usage or an unreadable file.
"""

import argparse
import pathlib
import re
import sys

TABLES = {
    "AP_ORT_BASE_FUNCTIONS": "OrtApiBase",
    "AP_ORT_FUNCTIONS": "OrtApi",
    "AP_ORT_COMPILE_FUNCTIONS": "OrtCompileApi",
}
STRUCTS = ["OrtEnvCreationOptions"]
CALLBACKS = ["OrtLoggingFunction"]


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def without_directives(text):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)


def balanced(text, start):
    """The text inside the bracket that opens at text[start], and the position after its end."""
    pairs = {"(": ")", "{": "}"}
    opening, closing, depth = text[start], pairs[text[start]], 0
    for i in range(start, len(text)):
        depth += (text[i] == opening) - (text[i] == closing)
        if depth == 0:
            return text[start + 1 : i], i + 1
    raise ValueError("unbalanced " + opening)


def split_top(text, separator=","):
    """Splits at separators that stand outside of brackets."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "({[") - (c in ")}]")
        if c == separator and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    parts.append(text[last:])
    return [p.strip() for p in parts if p.strip()]


def type_of(declaration):
    """A parameter, field or return type reduced to the bare type: no annotations, no name, one spelling."""
    d = re.sub(r"\b_\w+_\s*(\([^()]*\))?", " ", declaration)
    d = re.sub(r"\b(struct|enum|ORT_API_CALL|NO_EXCEPTION)\b", " ", d)
    d = d.replace("ORTCHAR_T", "char").replace("OrtStatusPtr", "OrtStatus*")
    d = re.sub(r"\w*\s*\[\s*\]", "*", d)
    words = re.findall(r"\w+|\*", d)
    # The last word is the parameter's name when another word, or a star, already gives the type.
    named = [w for w in words if w not in ("const", "*")]
    if words and words[-1] != "*" and words[-1] != "const" and (len(named) > 1):
        words.pop()
    # "const T" and "T const" are one type; a const on the parameter itself does not matter to the caller.
    out = " ".join(words)
    out = re.sub(r"\s*\*\s*", "*", out)
    return re.sub(r"^const (\w+)", r"\1 const", out).strip()


def types_of(parameters):
    kinds = [type_of(p) for p in split_top(parameters)]
    return [] if kinds == ["void"] else kinds


def official_member(text):
    """(name, return type, parameter types) of one member of an official table of function pointers."""
    m = re.match(r"ORT_CLASS_RELEASE\s*\(\s*(\w+)\s*\)", text)
    if m:
        return "Release" + m[1], "void", [f"Ort{m[1]}*"]
    m = re.match(r"(ORT_API2_STATUS|ORT_API_T)\s*(?=\()", text)
    if m:
        parts = split_top(balanced(text, m.end())[0])
        result = "OrtStatus*" if m[1] == "ORT_API2_STATUS" else type_of(parts.pop(0))
        return parts[0], result, types_of(",".join(parts[1:]))
    m = re.match(r"(.*?)\(\s*ORT_API_CALL\s*\*\s*(\w+)\s*\)\s*(?=\()", text, flags=re.S)
    if m:
        return m[2], type_of(m[1]), types_of(balanced(text, m.end())[0])
    raise ValueError("cannot read the member: " + text[:80])


def official_table(text, struct):
    m = re.search(r"\bstruct\s+%s\s*(?=\{)" % struct, text)
    if not m:
        raise ValueError("no struct " + struct)
    members = split_top(balanced(text, m.end())[0], ";")
    return {name: (i, result, args) for i, (name, result, args) in enumerate(map(official_member, members))}


def our_table(text, macro):
    m = re.search(r"#define %s\(X\)((?:[^\n]*\\\n)*[^\n]*)" % macro, text)
    if not m:
        raise ValueError("no macro " + macro)
    body, at, rows = m[1].replace("\\\n", " "), 0, {}
    for call in re.finditer(r"\bX\(", body):
        if call.start() < at:
            continue
        inside, at = balanced(body, call.end() - 1)
        name, position, result, parameters = split_top(inside)
        if name in rows:
            raise ValueError(f"{macro}: {name} stands there twice")
        rows[name] = (int(position), type_of(result), types_of(parameters.strip()[1:-1]))
    return rows


def enumerators(text):
    """name -> value of every enumerator whose value can be worked out here."""
    values = {}
    for m in re.finditer(r"\benum\b[^;{}()]*(?=\{)", text):
        value = -1
        for item in split_top(balanced(text, m.end())[0]):
            name, _, expression = (s.strip() for s in item.partition("="))
            if not expression:
                value += 1
            elif m2 := re.fullmatch(r"(-?\w+)\s*(?:<<\s*(\d+))?", expression.strip("() ")):
                try:
                    value = int(m2[1], 0) << int(m2[2] or 0)
                except ValueError:  # the name of an earlier enumerator
                    if expression not in values:
                        break
                    value = values[expression]
            else:
                break
            values[name] = value
    return values


def fields(text, struct):
    m = re.search(r"\bstruct\s+%s\s*(?=\{)" % struct, text)
    if not m:
        raise ValueError("no struct " + struct)
    return [" ".join(re.findall(r"\w+|\*", f)).replace("* ", "*") for f in split_top(balanced(text, m.end())[0], ";")]


def callback(text, name):
    m = re.search(r"\(\s*(?:ORT_API_CALL)?\s*\*\s*%s\s*\)\s*(?=\()" % name, text)
    return types_of(balanced(text, m.end())[0]) if m else None


def compare(ours_raw, ours, header, report):
    raw = header.read_text()
    theirs = without_directives(without_comments(raw))
    beside = header.with_name("onnxruntime_error_code.h")
    more = without_directives(without_comments(beside.read_text())) if beside.exists() else ""
    version = int(re.search(r"#define\s+ORT_API_VERSION\s+(\d+)", raw)[1])
    wanted = int(re.search(r"#define\s+AP_ORT_API_VERSION\s+(\d+)", ours_raw)[1])
    counts = [0, 0]
    wrong = []

    def absent(what):
        (wrong if version >= wanted else report).append(f"{what} is not in this header")

    for macro, struct in TABLES.items():
        table = official_table(theirs, struct)
        for name, (position, result, args) in our_table(ours_raw, macro).items():
            counts[0] += 1
            if name not in table:
                absent(f"{struct}.{name}")
                continue
            there, their_result, their_args = table[name]
            if there != position:
                wrong.append(f"{struct}.{name}: position {position} here, {there} there")
            if (result, args) != (their_result, their_args):
                wrong.append(f"{struct}.{name}: {result} {args} here, {their_result} {their_args} there")
    theirs_enum = enumerators(theirs) | enumerators(more)
    for name, value in enumerators(ours).items():
        counts[1] += 1
        if name not in theirs_enum:
            absent(name)
        elif theirs_enum[name] != value:
            wrong.append(f"{name}: {value} here, {theirs_enum[name]} there")
    for struct in STRUCTS:
        if fields(ours, struct) != fields(theirs, struct):
            wrong.append(f"{struct}: fields {fields(ours, struct)} here, {fields(theirs, struct)} there")
    for name in CALLBACKS:
        if callback(ours, name) != callback(theirs, name):
            wrong.append(f"{name}: {callback(ours, name)} here, {callback(theirs, name)} there")
    return version, counts, wrong


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    default = pathlib.Path(__file__).resolve().parent.parent / "src/engine/ort_api.h"
    parser.add_argument("--ours", type=pathlib.Path, default=default)
    parser.add_argument("headers", type=pathlib.Path, nargs="+")
    options = parser.parse_args()

    failed = False
    try:
        ours_raw = without_comments(options.ours.read_text())
        ours = without_directives(ours_raw)
        for header in options.headers:
            report = []
            version, counts, wrong = compare(ours_raw, ours, header, report)
            verdict = f"{len(wrong)} mismatches" if wrong else "all agree"
            print(f"{header}: interface {version}: {counts[0]} functions, {counts[1]} enumerators: {verdict}")
            for line in report:
                print("  note: " + line)
            for line in wrong:
                print("  wrong: " + line)
            failed |= bool(wrong)
    except (OSError, ValueError, TypeError) as e:
        print(f"check_ort_api.py: {e}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
