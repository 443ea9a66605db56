# SPDX-License-Identifier: Apache-2.0
# needs: common.py lprnet.py
# pip: numpy pillow torch==2.13.0
"""Licence plates: LPRNet over a folder of plates named by what they say; prints the share read exactly.

    python app.py --weights Final_LPRNet_model.pth --classes classes.txt --plates FOLDER [--count N]

Weights and plates: github.com/sirius-ai/LPRNet_Pytorch (Apache-2.0). The MaxPool3d layers see tensors of four
dimensions; the network is used as its authors wrote it."""
import argparse
import os

import numpy as np
import torch
from PIL import Image

from lprnet import LPRNet

p = argparse.ArgumentParser()
p.add_argument("--weights", required=True)
p.add_argument("--classes", required=True, help="the characters, one a line; the last one is the blank")
p.add_argument("--plates", required=True)
p.add_argument("--count", type=int, default=0, help="only the first N plates")
args = p.parse_args()

classes = open(args.classes, encoding="utf-8").read().split()
net = LPRNet(len(classes)).eval()
net.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))


def read(path):
    pixels = np.asarray(Image.open(path).convert("RGB").resize((94, 24), Image.BILINEAR), np.float32)[:, :, ::-1]
    x = np.ascontiguousarray((pixels - 127.5).transpose(2, 0, 1)[None] * 0.0078125)
    with torch.no_grad():
        best = net(torch.from_numpy(x))[0].argmax(0).tolist()
    kept = [c for i, c in enumerate(best) if c != len(classes) - 1 and (i == 0 or c != best[i - 1])]
    return "".join(classes[c] for c in kept)


names = sorted(n for n in os.listdir(args.plates) if n.endswith(".jpg"))[:args.count or None]
right = sum(read(os.path.join(args.plates, n)) == n.split(".")[0].split("_")[0] for n in names)
print(f"{right} of {len(names)} plates read exactly: {100 * right / len(names):.2f} %")
