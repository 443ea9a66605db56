# SPDX-License-Identifier: Apache-2.0
"""Picture classifiers. MobileNetV2 and EfficientNet-Lite0 with real ImageNet weights; MobileNetV3, ResNet-50, ViT-B and
Swin-T, torchvision's, with seeded ones."""
import torch
from torch import nn

from common import IMAGENET, export, picture, seeded, settle_batchnorm, torchvision_models


def finish(job, net, x):
    export(net, [x], ["image"], ["logits"], job.model)
    return {"image": x}


def photo(job, scale=IMAGENET):
    _, _, h, w = job.shape("image")
    return picture(job.file("photo"), w, h, crop=True, **scale)


def load_mobilenet_v2(path):
    net = torchvision_models().mobilenet_v2(weights=None)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net


def mobilenet_v2(job):
    return finish(job, load_mobilenet_v2(job.file("weights")), photo(job))


def make_seeded(architecture, x):
    """torchvision's network with seeded weights, its statistics settled on the picture `x`."""
    seeded()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused attention has no ONNX form
    net = getattr(torchvision_models(), architecture)(weights=None)
    settle_batchnorm(net, lambda: net(torch.cat([torch.from_numpy(x), torch.from_numpy(x).flip(2)])))
    sure_of(net, x)
    return net


def sure_of(net, x, classes=(7, 77, 177, 377, 777)):
    """A head that knows the picture `x`: a trained one is sure of its answer, while the best of a thousand random logits
    lie so close that rounding picks the winner. The rows of `classes` are made of the picture's own features."""
    last, seen = [m for m in net.modules() if isinstance(m, nn.Linear)][-1], []
    hook = last.register_forward_pre_hook(lambda m, args: seen.append(args[0][0]))
    net(torch.from_numpy(x))
    hook.remove()
    features, length = seen[0], seen[0].norm()
    nn.init.normal_(last.weight, std=float(1 / length))  # logits of variance 1
    nn.init.zeros_(last.bias)
    for k, c in enumerate(classes):
        last.weight[c] = features * (10 - k) / length.square()


def seeded_torchvision(job):
    x = photo(job)
    return finish(job, make_seeded(job.entry["architecture"], x), x)


class Inverted(nn.Module):
    """Expansion, depthwise, projection; a shortcut where the shape stays."""

    def __init__(self, i, o, expand, kernel, stride):
        super().__init__()
        mid, layers = i * expand, []
        norm = lambda n: nn.BatchNorm2d(n, eps=1e-3)
        if expand > 1:
            layers += [nn.Conv2d(i, mid, 1, bias=False), norm(mid), nn.ReLU6()]
        layers += [nn.Conv2d(mid, mid, kernel, stride, kernel // 2, groups=mid, bias=False), norm(mid), nn.ReLU6(),
                   nn.Conv2d(mid, o, 1, bias=False), norm(o)]
        self.layers, self.short = nn.Sequential(*layers), stride == 1 and i == o

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.short else y


def lite0():
    norm = lambda n: nn.BatchNorm2d(n, eps=1e-3)
    stages = [(1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4),
              (6, 320, 3, 1, 1)]  # expansion, channels, kernel, stride, repeats
    layers, i = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), norm(32), nn.ReLU6()], 32
    for expand, o, kernel, stride, repeats in stages:
        for k in range(repeats):
            layers.append(Inverted(i, o, expand, kernel, stride if k == 0 else 1))
            i = o
    return nn.Sequential(*layers, nn.Conv2d(i, 1280, 1, bias=False), norm(1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(1280, 1000))


def load_lite0(path):
    """The file's names are another code base's, its order is ours: tensors are matched by order, shapes checked."""
    net, theirs = lite0(), torch.load(path, weights_only=True)
    ours = net.state_dict()
    theirs = [t for n, t in theirs.items() if not n.endswith("num_batches_tracked")]
    names = [n for n in ours if not n.endswith("num_batches_tracked")]
    if len(names) != len(theirs) or any(ours[n].shape != t.shape for n, t in zip(names, theirs)):
        raise SystemExit(f"{path}: {len(theirs)} tensors in the file do not match {len(names)} of the network")
    net.load_state_dict(dict(zip(names, theirs)), strict=False)
    return net


LITE = {"mean": (0.498,) * 3, "std": (0.502,) * 3}


def efficientnet_lite0(job):
    return finish(job, load_lite0(job.file("weights")), photo(job, LITE))
