#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""exec: what a served call costs beyond the artifact's run.

    bench/exec.py BUILD [CALLS]       table on stdout and in bench/results/exec-DATE.md; it measures and never asserts

The model is y = relu(x) of three sizes, deployed for the cpu and called by a PyTorch program (whose module multiplies
by a weight first, so that it has one) and by an onnxruntime program. alone: the program's own call; served: under
`aipc exec`, from the program's call to the answer in its hands; C: the same by libaipc alone; model: the artifact's run
inside the worker, that is, the one call of the vendor's library with all it does (bench/calls.c). beyond = served -
model: Python, the copy of the input, two processes' turns, the answer. copy: what C saves when the input lies in the
shared memory already (aipc_artifact_input_memory); a program's tensor does not. rest = beyond - copy. Microseconds of
CALLS (2000) calls, medians; of the served ones the fastest tenth, too: what other work on the machine takes away is not
ours."""
import datetime
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SIZES = {"4 KB": (1, 16, 8, 8), "588 KB": (1, 3, 224, 224), "4.7 MB": (1, 3, 640, 640)}


def program(kind, path, shape, calls):
    shape = tuple(map(int, shape.split("x")))
    if kind == "session":
        import numpy as np
        import onnxruntime as ort
        session, x = ort.InferenceSession(path), np.ones(shape, np.float32)
        call = lambda: session.run(None, {"x": x})
    else:
        import torch
        net, x = module().eval(), torch.ones(shape)
        call = lambda: net(x)
        torch.set_grad_enabled(False)
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    times.sort()
    print("%.2f %.2f" % (times[len(times) // 2] * 1e6, times[len(times) // 10] * 1e6))


def module():
    import torch

    class Relu(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.weight = torch.nn.Parameter(torch.rand(1))

        def forward(self, x):
            return torch.relu(x * self.weight)
    return Relu()


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit("%s: %s" % (" ".join(command), done.stderr[-2000:]))
    return done.stdout


def measure(build, calls, work, shape):
    aipc, text = os.path.join(build, "aipc"), "x".join(map(str, shape))
    me = [sys.executable, os.path.abspath(__file__)]
    run(aipc, "record", "-o", work + "/rec", "--", *me, "module", "-", text, "3")
    run(aipc, "deploy", work + "/rec", "-o", work + "/out", "--target", "cpu", "-q", "--no-trace")
    index = json.load(open(work + "/out/index.json"))
    folder = os.path.join(work, "out", index["models"][0]["artifacts"][0]["dir"])
    model = next(os.path.join(d, f) for d, _, fs in os.walk(work + "/rec/export") for f in fs if f.endswith(".onnx"))
    run(aipc, "deploy", model, "-o", work + "/session", "--target", "cpu", "-q", "--no-trace")
    out = run(os.path.join(build, "bench", "calls"), folder, str(calls))
    c = {m[0]: tuple(map(float, m[1:])) for m in re.findall(r"^(\S+ \S+) +whole +(\S+) +model +(\S+) +rest +(\S+)", out, re.M)}
    whole, inner, _ = c["lent outputs"]
    copy = max(0.0, whole - c["shared memory"][0])
    rows = []
    for kind, artifacts in (("module", "out"), ("session", "session")):
        argv = [*me, kind, model, text, str(calls)]
        alone = float(run(*argv).split()[0])
        served, fast = map(float, run(aipc, "exec", "--strict", "--artifacts", os.path.join(work, artifacts), "--", *argv).split())
        rows.append((kind, alone, served, fast, whole, inner, served - inner, fast - inner, copy, served - inner - copy))
    return rows


def main(build, calls="2000"):
    build, calls = os.path.abspath(build), int(calls)
    os.environ.update(AIPC_PYTHON=os.path.join(ROOT, "python"), AIPC_PROGRAM=os.path.join(build, "aipc"))
    lines = [__doc__.split("\n\n", 2)[2].replace("\n", " "), "",
             "| tensors in and out | called by | alone | served | fastest tenth | C | model | beyond | of the fastest tenth | copy | rest | goal of beyond |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    import tempfile
    with tempfile.TemporaryDirectory() as top:
        for name, shape in SIZES.items():
            work = os.path.join(top, name.replace(" ", ""))
            os.mkdir(work)
            for row in measure(build, calls, work, shape):
                lines.append("| %s each | %s | %s | < 50 |" % (name, row[0], " | ".join("%.1f" % v for v in row[1:])))
    load = "2 processors shared with other work, load %.1f" % os.getloadavg()[0]
    lines += ["", "%s, %s." % (datetime.date.today(), load)]
    print("\n".join(lines))
    with open(os.path.join(HERE, "results", "exec-%s.md" % datetime.date.today()), "w") as f:
        f.write("# What a served call costs\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    program(*sys.argv[1:]) if sys.argv[1] in ("module", "session") else main(*sys.argv[1:])
