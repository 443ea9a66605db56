# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json classify.py text.py
# pip: numpy pillow torch==2.13.0 torchvision==0.28.0 transformers==5.23.0
"""What is in a photo: the five best classes.

    python app.py [--net NAME] [PHOTO...]

mobilenet_v2 and efficientnet_lite0 come with real ImageNet weights. mobilenet_v3_large, resnet50, vit_b_16 and swin_t
(torchvision's) and clip (both towers of ViT-B/32) come with seeded ones: their answers mean nothing, their numbers do."""
import argparse
import os

import torch

from classify import LITE, load_lite0, load_mobilenet_v2, make_seeded
from common import CLIP, IMAGENET, picture, torchvision_models
from files import file

SEEDED = ("mobilenet_v3_large", "resnet50", "vit_b_16", "swin_t")
p = argparse.ArgumentParser()
p.add_argument("--net", choices=("mobilenet_v2", "efficientnet_lite0", *SEEDED, "clip"), default="mobilenet_v2")
p.add_argument("photo", nargs="*")
args = p.parse_args()
photos = args.photo or [file("chelsea.png"), file("bus.jpg")]
scale = {"efficientnet_lite0": LITE, "clip": CLIP}.get(args.net, IMAGENET)
pixels = [torch.from_numpy(picture(path, 224, 224, crop=True, **scale)) for path in photos]


def similarities():
    """CLIP: how near a photo is to each of eight sentences."""
    from text import make_clip

    text, image, ids = make_clip(8)
    known = torch.nn.functional.normalize(text(input_ids=ids).text_embeds, dim=-1)
    return lambda x: 100 * torch.nn.functional.normalize(image(pixel_values=x).image_embeds, dim=-1) @ known.T


if args.net == "mobilenet_v2":
    net = load_mobilenet_v2(file("mobilenet_v2.pth")).eval()
elif args.net == "efficientnet_lite0":
    net = load_lite0(file("efficientnet-lite0.pth")).eval()
elif args.net == "clip":
    net = similarities()
else:
    weights = args.net + ".pth"  # made by the first run
    if not os.path.exists(weights):
        torch.save(make_seeded(args.net, pixels[0].numpy()).state_dict(), weights)
    net = getattr(torchvision_models(), args.net)().eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
for path, x in zip(photos, pixels):
    with torch.no_grad():
        best = net(x)[0].softmax(0).topk(5)
    print(os.path.basename(path), " ".join(f"class{int(i)} {float(v):.2f}" for v, i in zip(best.values, best.indices)))
