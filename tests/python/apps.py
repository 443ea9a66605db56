# SPDX-License-Identifier: Apache-2.0
"""Small programs for tests/e2e/exec.sh, and the deployment they are served from.

apps.py index DIR AIPC      exports and deploys the tiny modules of this file, writes DIR/index.json
apps.py torch WHAT          a PyTorch program; WHAT names one of the cases below
apps.py ort MODEL WHAT      an onnxruntime program
Prints numbers as hex or short decimals, so that two runs can be compared.
"""
import json
import os
import subprocess
import sys


def show(name, x):
    """Every element, rounded: the artifact may differ in the last bits."""
    import numpy as np
    a = np.asarray(x.detach().float().numpy() if hasattr(x, "detach") else x, dtype=np.float64)
    print(name, a.shape, " ".join("%.4f" % v for v in a.ravel()[:6]), "%.3f" % a.sum(), flush=True)


def tiny():
    import torch

    class Out(dict):
        pass

    class Tiny(torch.nn.Module):
        """Two inputs, one by keyword; a dict and a tuple come back."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(5)
            self.conv, self.lin = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Linear(4, 2)

        def forward(self, x, scale=None, flag=True):
            y = torch.relu(self.conv(x))
            y = y if scale is None else y * scale
            return {"map": y, "pair": (self.lin(y.mean((2, 3))), 3)}

        def encode(self, x, gain):
            return self.lin(torch.relu(self.conv(x)).mean((2, 3))) * gain
    return Tiny().eval()


def arguments(torch, seed=0, size=8):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, size, size, generator=g), torch.rand(1, 1, 1, 1, generator=g)


def keeping(call, want):
    """Answers are the program's own, however many of them it has, whatever it does with them, and in whatever process.
    call(i) -> array or tensor, another one for each i; want(i): what it should be, by numpy."""
    import threading
    import numpy as np

    def wrong(answers, change=0):
        return sum(not np.allclose(np.asarray(a), want(i) + change, atol=1e-4) for i, a in answers.items())
    kept = {i: call(i) for i in range(30)}
    for i in range(0, 30, 3):
        kept[i] -= 5
    print("written to", wrong({i: kept.pop(i) for i in range(0, 30, 3)}, -5), "kept", wrong(kept))
    views = [(i, kept.pop(i).reshape(-1)[5:9]) for i in list(kept)[:14]]
    again = {i: call(i) for i in range(30, 42)}
    print("views", sum(not np.allclose(np.asarray(v), want(i).reshape(-1)[5:9], atol=1e-4) for i, v in views), wrong(again))
    del kept, views, again
    found = []

    def work(base):
        mine = {base + i: call(base + i) for i in range(12)}
        found.append(wrong(mine))
    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(1, 4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print("threads", found, flush=True)
    for i in range(200, 203):
        mine = {i: call(i)}
        child = os.fork()
        mine[i] += -1 if child else 1
        others = {k: call(k) for k in range(220, 223)}
        if child == 0:
            os._exit(wrong(mine, 1) + wrong(others))
        print("child", os.waitpid(child, 0)[1], "parent", wrong(mine, -1), wrong(others), flush=True)


def end_workers():
    """As a crash would. Alone there is none."""
    import signal
    with open("/proc/self/task/%d/children" % os.getpid()) as f:
        for pid in map(int, f.read().split()):
            with open("/proc/%d/cmdline" % pid, "rb") as c:
                if c.read().split(b"\0")[1:2] == [b"worker"]:
                    os.kill(pid, signal.SIGKILL)


def write_index(folder, aipc):
    import torch
    sys.path.insert(0, os.environ["AIPC_PYTHON"])
    from aipc import flat, identity
    model = tiny()
    artifacts = []
    for tag, kind, size in (("float", torch.float32, 8), ("half", torch.float16, 8), ("wide", torch.float32, 96)):
        m, (x, scale) = model if kind == torch.float32 else tiny().to(kind), arguments(torch, size=size)
        xs, ss = x.to(kind), scale.to(kind)

        class Flat(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.m = m

            def forward(self, a, b):
                return tuple(flat.flatten(self.m(a, scale=b))[0])
        path = os.path.join(folder, tag + ".onnx")
        torch.onnx.export(Flat(), (xs, ss), path, input_names=["x", "scale"], output_names=["map", "score"], dynamo=False,
                          opset_version=17)
        out = os.path.join(folder, "Tiny", tag)
        subprocess.run([aipc, "deploy", path, "-o", out, "--target", "cpu", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        leaves, spec = flat.flatten_call((xs,), {"scale": ss})
        answer, out_spec = flat.flatten(m(xs, scale=ss))

        def io(list_of, names):
            return [dict(zip(("dtype", "dims"), flat.meta(t)), name=n) for t, n in zip(list_of, names)]
        artifacts.append((m, {
            "signature": tag, "dir": "Tiny/" + tag, "verdict": "pass", "spec": spec, "inputs": io(leaves, ("x", "scale")),
            "out_spec": out_spec, "outputs": io(answer, ("map", "score")),
            "feeds": [{"input": "x", "leaf": 0}, {"input": "scale", "leaf": 1}],
            "results": [{"output": "map", "leaf": 0}, {"output": "score", "leaf": 1}]}))
    index = {"format": 1, "kind": "aipc index", "aipc": "0", "created": "", "recording": "", "targets": ["cpu"], "models": [
        {"name": "TinyHalf" if i == 1 else "Tiny", "kind": "module", "identity": dict(
            identity.of_module(m), **{"class": "__main__:tiny.<locals>.Tiny"}), "path": None, "artifacts": [a]}
        for i, (m, a) in enumerate(artifacts)]}
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump(index, f)


def torch_program(what):
    import torch
    model, (x, scale) = tiny(), arguments(torch)

    def put(tag, out):
        show(tag + " map", out["map"])
        show(tag + " score", out["pair"][0])
        print(type(out).__name__, type(out["pair"]).__name__, out["pair"][1], out["map"].dtype)
    with torch.no_grad():
        if what == "plain":
            for seed in range(3):
                x, scale = arguments(torch, seed)
                out = model(x, scale=scale)
                put("call", out)
                out["map"].zero_()  # its memory is the program's own
        elif what == "method":
            for seed in range(3):
                show("encoded", model.encode(*arguments(torch, seed)))
        elif what == "other":  # shapes and arguments that were not deployed
            put("big", model(torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(1)), scale=scale))
            put("flag", model(x, scale=scale, flag=False))
            put("good", model(x, scale=scale))
        elif what == "layout":
            put("channels_last", model(x.contiguous(memory_format=torch.channels_last), scale=scale))
            put("strided", model(torch.rand(1, 3, 8, 16, generator=torch.Generator().manual_seed(1))[..., ::2], scale=scale))
            put("half", model.half()(x.half(), scale=scale.half()))
        elif what == "weights":
            put("before", model(x, scale=scale))
            model.lin.bias.add_(1)
            model.conv.weight.mul_(2)
            put("after", model(x, scale=scale))
        elif what == "threads":
            import threading
            wanted, wrong = [model.__class__.forward(model, arguments(torch, i)[0], scale=scale)["map"] for i in range(4)], []

            def work(i):
                with torch.no_grad():
                    for _ in range(20):
                        got = model(arguments(torch, i)[0], scale=scale)["map"]
                        wrong.append(not torch.allclose(got, wanted[i], atol=1e-4))
            threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            print("wrong", sum(wrong), "of", len(wrong))
        elif what == "fork":
            torch.set_num_threads(1)  # its thread pool does not survive a fork
            put("parent", model(x, scale=scale))
            sys.stdout.flush()
            child = os.fork()
            put("child" if child == 0 else "parent", model(x, scale=scale))
            sys.stdout.flush()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        elif what == "children":  # a program of its own
            put("parent", model(x, scale=scale))
            subprocess.run([sys.executable, __file__, "torch", "layout"], check=True)
        elif what == "kept":
            torch.set_num_threads(1)  # its thread pool does not survive a fork

            def call(i, run=model):
                with torch.no_grad():  # threads have a mode of their own
                    return run(arguments(torch, i, 96)[0], scale=scale)["map"]
            keeping(call, lambda i: call(i, model.forward).numpy())
        elif what == "crash":
            before = model(arguments(torch, 1, 96)[0], scale=scale)["map"]
            end_workers()
            put("after", model(arguments(torch, 2, 96)[0], scale=scale))
            before += 1
            show("before", before)
        elif what == "killed":
            put("call", model(x, scale=scale))
            sys.stdout.flush()
            os.kill(os.getpid(), 9)
    if what == "train":
        out = model.train()(x, scale=scale)
        out["map"].sum().backward()
        show("gradient", model.conv.weight.grad)


def ort_program(path, what):
    import numpy as np
    import onnxruntime as ort
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for i, arg in enumerate(session.get_inputs()):
        kind = {"tensor(float)": np.float32, "tensor(int64)": np.int64}[arg.type]
        dims = [d if isinstance(d, int) else 1 for d in arg.shape]
        feed[arg.name] = (np.arange(np.prod(dims)).reshape(dims) % 7 - 3 + i).astype(kind)
    names = [o.name for o in session.get_outputs()]
    print(session.get_providers(), names, isinstance(session, ort.InferenceSession))
    if what == "kept":
        keeping(lambda i: session.run(names[:1], {k: v * i for k, v in feed.items()})[0],
                lambda i: np.maximum(feed["x"] * i, 0))
    elif what == "crash":
        before, = session.run(names[:1], feed)
        end_workers()
        show("after", session.run(names, feed)[1])
        before += 1
        show("before", before)
    elif what == "plain":
        for out in session.run(None, feed):
            show("all", out)
        for out in session.run(names[::-1], dict(reversed(list(feed.items())))):
            show("reversed", out)
        for out in session.run(names[-1:], {k: v.tolist() for k, v in feed.items()}):
            show("lists", out)
    elif what == "wrong":
        for bad, f in ((["nothing"], feed), (None, dict(feed, nothing=np.zeros(1, np.float32)))):
            try:
                session.run(bad, f)
            except Exception as e:
                print(type(e).__name__)
    elif what == "binding":
        binding = session.io_binding()
        for k, v in feed.items():
            binding.bind_cpu_input(k, v)
        for n in names:
            binding.bind_output(n)
        for i in range(2):
            session.run_with_iobinding(binding)
            for n, out in zip(names, binding.copy_outputs_to_cpu()):
                show("bound " + n, out)
        value = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(binding.copy_outputs_to_cpu()[0]))
        binding.bind_ortvalue_output(names[0], value)
        session.run_with_iobinding(binding)
        show("value", value.numpy())
    elif what == "subclass":
        import pickle

        global Kept

        class Kept(ort.InferenceSession):
            def __init__(self, model):
                super().__init__(model, providers=["CPUExecutionProvider"])
                self.model = model

            def __getstate__(self):
                return {"model": self.model}

            def __setstate__(self, values):
                self.__init__(values["model"])
        again = pickle.loads(pickle.dumps(Kept(path)))
        for out in again.run(None, feed):
            show("pickled", out)


if __name__ == "__main__":
    {"index": write_index, "torch": torch_program, "ort": ort_program}[sys.argv[1]](*sys.argv[2:])
