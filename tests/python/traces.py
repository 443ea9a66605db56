# SPDX-License-Identifier: Apache-2.0
"""Where export leaves out torch.onnx's second trace of a program, that trace would give the same graph."""
import io
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim, ExportedProgram

from aipc import export

again, tables = ExportedProgram.run_decompositions, []


class Net(nn.Module):
    def __init__(self, f, *parts):
        super().__init__()
        self.f, self.parts = f, nn.ModuleList(parts)

    def forward(self, x):
        return self.f(x, *self.parts)


def spy(program, table):
    tables.append(table)
    return again(program, table)


def graph(program):
    """Operators, their arguments, and which operator's result each of these is."""
    nodes = list(program.graph.nodes)
    place = {n: i for i, n in enumerate(nodes)}
    return [(n.op, n.op == "call_function" and n.target, str(torch.fx.node.map_arg((n.args, n.kwargs), lambda a: place[a])))
            for n in nodes]


def dense(x, first, last):
    y = torch.cat([x, F.leaky_relu(first(x), 0.2)], 1)
    return F.interpolate(last(y) * 0.2 + x, scale_factor=2, mode="nearest")


def attention(x, norm, q, k):
    y = norm(x)
    scores = torch.softmax(q(y) @ k(y).transpose(-1, -2) / 8 ** 0.5, -1)
    return F.gelu(scores @ y).permute(0, 2, 1).unsqueeze(1)


def buffer(x, norm):
    norm.num_batches_tracked.add_(1)
    return x + norm.num_batches_tracked


conv, image = nn.Conv2d, torch.rand(1, 8, 12, 12)
stays = {"convolutions": (dense, [conv(8, 4, 3, 1, 1), conv(12, 8, 3, 1, 1)], image),
         "attention": (attention, [nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)], torch.rand(1, 12, 8))}
changes = {"a batch norm": (lambda x, n: n(x), [nn.BatchNorm2d(8)], image),
           "a write": (lambda x, c: c(x).relu_(), [conv(8, 8, 3)], image),
           "a write into a buffer": (buffer, [nn.BatchNorm2d(8)], image),
           "a reshape that may be a view": (lambda x, c: c(x).reshape(1, -1), [conv(8, 8, 3)], image),
           "a conversion": (lambda x, c: c(x).to(torch.float64), [conv(8, 8, 3)], image),
           "what ONNX lacks": (lambda x: torch.hypot(x, x), [], image),
           "a mode": (lambda x: torch.no_grad()(torch.relu)(torch.enable_grad()(torch.relu)(x)), [], image)}

ExportedProgram.run_decompositions = spy
torch.onnx.export(Net(torch.relu).eval(), (image,), io.BytesIO(), dynamo=True, verbose=False, opset_version=18)
ExportedProgram.run_decompositions = again
failed = not tables
for name, (f, parts, x) in {**stays, **changes}.items():
    for axes in ({}, {2: Dim.AUTO}) if x is image else ({},):
        net = Net(f, *parts).eval().requires_grad_(False)
        program = torch.export.export(net, (x,), dynamic_shapes=(axes,) if axes else None)
        once = all(export._stays(n, tables[0]) for n in program.graph.nodes)
        ok = once == (name in stays) and (not once or graph(program) == graph(again(program, tables[0])))
        say = "once" if name in stays else "twice"
        print("%s a program with %s is traced %s%s" % ("ok" if ok else "not ok", name, say, ", open dims" * bool(axes)))
        failed += not ok
sys.exit(failed > 0)
