# SPDX-License-Identifier: Apache-2.0
"""The program up to each call of its model, and on from there. Written by `aipc split`.

    python pre.py [--in FOLDER] [--files FOLDER] [ARGUMENTS...]

writes what the model is called with to FOLDER (inputs): CALL-NAME.npy; the program goes on with its own model. Without
ARGUMENTS it gets those that were recorded. `--in`: the folder it runs in (default: where it was recorded).

`run(model)` puts model(part, {name: array}) -> {name: array} in the place of the program's model; `part` is one of
split.json's signatures: which file of ours it is, and what its tensors are in a call."""
import argparse
import hashlib
import importlib
import json
import os
import runpy
import shutil
import sys
import weakref

import numpy as np

import post
from parts import flat, hook, identity

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "split.json")) as f:
    SPLIT = json.load(f)
WHO = SPLIT["identity"]["sha256"] if SPLIT["kind"] == "session" else identity.key(SPLIT["identity"])


def options(*more):
    p = argparse.ArgumentParser(prefix_chars="-")
    p.add_argument("--in", dest="folder", default=SPLIT["cwd"])
    for name, default in more:
        p.add_argument(name, default=default)
    mine, given = p.parse_known_args()
    for name, _ in more:  # the program may change its folder
        path = getattr(mine, name[2:])
        setattr(mine, name[2:], path and os.path.abspath(path))
    mine.command = SPLIT["command"][:_script(SPLIT["command"]) + 1] + given if given else SPLIT["command"]
    return mine


# ---- the program


def _script(command):
    """Where the program's name stands: behind the interpreter and its options."""
    at = 1 if os.path.basename(command[0]).startswith("python") else 0
    while at and command[at].startswith("-") and command[at] not in ("-m", "-c"):
        at += 2 if command[at] in ("-W", "-X") else 1
    return at + (command[at] in ("-m", "-c"))


def _start(command):
    at = _script(command)
    sys.argv, kind = command[at:], command[at - 1] if at else ""
    if kind == "-m":
        sys.path[0] = os.getcwd()
        runpy.run_module(command[at], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        exec(compile(command[at], "<string>", "exec"), {"__name__": "__main__"})
    else:
        path = command[at] if at else shutil.which(command[at])
        sys.path[0] = os.path.dirname(os.path.abspath(path))
        runpy.run_path(path, run_name="__main__")


# ---- its model


def _part(spec, leaves):
    """The signature of a call, or None."""
    metas = [flat.meta(x) for x in leaves]
    for part in SPLIT["signatures"]:
        want = [(i["dtype"], tuple(i["dims"])) for i in part["inputs"]]
        fits = len(want) == len(metas) and all(a[0] == b[0] and len(a[1]) == len(b[1]) and all(
            isinstance(n, str) or n == m for n, m in zip(a[1], b[1])) for a, b in zip(want, metas))
        if fits and (SPLIT["kind"] == "session" or flat.thaw(part["spec"]) == spec):
            return part
    return None


def _inputs(part, leaves):
    return {feed["input"]: flat.array(leaves[feed["leaf"]]) for feed in part["feeds"]}


def _sha256(model):
    if isinstance(model, (bytes, bytearray, memoryview)):
        return hashlib.sha256(model).hexdigest()
    with open(model, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class _Calls:
    """Calls of the model go to answer(part, leaves, original, names), all others to the original (parts/hook.py)."""

    def __init__(self, answer):
        self.answer, self.known, path = answer, weakref.WeakKeyDictionary(), SPLIT["path"] or ""
        self.method = path[1:] if path.startswith(".") else ""  # else a module, wherever it stands in another

    def methods(self, cls):
        return [self.method] if self.method and flat.class_path(cls) == SPLIT["identity"]["class"] else []

    def module(self, module, call, args, kwargs, method=""):
        if method == self.method and module not in self.known:
            self.known[module] = identity.class_of(module) == SPLIT["identity"]["class"] and identity.key(
                identity.of_module(module)) == WHO
        if method != self.method or not self.known[module]:
            return call(module, *args, **kwargs)
        leaves, spec = flat.flatten_call(args, kwargs)
        return self.answer(_part(spec, leaves), leaves, lambda: call(module, *args, **kwargs), None)

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)
        session._split = _sha256(args[0] if args else kwargs["path_or_bytes"]) == WHO

    def session_run(self, session, call, names, feed, options):
        if not getattr(session, "_split", False):
            return call(session, names, feed, options)
        kinds = {i.name: np.float32 if i.type == "tensor(float)" else i.type[7:-1] for i in session.get_inputs()}
        order = [i["name"] for i in SPLIT["signatures"][0]["inputs"]]
        arrays = {n: v.numpy() if hasattr(v, "numpy") else np.asarray(v, kinds.get(n)) for n, v in feed.items()}
        leaves, names = [arrays[n] for n in order if n in arrays], names or [o.name for o in session.get_outputs()]
        return self.answer(_part(None, leaves), leaves, lambda: call(session, names, feed, options), names)


def run(model, mine):
    """The program with model(part, inputs) in the place of its own; model None: its own, `seen` is told."""
    counts = {"calls": 0, "answered": 0}

    def answer(part, leaves, original, names):
        counts["calls"] += 1
        out = part and model(part, _inputs(part, leaves))
        if out is None:
            return original()
        counts["answered"] += 1
        return post.answer(part, out, names, leaves)
    name = "torch.nn.modules.module" if SPLIT["kind"] == "module" else "onnxruntime.capi.onnxruntime_inference_collection"
    hook.PATCHES[name](importlib.import_module(name), _Calls(answer))
    os.chdir(mine.folder)
    try:
        _start(mine.command)
    finally:
        sys.stdout.flush()
        sys.stderr.write("split: %d of %d calls of the model were answered\n" % (counts["answered"], counts["calls"]))
    return counts


def main():
    mine, number = options(("--files", "inputs")), [0]
    os.makedirs(mine.files, exist_ok=True)

    def keep(part, inputs):
        number[0] += 1
        for name, array in inputs.items():
            np.save(os.path.join(mine.files, "%04d-%s.npy" % (number[0], name)), array)
    run(keep, mine)


if __name__ == "__main__":
    main()
