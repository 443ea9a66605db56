# SPDX-License-Identifier: Apache-2.0
"""Real-ESRGAN x4plus and its anime variant: RRDBNet with the original's parameter names, weights out of ncnn files."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from common import export, picture, seeded


def conv(i, o):
    return nn.Conv2d(i, o, 3, 1, 1)


class DenseBlock(nn.Module):
    def __init__(self, feat=64, grow=32):
        super().__init__()
        for k in range(5):
            setattr(self, f"conv{k + 1}", conv(feat + k * grow, grow if k < 4 else feat))

    def forward(self, x):
        seen = [x]
        for k in range(1, 5):
            seen.append(F.leaky_relu(getattr(self, f"conv{k}")(torch.cat(seen, 1)), 0.2))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = DenseBlock(), DenseBlock(), DenseBlock()

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv_first, self.conv_body = conv(3, 64), conv(64, 64)
        self.body = nn.Sequential(*[RRDB() for _ in range(blocks)])
        self.conv_up1, self.conv_up2, self.conv_hr, self.conv_last = conv(64, 64), conv(64, 64), conv(64, 64), conv(64, 3)

    def forward(self, x):
        act, twice = (lambda t: F.leaky_relu(t, 0.2)), (lambda t: F.interpolate(t, scale_factor=2, mode="nearest"))
        f = self.conv_first(x)
        f = f + self.conv_body(self.body(f))
        f = act(self.conv_up1(twice(f)))
        f = act(self.conv_up2(twice(f)))
        return self.conv_last(act(self.conv_hr(f)))


def convolutions(net):
    """In the order of the file: the order in which they run."""
    yield net.conv_first
    for rrdb in net.body:
        for dense in (rrdb.rdb1, rrdb.rdb2, rrdb.rdb3):
            yield from (getattr(dense, f"conv{k}") for k in range(1, 6))
    yield from (net.conv_body, net.conv_up1, net.conv_up2, net.conv_hr, net.conv_last)


def read_ncnn(net, path):
    """A .bin of convolutions: for each a tag (0x01306B47: float16), weights padded to 4 bytes, float32 bias."""
    data, at = open(path, "rb").read(), 0
    for c in convolutions(net):
        tag = int.from_bytes(data[at:at + 4], "little")
        if tag != 0x01306B47:
            raise SystemExit(f"{path}: tag {tag:#x} at byte {at}, float16 weights were expected")
        count, at = c.weight.numel(), at + 4
        weights = np.frombuffer(data, np.float16, count, at).astype(np.float32)
        at += (count * 2 + 3) // 4 * 4
        bias = np.frombuffer(data, np.float32, c.bias.numel(), at)
        at += bias.nbytes
        c.weight.copy_(torch.from_numpy(weights).view_as(c.weight))
        c.bias.copy_(torch.from_numpy(bias.copy()))
    if at != len(data):
        raise SystemExit(f"{path}: {len(data) - at} bytes are left over")


def esrgan(job):
    seeded()
    net = RRDBNet(job.entry["blocks"])
    read_ncnn(net, job.file("weights"))
    _, _, h, w = job.shape("x")
    x = picture(job.file("photo"), w, h, crop=True)
    export(net, [x], ["x"], ["y"], job.model)
    return {"x": x}
