# SPDX-License-Identifier: Apache-2.0
"""Programs that tests/e2e/record*.sh records: programs.py NAME [ARGS]. Each is one way real programs call models."""
import os
import sys

what = sys.argv[1]


def classes():
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, width, 3), nn.Linear(width, 5)

        def forward(self, x, scale=1.0, mask=None):
            y = self.conv(x).mean((2, 3))
            return {"logits": self.head(y) * scale, "features": y if mask is None else y * mask}

        def encode(self, x):
            return self.conv(x).mean((2, 3))

    class Shell(nn.Module):  # holds its network where torch does not look
        def __init__(self, inner):
            super().__init__()
            self.__dict__["inner"] = inner

        def forward(self, x):
            return self.inner(x)

    class Stateful(Net):
        def forward(self, x):
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x)["logits"] + self.calls

    class Pools(Net):  # MaxPool3d on four axes: one exporter writes a file that does not load
        def __init__(self, width):
            super().__init__(width)
            self.pool = nn.MaxPool3d((1, 3, 3), (2, 1, 1))

        def forward(self, x):
            return self.pool(self.conv(x))

    class Answer:
        def __init__(self, t):
            self.t = t

    class NoTensors(Net):
        def forward(self, x):
            return Answer(self.conv(x))

    class Cache(Net):
        def forward(self, x, cache):
            return self.conv(x)

    class Half(Net):
        def forward(self, x):
            return self.conv(x.to(torch.bfloat16)).mean((2, 3))

    class Hooked(Net):
        def forward(self, x):
            return self.conv(x)

    class Masked(Net):  # complex arithmetic and a rotation
        def forward(self, x):
            return torch.abs(torch.fft.rfft(torch.roll(self.conv(x), 1, 3)))
    globals().update({k: v for k, v in locals().items() if isinstance(v, type)})
    return torch


def made(cls, seed=0, width=8):
    torch.manual_seed(seed)
    return cls(width).eval()


def shapes():
    """Layouts, types and forms of arguments and answers; several models of one class; threads."""
    import threading
    a, b = made(Net, 1), made(Net, 2)
    a(torch.rand(1, 3, 8, 8))
    a(torch.rand(1, 3, 8, 8).to(memory_format=torch.channels_last))
    a(torch.rand(1, 8, 8, 3).permute(0, 3, 1, 2))
    a(torch.rand(2, 3, 16, 8)[:, :, ::2], scale=2.0)
    a(torch.zeros(0, 3, 8, 8))
    a(torch.rand(1, 3, 8, 8), mask=torch.tensor(0.5))
    Shell(b)(torch.rand(1, 3, 9, 9))
    NoTensors(4)(torch.rand(1, 3, 8, 8))
    made(Cache)(torch.rand(1, 3, 8, 8), {torch.nn.ReLU(): 1})
    made(Half).to(torch.bfloat16)(torch.rand(1, 3, 8, 8))
    c = made(Net, 3)
    threads = [threading.Thread(target=lambda: [c(torch.rand(1, 3, 8, 8)) for _ in range(25)]) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    f = torch.compile(lambda x: d(x))
    d = made(Net, 4)
    f(torch.rand(1, 3, 8, 8))
    e = made(Net, 5)
    e(torch.rand(1, 3, 8, 8))
    e.half().float()  # rounded weights are other weights
    e(torch.rand(1, 3, 8, 8))


def processes():
    """fork with os._exit, a DataLoader with workers that call a model, a child that is killed."""
    m = made(Net)
    m(torch.rand(1, 3, 8, 8))
    if os.fork() == 0:
        m(torch.rand(1, 3, 8, 8))
        os._exit(0)
    os.wait()

    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return m(torch.rand(1, 3, 8, 8))["logits"].detach()
    torch.set_num_threads(1)
    list(torch.utils.data.DataLoader(Data(), num_workers=2))
    pid = os.fork()
    if pid == 0:
        m(torch.rand(1, 3, 8, 8))
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)


def crash():
    m = made(Net)
    m(torch.rand(1, 3, 8, 8))
    try:
        m(torch.rand(1, 4, 8, 8))
    except RuntimeError:
        pass
    raise SystemExit(7)


def zero():
    made(Net)


def cuda():
    made(Net).to("cuda")(torch.rand(1, 3, 8, 8).cuda())


def export():
    seed = int(os.environ.get("SEED", "0"))
    for cls in (Net, Stateful, Pools, Masked):
        m = made(cls, seed)
        for _ in range(3):
            m(torch.rand(1, 3, 12, 12))
    hooked = made(Hooked)
    hooked.register_forward_hook(lambda module, args, out: out + 1)
    hooked(torch.rand(1, 3, 8, 8))
    print("the end")


def method():
    made(Net).encode(torch.rand(1, 3, 8, 8))


def sessions():
    """onnxruntime: path, bytes, bound memory, lists as feeds, chosen outputs, a subclass, and a patch of the program's own."""
    import numpy as np
    import onnxruntime as ort
    path = sys.argv[2]
    original = ort.InferenceSession.run
    ort.InferenceSession.run = lambda self, *a, **k: original(self, *a, **k)

    class Mine(ort.InferenceSession):
        pass
    a = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    b = Mine(open(path, "rb").read())
    name, shape = a.get_inputs()[0].name, [d if isinstance(d, int) else (1 if i == 0 else 320) for i, d in enumerate(a.get_inputs()[0].shape)]
    x = np.random.default_rng(0).random(shape, np.float32)
    out = a.run(None, {name: x})
    b.run([a.get_outputs()[0].name], {name: x.tolist()})
    binding = a.io_binding()
    binding.bind_cpu_input(name, x)
    binding.bind_output(a.get_outputs()[0].name)
    a.run_with_iobinding(binding)
    assert np.array_equal(binding.copy_outputs_to_cpu()[0], out[0])
    print("done")


if what != "sessions":
    torch = classes()
globals()[what]()
