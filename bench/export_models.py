#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports the models of bench/published.csv to ONNX, with seeded random weights: the cost of a layer does not depend
on them. Architectures are torchvision's, transcribed RRDBNet (Real-ESRGAN x4plus: 23 blocks) and openai-whisper's
encoders. `export_models.py DIR [NAME...]`; what is already there stays."""
import os
import sys

import torch
from torch import nn

torch.manual_seed(1)
torch.backends.mha.set_fastpath_enabled(False)  # the fused attention has no ONNX form


def torchvision_model(name):
    # torchvision's wheel is built for CUDA; beside a CPU torch its ops are missing and the import stops at one of them.
    lib = torch.library.Library("torchvision", "DEF")
    lib.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    lib.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

    return getattr(models, name)(weights=None)


class DenseBlock(nn.Module):
    def __init__(self, feat=64, grow=32):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(feat + i * grow, grow if i < 4 else feat, 3, 1, 1) for i in range(5))
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x):
        all_ = [x]
        for c in self.convs[:4]:
            all_.append(self.act(c(torch.cat(all_, 1))))
        return self.convs[4](torch.cat(all_, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(DenseBlock() for _ in range(3))

    def forward(self, x):
        y = x
        for b in self.blocks:
            y = b(y)
        return y * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, blocks=23):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, 1, 1)
        self.first, self.body, self.after = conv(3, 64), nn.Sequential(*[RRDB() for _ in range(blocks)]), conv(64, 64)
        self.up1, self.up2, self.hr, self.last = conv(64, 64), conv(64, 64), conv(64, 64), conv(64, 3)
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x):
        up = lambda t: nn.functional.interpolate(t, scale_factor=2, mode="nearest")
        f = self.first(x)
        f = f + self.after(self.body(f))
        f = self.act(self.up1(up(f)))
        f = self.act(self.up2(up(f)))
        return self.last(self.act(self.hr(f)))


class EncoderBlock(nn.Module):
    """Whisper's, with attention written out."""

    def __init__(self, n, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = nn.Linear(n, n), nn.Linear(n, n, bias=False), nn.Linear(n, n), nn.Linear(n, n)
        self.up, self.down, self.n1, self.n2 = nn.Linear(n, 4 * n), nn.Linear(4 * n, n), nn.LayerNorm(n), nn.LayerNorm(n)

    def forward(self, x):
        b, t, n = x.shape
        h = self.n1(x)
        split = lambda y: y.view(b, t, self.heads, n // self.heads).permute(0, 2, 1, 3)
        q, k, v = split(self.q(h)), split(self.k(h)), split(self.v(h))
        a = (q @ k.transpose(-1, -2) * (n // self.heads) ** -0.5).softmax(-1)
        x = x + self.o((a @ v).permute(0, 2, 1, 3).reshape(b, t, n))
        return x + self.down(nn.functional.gelu(self.up(self.n2(x))))


class WhisperEncoder(nn.Module):
    def __init__(self, n, layers, heads):
        super().__init__()
        self.c1, self.c2 = nn.Conv1d(80, n, 3, padding=1), nn.Conv1d(n, n, 3, stride=2, padding=1)
        self.pos = nn.Parameter(torch.randn(1500, n))
        self.blocks, self.norm = nn.Sequential(*[EncoderBlock(n, heads) for _ in range(layers)]), nn.LayerNorm(n)

    def forward(self, x):
        g = nn.functional.gelu
        return self.norm(self.blocks(g(self.c2(g(self.c1(x)))).permute(0, 2, 1) + self.pos))


MODELS = {
    "mobilenet_v2": (lambda: torchvision_model("mobilenet_v2"), (1, 3, 224, 224)),
    "mobilenet_v3_small": (lambda: torchvision_model("mobilenet_v3_small"), (1, 3, 224, 224)),
    "resnet50": (lambda: torchvision_model("resnet50"), (1, 3, 224, 224)),
    "vit_b_16": (lambda: torchvision_model("vit_b_16"), (1, 3, 224, 224)),
    "whisper_tiny_encoder": (lambda: WhisperEncoder(384, 4, 6), (1, 80, 3000)),
    "whisper_base_encoder": (lambda: WhisperEncoder(512, 6, 8), (1, 80, 3000)),
    "real_esrgan_x4plus": (lambda: RRDBNet(), (1, 3, 128, 128)),
}


def main():
    folder, names = sys.argv[1], sys.argv[2:] or list(MODELS)
    os.makedirs(folder, exist_ok=True)
    for name in names:
        path = os.path.join(folder, name + ".onnx")
        if os.path.exists(path):
            continue
        make, shape = MODELS[name]
        with torch.no_grad():
            torch.onnx.export(make().eval(), torch.randn(shape), path + ".new", input_names=["input"],
                              output_names=["output"], dynamo=False, opset_version=17)
        os.rename(path + ".new", path)
        print(f"{name}: {os.path.getsize(path)} bytes", flush=True)


if __name__ == "__main__":
    main()
