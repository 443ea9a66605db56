# SPDX-License-Identifier: Apache-2.0
"""YOLO26n end to end and YOLO-World v2 s: ultralytics' architectures, seeded weights. The package is AGPL-3.0: it is
fetched, used here, and nothing of it is shipped."""
import math
import os

import numpy as np
import torch
from torch import nn

from common import export, picture, seeded, settle_batchnorm, torchvision_models


def settled(model, photos):
    """Scales from photos, so that activations stay in a trained network's range. They are kept small, where SiLU is nearly
    straight: the NPU's is good to 48 dB, and random layers pass every error on, where trained ones drop most of it."""
    return settle_batchnorm(model, lambda: model(torch.cat(photos)), gain=0.1)


def photos_of(job):
    size = job.shape("images")[2]
    return [torch.from_numpy(picture(job.file(k), size, size)) for k in ("photo", "photo2")]


def spread_classes(heads, logits, mean=-6.0, std=2.0):
    """Scales the last convolution of each class head so that its logits have `mean` and `std`."""
    for head, level in zip(heads, logits):
        last = head[-1]
        scale = std / level.std()
        last.weight.mul_(scale)
        last.bias.copy_((last.bias - level.mean()) * scale + mean)


def end_to_end(photos):
    """YOLO26n that answers with 300 boxes; classes spread as a trained head spreads them: most scores small, few near 1."""
    torchvision_models()
    from ultralytics.nn.tasks import DetectionModel

    seeded()
    model = settled(DetectionModel("yolo26n.yaml", verbose=False), photos)
    head = model.model[-1]
    spread_classes(head.one2one_cv3, answers(model, [h[-1] for h in head.one2one_cv3], photos[0]))
    head.export, head.format, head.end2end = True, "onnx", True
    model.fuse(verbose=False)
    return model


def yolo26n(job):
    photos = photos_of(job)
    export(end_to_end(photos), [photos[0].numpy()], ["images"], ["output0"], job.model, opset=17, dynamo=False)
    return {"images": photos[0].numpy()}


def answers(model, modules, photo):
    """What these modules give when the model sees a photo."""
    seen = []
    hooks = [m.register_forward_hook(lambda m, i, o: seen.append(o)) for m in modules]
    model(photo)
    for h in hooks:
        h.remove()
    return seen


def spread_similarities(heads, logits, mean=-4.0, std=0.8):
    """The same for heads that compare with text: scale and bias of the similarity. They are spread less: what random
    features and random prompts have in common differs little, and the scale enlarges the rounding errors, too."""
    for head, level in zip(heads, logits):
        scale = std / level.std()
        head.logit_scale.add_(scale.log())
        head.bias.copy_(mean - (level.mean() - head.bias) * scale)


def prompts(count):
    """Unit vectors, as a CLIP text tower gives them for `count` class names."""
    return nn.functional.normalize(torch.randn(1, count, 512), dim=-1)


def open_vocabulary(photos, classes=80):
    torchvision_models()
    from ultralytics.nn.tasks import WorldModel

    seeded()
    model = WorldModel("yolov8s-worldv2.yaml", verbose=False)
    model.txt_feats = prompts(classes)
    head = model.model[-1]
    head.nc, head.no = classes, classes + 4 * head.reg_max  # as its set_classes does
    model = settled(model, photos)
    spread_similarities(head.cv4, answers(model, head.cv4, photos[0]))
    head.export, head.format = True, "onnx"
    model.fuse(verbose=False)
    return model


def yolo_world(job):
    photos = photos_of(job)
    export(open_vocabulary(photos), [photos[0].numpy()], ["images"], ["output0"], job.model, opset=17, dynamo=False)
    return {"images": photos[0].numpy()}
