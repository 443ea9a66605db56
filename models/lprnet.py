# SPDX-License-Identifier: Apache-2.0
"""LPRNet (licence plates). Its MaxPool3d layers see a tensor of four dimensions, and the newer exporter makes MaxPool
nodes of rank 5 of them. The weights are in no package: LPRNET_WEIGHTS=Final_LPRNet_model.pth of
github.com/sirius-ai/LPRNet_Pytorch (weights/, Apache-2.0). LPRNET_PLATE=FILE.jpg takes a plate instead of noise."""
import os

import numpy as np
import torch
from torch import nn

from common import Missing, export, picture, seeded, sha256


def block(i, o):
    m = nn.Module()
    q = o // 4
    m.block = nn.Sequential(nn.Conv2d(i, q, 1), nn.ReLU(), nn.Conv2d(q, q, (3, 1), padding=(1, 0)), nn.ReLU(),
                            nn.Conv2d(q, q, (1, 3), padding=(0, 1)), nn.ReLU(), nn.Conv2d(q, o, 1))
    m.forward = m.block.forward
    return m


class LPRNet(nn.Module):
    def __init__(self, classes=68):
        super().__init__()
        norm, pool = nn.BatchNorm2d, lambda s: nn.MaxPool3d((1, 3, 3), s)
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 64, 3), norm(64), nn.ReLU(), pool((1, 1, 1)),
            block(64, 128), norm(128), nn.ReLU(), pool((2, 1, 2)),
            block(64, 256), norm(256), nn.ReLU(), block(256, 256), norm(256), nn.ReLU(), pool((4, 1, 2)),
            nn.Dropout(), nn.Conv2d(64, 256, (1, 4)), norm(256), nn.ReLU(),
            nn.Dropout(), nn.Conv2d(256, classes, (13, 1)), norm(classes), nn.ReLU())
        self.container = nn.Sequential(nn.Conv2d(448 + classes, classes, 1))
        self.pools = {2: nn.AvgPool2d(5, 5), 6: nn.AvgPool2d(5, 5), 13: nn.AvgPool2d((4, 10), (4, 2)), 22: nn.Identity()}

    def forward(self, x):
        kept = []
        for i, layer in enumerate(self.backbone):
            x = layer(x)
            if i in self.pools:
                y = self.pools[i](x)
                kept.append(y / y.pow(2).mean())
        return self.container(torch.cat(kept, 1)).mean(2)


def lprnet(job):
    weights = os.environ.get("LPRNET_WEIGHTS")
    if not weights:
        raise Missing("LPRNET_WEIGHTS is not set: Final_LPRNet_model.pth of github.com/sirius-ai/LPRNet_Pytorch")
    if sha256(weights) != job.entry["sha256"]:
        raise SystemExit(f"{weights}: sha256 is not {job.entry['sha256']}")
    seeded()
    net = LPRNet()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    plate = os.environ.get("LPRNET_PLATE")
    if plate:  # BGR, (pixel - 127.5) / 128
        x = picture(plate, 94, 24, (0.5,) * 3, (128 / 255,) * 3, bgr=True)
    else:
        x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 24, 94)).astype(np.float32)
    export(net, [x], ["input"], ["output"], job.model)
    return {"input": x}
