# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json yolo.py
# pip: numpy pillow torch==2.13.0 torchvision==0.28.0 ultralytics==8.4.190 opencv-python-headless
"""The best boxes of a network with seeded weights: they mean nothing, but the same photo gives the same boxes.

    python app.py [--net yolo26n|world] [--size 320] [PHOTO...]

yolo26n is end to end: 300 boxes, class and score come out of the network. world is YOLO-World v2 s with text features as
a second input: three sets of prompts for each photo. The architectures are ultralytics' (AGPL-3.0; fetched, not shipped)."""
import argparse
import copy
import os

import torch

from common import picture
from files import file
from yolo import end_to_end, open_vocabulary, prompts

p = argparse.ArgumentParser()
p.add_argument("--net", choices=("yolo26n", "world"), default="yolo26n")
p.add_argument("--size", type=int, default=320)
p.add_argument("photo", nargs="*")
args = p.parse_args()
paths = args.photo or [file("bus.jpg"), file("zidane.jpg")]
settle = [torch.from_numpy(picture(file(n), args.size, args.size)) for n in ("bus.jpg", "zidane.jpg")]
photos = [torch.from_numpy(picture(path, args.size, args.size)) for path in paths]


def show(rows):
    for x0, y0, x1, y1, score, kind in rows:
        print(f"  class{kind:.0f} {score:.2f} [{x0:.0f}, {y0:.0f}, {x1:.0f}, {y1:.0f}]")


def first(out):
    return out[0] if isinstance(out, (list, tuple)) else out


if args.net == "yolo26n":
    net = copy.deepcopy(end_to_end(settle))  # the one that was settled has run with hooks
    for path, x in zip(paths, photos):
        print(os.path.basename(path))
        show(first(net(x))[0, :5].tolist())
else:
    net = copy.deepcopy(open_vocabulary(settle, 4))
    sets = [prompts(4) for _ in range(3)]
    for path, x in zip(paths, photos):
        for k, text in enumerate(sets):
            print(f"{os.path.basename(path)}, prompts {k}")
            out = first(net(x, txt_feats=text))[0].T  # 4 of the box, then a score for each prompt
            score, kind = out[:, 4:].max(1)
            best = score.topk(5).indices
            (x0, y0, w, h) = out[best, :4].T
            box = torch.stack([x0 - w / 2, y0 - h / 2, x0 + w / 2, y0 + h / 2, score[best], kind[best].float()], 1)
            show(box.tolist())
