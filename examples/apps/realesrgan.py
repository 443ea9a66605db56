# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json esrgan.py
# pip: numpy pillow torch==2.13.0
"""Four times the pixels: Real-ESRGAN on crops of a photo.

    python app.py [--anime] [--photo FILE] [--size 64x64,128x96] [--out FOLDER]"""
import argparse
import os

import numpy as np
import torch
from PIL import Image

from esrgan import RRDBNet, read_ncnn
from files import file

p = argparse.ArgumentParser()
p.add_argument("--anime", action="store_true", help="the small network for drawings")
p.add_argument("--photo", help="a picture; a cat's without")
p.add_argument("--size", default="64x64,128x96", help="width x height of each crop")
p.add_argument("--out", default=".", help="folder for the results")
args = p.parse_args()

net = RRDBNet(6 if args.anime else 23).eval()
with torch.no_grad():
    read_ncnn(net, file("x4plus-anime.bin" if args.anime else "x4plus.bin"))
photo = Image.open(args.photo or file("chelsea.png")).convert("RGB")
os.makedirs(args.out, exist_ok=True)
for size in args.size.split(","):
    w, h = (int(v) for v in size.split("x"))
    left, top = (photo.width - w) // 2, (photo.height - h) // 2
    crop = np.asarray(photo.crop((left, top, left + w, top + h)), np.float32) / 255
    with torch.no_grad():
        y = net(torch.from_numpy(crop.transpose(2, 0, 1)[None].copy()))[0]
    pixels = (y.clamp(0, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    name = os.path.join(args.out, f"out-{size}.png")
    Image.fromarray(pixels).save(name)
    print(f"{name}: {pixels.shape[1]}x{pixels.shape[0]}")
