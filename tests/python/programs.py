# SPDX-License-Identifier: Apache-2.0
"""Programs that tests/e2e/record*.sh records: programs.py NAME [ARGS]. Each is one way real programs call models."""
import collections
import dataclasses
import os
import sys
import time

what = sys.argv[1]
counted = []
Twins = collections.namedtuple("Twins", "first second")


@dataclasses.dataclass
class Box:
    boxes: object
    note: str = "n"


def pause():
    """Each module of `export` is to have its share of the time."""
    time.sleep(0.01)


def classes():
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, width, 3), nn.Linear(width, 5)

        def forward(self, x, scale=1.0, mask=None):
            pause()
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

    class Outer(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.inner = Net(width)

        def forward(self, x):
            return self.inner(x)["logits"]

    class Stateful(Net):
        def forward(self, x):
            pause()
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x)["logits"] + self.calls

    class Late(Net):  # keeps state, but for large inputs alone, in an attribute
        def forward(self, x):
            pause()
            y = super().forward(x)["logits"]
            return self.keep(y) if x.shape[-1] > 12 else y

        def keep(self, y):
            self.calls = getattr(self, "calls", 0) + 1
            return y + self.calls

    class Written(Late):  # into a buffer, whose place in memory stays the same
        def __init__(self, width):
            super().__init__(width)
            self.register_buffer("calls", torch.zeros(5), persistent=False)

        def keep(self, y):
            return y + self.calls.add_(1)

    class Queue(Late):  # in an object that only its own class understands
        def __init__(self, width):
            super().__init__(width)
            self.past = collections.deque(maxlen=4)

        def keep(self, y):
            self.past.append(1)
            return y + len(self.past)

    class Random(Late):
        def keep(self, y):
            return y + torch.rand(5)

    class Always(Net):  # the first number is the recorded one, since the program seeds the generator
        def forward(self, x):
            pause()
            return super().forward(x)["logits"] + torch.rand(5)

    class Elsewhere(Late):  # outside of itself, where no copy is apart from another
        def keep(self, y):
            counted.append(1)
            return y + len(counted)

    class Caches(Late):  # what it keeps changes no answer
        def keep(self, y):
            self.kept = self.head.bias + 1
            return y + self.kept

    class Pools(Net):  # MaxPool3d on four axes: one exporter writes a file that does not load
        def __init__(self, width):
            super().__init__(width)
            self.pool = nn.MaxPool3d((1, 3, 3), (2, 1, 1))

        def forward(self, x):
            pause()
            return self.pool(self.conv(x))

    class Guarded(Pools):  # the other exporter cannot follow a comparison of values
        def forward(self, x):
            if float(x.abs().max()) > 1e6:
                raise ValueError("out of range")
            return super().forward(x)

    class Branch(Net):  # what a trace bakes in is wrong for the other half of the inputs
        def forward(self, x):
            pause()
            return self.conv(x) if float(x.sum()) > 0 else -self.conv(x)

    class Shapes(Net):  # Python decides by shapes
        def forward(self, x):
            pause()
            y = self.conv(x)
            while y.shape[-1] > 4:
                y = nn.functional.avg_pool2d(y, 2)
            return y.mean(0) if y.shape[0] > 1 else y, y.flatten(1)

    class Sizes(Net):  # one model with open dims for all sizes
        def forward(self, x):
            pause()
            return nn.functional.interpolate(self.conv(x), scale_factor=2.0).relu()

    class Small(Net):
        pass

    class Forms(Net):  # several inputs, optional ones, keywords; a dict with a named tuple, a dataclass and a list comes back
        def forward(self, x, y=None, *, scale=1.0, extra=None):
            pause()
            h = self.conv(x) * scale + (self.conv(y) if y is not None else 0) + (extra["bias"] if extra else 0)
            return {"twins": Twins(h, [h.relu(), 3]), "box": Box(h.sum(-1)), "none": None}

    class Answer:
        def __init__(self, t):
            self.t = t

    class NoTensors(Net):
        def forward(self, x):
            return Answer(self.conv(x))

    class Cache(Net):
        def forward(self, x, cache):
            return self.conv(x)

    class Closed(Net):  # as Whisper's decoder: a hook keeps what a later call reads
        def forward(self, x, past):
            y = self.conv(x)
            return y + past.get("kept", 0)

    class Half(Net):
        def forward(self, x):
            return self.conv(x.to(torch.bfloat16)).mean((2, 3))

    class Masked(Net):  # complex arithmetic and a rotation
        def forward(self, x):
            pause()
            return torch.abs(torch.fft.rfft(torch.roll(self.conv(x), 1, 3)))

    class Spectrum(Net):  # exported as a DFT, which a target may not have
        def forward(self, x):
            return torch.abs(torch.fft.rfft(self.conv(x)))

    class Attention(Net):
        def forward(self, x):
            y = self.conv(x).flatten(2)
            return nn.functional.scaled_dot_product_attention(y, y, y)
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
    made(Cache)(torch.rand(1, 3, 8, 8), "sk-this-is-a-key")
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
    """Modules that can be exported, in one way or the other, and ones that cannot."""
    seed = int(os.environ.get("SEED", "0"))
    torch.nn.functional.conv2d(torch.zeros(1, 3, 8, 8), torch.zeros(8, 3, 3, 3))  # the first one takes long
    if os.environ.get("ONLY", "Stateful") == "Stateful":
        call_all(made(Stateful, seed), [(torch.rand(1, 3, 12, 12),)] * 3)
        call_all(made(Branch, seed), [(torch.rand(1, 3, 8, 8) - i % 2,) for i in range(4)])
        call_all(made(Cache, seed), [(torch.rand(1, 3, 8, 8), Shell(None))])
        closed, past = made(Closed), {}
        closed.conv.register_forward_hook(lambda m, x, y: past.__setitem__("kept", y + past.get("kept", 0)))
        call_all(closed, [(torch.rand(1, 3, 8, 8), past)] * 3)
    for cls in (Net, Pools, Masked, Guarded):
        call_all(made(cls, seed), [(torch.rand(1, 3, 12, 12),) for _ in range(3)])
    half, shapes, sizes, forms = made(Small).half(), made(Shapes), made(Sizes), made(Forms)
    call_all(half, [(torch.rand(2, 3, 8, 8).half(),) for _ in range(3)])
    for size in ((1, 3, 10, 10), (2, 3, 18, 18), (2, 3, 10, 10)):
        call_all(shapes, [(torch.rand(size).to(memory_format=torch.channels_last),) for _ in range(2)])
    for size in ((1, 3, 10, 14), (1, 3, 18, 14)):
        call_all(sizes, [(torch.rand(size),) for _ in range(2)])
    for _ in range(2):
        call_all(forms, [(torch.rand(2, 3, 8, 8),)], scale=0.5, extra={"bias": torch.rand(6)})
        call_all(forms, [(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8))])
    print("the end")


def keeps():
    """Modules that are no functions of their arguments, most of them for one of two sizes."""
    for cls in (Late, Written, Queue, Random, Elsewhere, Caches, Sizes):
        call_all(made(cls), [(torch.rand(1, 3, n, n),) for n in (12, 18)])
    call_all(made(Always), [(torch.ones(1, 3, 12, 12),)] * 2)


def two_sizes():
    call_all(made(Sizes), [(torch.rand(1, 3, n, n),) for n in (12, 18)])


def spectrum():
    call_all(made(Spectrum), [(torch.rand(1, 3, 12, 12),) for _ in range(2)])


def attention():
    call_all(made(Attention), [(torch.rand(1, 3, 6, 6),) for _ in range(2)])


def call_all(m, calls, **kwargs):
    with torch.no_grad():
        for args in calls:
            show(type(m).__name__, m(*args, **kwargs))


def show(name, x):
    """What came back, its form and some of its numbers."""
    if isinstance(x, torch.Tensor):
        print(name, tuple(x.shape), x.dtype, " ".join("%.2f" % v for v in x.flatten()[:4].float()))
    elif isinstance(x, (tuple, list)):
        print(name, type(x).__name__, len(x))
        [show(name, v) for v in x]
    elif isinstance(x, dict) or dataclasses.is_dataclass(x):
        print(name, type(x).__name__)
        [show("%s.%s" % (name, k), v) for k, v in (x if isinstance(x, dict) else vars(x)).items()]
    else:
        print(name, x)


def method():
    made(Net).encode(torch.rand(1, 3, 8, 8))
    made(Outer)(torch.rand(1, 3, 8, 8))


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
    feed = {i.name: np.ones([d if isinstance(d, int) else 1 for d in i.shape], {
        "tensor(float)": "f4", "tensor(int64)": "i8"}[i.type]) for i in a.get_inputs()}
    first, out = a.get_outputs()[0].name, a.run(None, feed)
    b.run([first], {k: v.tolist() for k, v in feed.items()})
    binding = a.io_binding()
    for k, v in feed.items():
        binding.bind_cpu_input(k, v)
    binding.bind_output(first)
    a.run_with_iobinding(binding)
    assert np.array_equal(binding.copy_outputs_to_cpu()[0], out[0])
    print("done")


if what != "sessions":
    torch = classes()
globals()[what]()
