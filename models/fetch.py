# SPDX-License-Identifier: Apache-2.0
"""Makes models: fetch.py --list | [--again] --all | NAME... (models/fetch.sh sets Python up and calls this).

For each NAME of models.json: DIR/NAME/model.onnx, DIR/NAME/inputs/INPUT.npy, DIR/NAME/meta.json with the deploy options;
DIR is $AIPC_DATA/models. What is there stays, unless --again."""
import importlib
import json
import os
import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from common import Missing, member, sha256

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = json.load(open(os.path.join(HERE, "models.json")))


class Job:
    """One model in the making: where its files come from and go to."""

    def __init__(self, entry, folder, cache):
        self.entry, self.name, self.folder, self.cache = entry, entry["name"], folder, cache
        self.model = self.path("model.onnx")

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, role):
        f = TABLE["files"][self.entry["files"][role]]
        return member(f["package"], f["path"], f["sha256"], self.cache)

    def shape(self, name):
        return self.entry["inputs"][name]


def installed(names):
    out = {}
    for n in names:
        try:
            out[n] = version(n)
        except PackageNotFoundError:
            pass
    return out


def make(entry, top, cache):
    folder = os.path.join(top, entry["name"])
    shutil.rmtree(folder + ".new", ignore_errors=True)
    os.makedirs(folder + ".new/inputs")
    job = Job(entry, folder + ".new", cache)
    module, function = entry["make"].split(".")
    samples = getattr(importlib.import_module(module), function)(job)
    deploy = []
    for name, a in samples.items():
        if list(a.shape) != entry["inputs"][name]:
            raise SystemExit(f"{entry['name']}: input {name} is {list(a.shape)}, the table says {entry['inputs'][name]}")
        np.save(job.path(f"inputs/{name}.npy"), a)
        if not any(o.startswith(name + "=") for o in entry.get("deploy", [])):  # else --fix says what it is
            deploy += ["--input", f"{name}=inputs/{name}.npy"]
    meta = {"name": entry["name"], "weights": entry["weights"], "licence": entry["licence"],
            "model_sha256": sha256(job.model), "model_bytes": os.path.getsize(job.model), "inputs": entry["inputs"],
            "deploy": deploy + entry.get("deploy", []),
            "made_with": installed(("torch", "torchvision", "onnx", "onnxscript", "ultralytics", "transformers",
                                    "openai-whisper", "numpy"))}
    with open(job.path("meta.json"), "w") as f:
        json.dump(meta, f, indent=1)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(folder + ".new", folder)
    return meta


def main(args):
    data = os.environ.get("AIPC_DATA") or os.path.join(os.path.dirname(HERE), ".deps", "data")
    top, cache = os.path.join(data, "models"), os.path.join(data, "models", ".packages")
    again, args = "--again" in args, [a for a in args if a != "--again"]
    known = {e["name"]: e for e in TABLE["models"]}
    if args == ["--list"]:
        for e in TABLE["models"]:
            print(f"{e['name']:20} {e['weights']:12} {e['what']}")
        return 0
    names = list(known) if args == ["--all"] else args
    if not names or any(n not in known for n in names):
        print(__doc__ + "\n\nNames: " + " ".join(known), file=sys.stderr)
        return 2
    os.makedirs(cache, exist_ok=True)
    for name in names:
        if os.path.exists(os.path.join(top, name, "meta.json")) and not again:
            continue
        start = time.monotonic()
        try:
            meta = make(known[name], top, cache)
        except Missing as why:
            print(f"{name}: skipped: data not here: {why}", flush=True)
            continue
        finally:
            shutil.rmtree(os.path.join(top, name + ".new"), ignore_errors=True)
        print(f"{name}: {meta['model_bytes']} bytes, {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
