# SPDX-License-Identifier: Apache-2.0
"""The three parts together: pre.py, the model as a file, post.py. Written by `aipc split`.

    python infer.py [--in FOLDER] [ARGUMENTS...]              the program, its model answered by model.onnx
    python infer.py --inputs inputs --outputs outputs         the model alone, on files that pre.py wrote

With a deployment of model.onnx: aipc exec --artifacts DIR -- python infer.py"""
import glob
import os

import numpy as np
import onnxruntime as ort

import pre

# Made before pre.run() looks at sessions: these are never taken for the program's own.
SESSIONS = {p["file"]: ort.InferenceSession(os.path.join(pre.HERE, p["file"]), providers=["CPUExecutionProvider"])
            for p in pre.SPLIT["signatures"]}


def model(part, inputs):
    session = SESSIONS[part["file"]]
    names = [o.name for o in session.get_outputs()]
    wanted = {i.name for i in session.get_inputs()}
    return dict(zip(names, session.run(names, {n: x for n, x in inputs.items() if n in wanted})))


def files(source, to):
    os.makedirs(to, exist_ok=True)
    for call in sorted({os.path.basename(f)[:4] for f in glob.glob(os.path.join(source, "*.npy"))}):
        found = {os.path.basename(f)[5:-4]: np.load(f) for f in glob.glob(os.path.join(source, call + "-*.npy"))}
        part = next(p for p in pre.SPLIT["signatures"] if all(
            f["input"] in found and len(found[f["input"]].shape) == len(p["inputs"][f["leaf"]]["dims"]) and all(
                isinstance(n, str) or n == m for n, m in zip(p["inputs"][f["leaf"]]["dims"], found[f["input"]].shape))
            for f in p["feeds"]))
        for name, array in model(part, found).items():
            np.save(os.path.join(to, "%s-%s.npy" % (call, name)), array)


if __name__ == "__main__":
    mine = pre.options(("--inputs", None), ("--outputs", "outputs"))
    if mine.inputs:
        files(mine.inputs, mine.outputs)
    else:
        pre.run(model, mine)
