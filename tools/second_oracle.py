#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The second oracle of `aipc rules test --second`: ONNX's own reference evaluator (pip package onnx), in numpy.
# A development tool: aipc runs without it. The protocol stands in src/surgery/oracle/oracle_command.h.
import json
import os
import sys
import warnings

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

WIDE = {"bfloat16"}  # numpy has no such type: the file holds its bits


def answer(request):
    model = onnx.load(request["model"])
    inputs = {}
    for item in request["inputs"]:
        if item["dtype"] in WIDE:
            raise TypeError("no " + item["dtype"] + " in numpy")
        inputs[item["name"]] = np.load(item["file"])
    session = ReferenceEvaluator(model)
    names = [o.name for o in model.graph.output]
    outputs = []
    for i, (name, value) in enumerate(zip(names, session.run(None, inputs))):
        value = np.asarray(value, order="C")  # ascontiguousarray would give a scalar a dimension
        path = os.path.join(request["dir"], "out%d.npy" % i)
        np.save(path, value)
        outputs.append({"name": name, "dtype": str(value.dtype), "dims": list(value.shape), "file": path})
    return {"outputs": outputs}


def main():
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    rest = b""
    while True:
        while b"\n" not in rest:
            piece = os.read(3, 65536)
            if not piece:
                return 0
            rest += piece
        line, rest = rest.split(b"\n", 1)
        try:
            reply = answer(json.loads(line))
        except Exception as problem:  # whatever the evaluator cannot do is its answer
            reply = {"error": "%s: %s" % (type(problem).__name__, problem)}
        text = json.dumps(reply).encode() + b"\n"
        while text:
            text = text[os.write(3, text) :]


if __name__ == "__main__":
    sys.exit(main())
