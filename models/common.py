# SPDX-License-Identifier: Apache-2.0
"""What the export scripts share: pinned files out of packages, pictures as arrays, seeded weights, one way to export."""
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np

SEED = 1


class Missing(Exception):
    """Data that no package holds and nobody gave a path to."""


# ---- pinned files


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def package(spec, folder):
    """The archive of "pip:NAME==VERSION", "npm:NAME@VERSION" or "deb:NAME=VERSION" (where there is apt-get), fetched once.
    Nothing of it is installed or run."""
    kind, name = spec.split(":", 1)
    keep = os.path.join(folder, name.replace("/", "_"))
    if not os.path.isdir(keep):
        with tempfile.TemporaryDirectory(dir=folder) as tmp:
            os.chmod(tmp, 0o755)  # apt-get fetches as a user of its own
            call = {"pip": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", name],
                    "npm": ["npm", "pack", "--silent", name], "deb": ["apt-get", "download", "-q", name]}[kind]
            try:
                done = subprocess.run(call, cwd=tmp, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            except FileNotFoundError:
                raise SystemExit(f"{spec}: not fetched: {call[0]} is not here")
            if done.returncode or len(os.listdir(tmp)) != 1:
                raise SystemExit(f"{spec}: not fetched\n{done.stderr[-2000:]}")
            os.rename(tmp, keep)
            os.mkdir(tmp)  # for the context manager to take away
    return os.path.join(keep, os.listdir(keep)[0])


def tar_of(archive):
    """The archive, or the one that holds the files of a .deb, which is an ar archive (deb(5)): blocks with a header of 60
    bytes, the name in the first 16, the size in 10 from the 48th, an even number of bytes each."""
    data = open(archive, "rb").read()
    at = 8 if data.startswith(b"!<arch>\n") else len(data)
    while at < len(data):
        name, size = data[at:at + 16].strip(), int(data[at + 48:at + 58])
        if name.startswith(b"data.tar"):
            return io.BytesIO(data[at + 60:at + 60 + size])
        at += 60 + size + size % 2
    return io.BytesIO(data)


def member(spec, inner, want, folder):
    """One file of a package, its sha256 checked each time."""
    out = os.path.join(folder, "files", want[:12] + "-" + os.path.basename(inner))
    if not os.path.exists(out):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        archive = package(spec, folder)
        if archive.endswith(".whl"):
            with zipfile.ZipFile(archive) as z:
                data = z.read(inner)
        else:
            with tarfile.open(fileobj=tar_of(archive)) as t:
                data = t.extractfile(inner).read()
        with open(out + ".new", "wb") as f:
            f.write(data)
        os.rename(out + ".new", out)
    have = sha256(out)
    if have != want:
        os.unlink(out)
        raise SystemExit(f"{spec}: {inner} has sha256 {have}, {want} was expected")
    return out


# ---- samples


def picture(path, width, height, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), bgr=False, crop=False):
    """1x3xHxW float32: pixels in 0..1, minus `mean`, over `std`. `crop` keeps the middle in the shape wanted."""
    from PIL import Image

    im = Image.open(path).convert("RGB")
    if crop:
        scale = max(width / im.width, height / im.height)
        im = im.resize((round(im.width * scale), round(im.height * scale)), Image.BILINEAR)
        left, top = (im.width - width) // 2, (im.height - height) // 2
        im = im.crop((left, top, left + width, top + height))
    else:
        im = im.resize((width, height), Image.BILINEAR)
    a = np.asarray(im, np.float32) / 255
    if bgr:
        a = a[:, :, ::-1]
    a = (a - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(a.transpose(2, 0, 1)[None], np.float32)


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}


# ---- weights


def seeded():
    import torch

    torch.manual_seed(SEED)
    torch.set_grad_enabled(False)


def settle_batchnorm(model, run, gain=1.0):
    """Gives every BatchNorm the scale of what `run` feeds it. With the customary mean 0 and variance 1 the activations of
    random weights grow or shrink from layer to layer, which a trained net's do not. The mean stays 0: random weights
    answer every picture with nearly the same, and with that taken away what is left is chaos, where each layer enlarges
    the rounding errors of the one before (YOLO26n: from 48 to 5 dB). Trained nets are not like that either."""
    import torch

    def scale(norm, args):
        x = args[0]
        norm.weight.fill_(gain)
        norm.running_mean.zero_()
        norm.running_var.copy_(x.square().mean([d for d in range(x.dim()) if d != 1]))

    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    hooks = [m.register_forward_pre_hook(scale) for m in norms]
    model.eval()
    run()
    for h in hooks:
        h.remove()
    return model


# ---- export


def export(module, inputs, names, outputs, path, opset=18, dynamo=True):
    """Writes `path`, one file. `inputs` are numpy arrays in the order of `names`."""
    import torch

    args = tuple(torch.from_numpy(a) for a in inputs)
    torch.onnx.export(module.eval(), args, path + ".new", input_names=names, output_names=outputs, opset_version=opset,
                      dynamo=dynamo, **({"external_data": False, "verbose": False} if dynamo else {}))
    os.rename(path + ".new", path)


def torchvision_models():
    """torchvision's wheel is built for CUDA; beside a CPU torch its ops are missing and the import stops at one."""
    import torch

    if "torchvision" not in sys.modules:
        lib = torch.library.Library("torchvision", "DEF")
        lib.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        lib.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision_models.lib = lib  # the definitions live as long as this
    from torchvision import models

    return models
