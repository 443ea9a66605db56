#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""exec: what a served call costs beyond the artifact's run.

    bench/exec.py BUILD [CALLS]       table on stdout and in bench/results/exec-DATE.md; it measures and never asserts

The model is y = relu(x) of three sizes, deployed for the cpu and called by a PyTorch program (whose module multiplies
by a weight first, so that it has one) and by an onnxruntime program. alone: the program's own call; served: under
`aipc exec`, from the program's call to the answer in its hands; run: the artifact's run inside the worker in these very
calls, that is, the one call of the vendor's library with all it does. beyond = served - run, of each call: Python, two
processes' turns, the answer. copied: bytes of the input that were copied, since its memory is not the worker's, too: none
where the program's tensor is a block of its own of just this size; the program calls once more with a part of a larger
one, "copy beyond". Microseconds of CALLS (2000) calls, medians; of beyond the fastest tenth, too: what other work on the
machine takes away is not ours."""
import datetime
import json
import os
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
        session, two = ort.InferenceSession(path), np.ones((2, *shape), np.float32)
        given = [np.ones(shape, np.float32), two[1]]
        call = lambda x: session.run(None, {"x": x})
    else:
        import torch
        net, call = module().eval(), lambda x: net(x)
        given = [torch.ones(shape), torch.ones((2, *shape))[1]]
        torch.set_grad_enabled(False)
    for x in given:
        print(json.dumps(measure_calls(call, x, int(calls))))


def measure_calls(call, x, calls):
    """Medians; and of a served call what its run was, as libaipc said it."""
    call(x)
    hook = sys.modules.get("aipc.hook") if os.environ.get("AIPC_HOOK") == "exec" else None
    models = hook.handler().server.found.values() if hook else ()
    served = [d for m in models for d in m.chosen.values()]
    times, runs, copied = [], [], 0
    for _ in range(calls):
        start = time.perf_counter()
        call(x)
        times.append((time.perf_counter() - start) * 1e6)
        if served:
            runs.append(served[0].told[2])
            copied += served[0].told[3]
    beyond = sorted(t - r for t, r in zip(times, runs)) or [0]
    middle = lambda values: sorted(values or [0])[len(values) // 2]
    return {"time": middle(times), "run": middle(runs), "beyond": middle(beyond), "fast": beyond[len(beyond) // 10],
            "copied": copied // calls}


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
    model = next(os.path.join(d, f) for d, _, fs in os.walk(work + "/rec/export") for f in fs if f.endswith(".onnx"))
    run(aipc, "deploy", model, "-o", work + "/session", "--target", "cpu", "-q", "--no-trace")
    rows = []
    for kind, artifacts in (("module", "out"), ("session", "session")):
        argv = [*me, kind, model, text, str(calls)]
        alone = json.loads(run(*argv).split("\n")[0])
        out = run(aipc, "exec", "--strict", "--artifacts", os.path.join(work, artifacts), "--", *argv).split("\n")
        own, part = map(json.loads, out[:2])
        rows.append((kind, alone["time"], own["time"], own["run"], own["beyond"], own["fast"], own["copied"], part["beyond"],
                     part["copied"]))
    return rows


def main(build, calls="2000"):
    build, calls = os.path.abspath(build), int(calls)
    os.environ.update(AIPC_PYTHON=os.path.join(ROOT, "python"), AIPC_PROGRAM=os.path.join(build, "aipc"))
    lines = [__doc__.split("\n\n", 2)[2].replace("\n", " "), "",
             "| tensors in and out | called by | alone | served | run | beyond | of the fastest tenth | copied | goal of beyond "
             "| copy beyond | copied |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    import tempfile
    with tempfile.TemporaryDirectory() as top:
        for name, shape in SIZES.items():
            work = os.path.join(top, name.replace(" ", ""))
            os.mkdir(work)
            for row in measure(build, calls, work, shape):
                lines.append("| %s each | %s | %.1f | %.1f | %.1f | %.1f | %.1f | %d | < 50 | %.1f | %d |" % (name, *row))
    load = "2 processors shared with other work, load %.1f" % os.getloadavg()[0]
    lines += ["", "%s, %s." % (datetime.date.today(), load)]
    print("\n".join(lines))
    with open(os.path.join(HERE, "results", "exec-%s.md" % datetime.date.today()), "w") as f:
        f.write("# What a served call costs\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    program(*sys.argv[1:]) if sys.argv[1] in ("module", "session") else main(*sys.argv[1:])
