# SPDX-License-Identifier: Apache-2.0
"""A UNet in the shape of Stable Diffusion's: residual blocks with GroupNorm, SiLU and a time embedding; transformers with
self-attention, cross-attention to 77 text tokens and a gated GELU; down, middle, up with skip connections."""
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from common import export, seeded


class Residual(nn.Module):
    def __init__(self, i, o, time):
        super().__init__()
        self.n1, self.c1 = nn.GroupNorm(32, i), nn.Conv2d(i, o, 3, padding=1)
        self.t = nn.Linear(time, o)
        self.n2, self.c2 = nn.GroupNorm(32, o), nn.Conv2d(o, o, 3, padding=1)
        self.short = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, t):
        h = self.c1(F.silu(self.n1(x))) + self.t(F.silu(t))[:, :, None, None]
        return self.short(x) + self.c2(F.silu(self.n2(h)))


class Attention(nn.Module):
    def __init__(self, width, context, heads=8):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(n, width, bias=False) for n in (width, context, context))
        self.o = nn.Linear(width, width)

    def forward(self, x, c):
        split = lambda y: y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
        a = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(c)), split(self.v(c)))
        return self.o(a.transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """One spatial transformer: pixels are the tokens."""

    def __init__(self, width, context):
        super().__init__()
        self.norm, self.into, self.out = nn.GroupNorm(32, width, 1e-6), nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.n1, self.n2, self.n3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.own, self.cross = Attention(width, width), Attention(width, context)
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x, c):
        b, n, h, w = x.shape
        y = self.into(self.norm(x)).flatten(2).transpose(1, 2)
        z = self.n1(y)
        y = y + self.own(z, z)
        y = y + self.cross(self.n2(y), c)
        value, gate = self.up(self.n3(y)).chunk(2, -1)
        y = y + self.down(value * F.gelu(gate))
        return x + self.out(y.transpose(1, 2).reshape(b, n, h, w))


class UNet(nn.Module):
    def __init__(self, widths=(64, 128), context=768):
        super().__init__()
        a, b = widths
        time = 4 * a
        self.time = nn.Sequential(nn.Linear(a, time), nn.SiLU(), nn.Linear(time, time))
        self.first = nn.Conv2d(4, a, 3, padding=1)
        self.d1, self.dt1, self.small = Residual(a, a, time), Transformer(a, context), nn.Conv2d(a, a, 3, 2, 1)
        self.d2, self.dt2 = Residual(a, b, time), Transformer(b, context)
        self.m1, self.mt, self.m2 = Residual(b, b, time), Transformer(b, context), Residual(b, b, time)
        self.u2, self.ut2, self.twice = Residual(2 * b, b, time), Transformer(b, context), nn.Conv2d(b, b, 3, padding=1)
        self.u1, self.ut1 = Residual(a + b, a, time), Transformer(a, context)
        self.norm, self.last = nn.GroupNorm(32, a), nn.Conv2d(a, 4, 3, padding=1)

    def forward(self, sample, wave, context):
        t = self.time(wave)
        x1 = self.dt1(self.d1(self.first(sample), t), context)
        x2 = self.dt2(self.d2(self.small(x1), t), context)
        y = self.m2(self.mt(self.m1(x2, t), context), t)
        y = self.ut2(self.u2(torch.cat([y, x2], 1), t), context)
        y = self.twice(F.interpolate(y, scale_factor=2.0, mode="nearest"))
        y = self.ut1(self.u1(torch.cat([y, x1], 1), t), context)
        return self.last(F.silu(self.norm(y)))


def time_wave(step, width):
    """Made outside the graph, as deployments do: float16 knows the angle 375.3 to 0.25, which is no angle at all."""
    half = width // 2
    f = step * np.exp(np.arange(half) * (-math.log(10000) / half))
    return np.concatenate([np.cos(f), np.sin(f)])[None].astype(np.float32)


def unet(job):
    seeded()
    rng = np.random.default_rng(1)
    inputs = {"sample": rng.standard_normal(job.shape("sample")).astype(np.float32),
              "wave": time_wave(500, job.shape("wave")[1]),
              "context": rng.standard_normal(job.shape("context")).astype(np.float32)}
    export(UNet(), list(inputs.values()), list(inputs), ["noise"], job.model)
    return inputs
