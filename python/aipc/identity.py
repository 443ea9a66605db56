# SPDX-License-Identifier: Apache-2.0
"""identity: which model an object is. A class name says nothing (two ResNets in one program), so: class, architecture
(names, types and shapes of all parameters and buffers) and content (a sample of every tensor's bytes).

One rule for recording, exporting and serving. Hashed at the first call: fuse(), half() and load_state_dict() change it.
"""
import hashlib
import os

from . import flat

SAMPLES = 64  # elements a tensor, evenly spaced


def class_of(module):
    """The class's path; for TorchScript the name it had before."""
    name = getattr(module, "original_name", None)
    if isinstance(name, str) and type(module).__module__.startswith("torch.jit"):
        return "torchscript:" + name
    return flat.class_path(type(module))


def tensors_of(module):
    """(name, tensor) of all parameters and buffers, shared ones once."""
    for kind in (module.named_parameters, module.named_buffers):
        for name, t in kind():
            yield name, t


def has_weights(module):
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None


def _some_bytes(t):
    n = t.numel()
    step = max(n // SAMPLES, 1)
    return bytes(flat.raw(t.detach().reshape(-1)[::step][:SAMPLES]))


def of_module(module):
    """-> {class, arch, content, parameters, bytes}"""
    arch, content = hashlib.sha256(), hashlib.sha256()
    count = size = 0
    for name, t in tensors_of(module):
        dtype, shape = str(t.dtype), tuple(t.shape)
        arch.update(("%s %s %s\n" % (name, dtype, shape)).encode())
        size += t.numel() * t.element_size()
        count += t.numel() if isinstance(t, _parameter()) else 0
        if t.layout == _strided() and not t.is_quantized and t.device.type != "meta":
            content.update(_some_bytes(t))
    return {"class": class_of(module), "arch": arch.hexdigest()[:32], "content": content.hexdigest()[:32],
            "parameters": count, "bytes": size}


def _parameter():
    import torch
    return torch.nn.Parameter


def _strided():
    import torch
    return torch.strided


def key(identity):
    """What two objects must have in common to be the same model."""
    if "sha256" in identity:
        return identity["sha256"]
    return "%s/%s/%s" % (identity["class"], identity["arch"], identity["content"])


def of_model_file(path_or_bytes):
    """-> {sha256, bytes, file}: an ONNX model; file is None when it came as bytes."""
    h = hashlib.sha256()
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        h.update(path_or_bytes)
        return {"sha256": h.hexdigest(), "bytes": len(path_or_bytes), "file": None}
    size, path = 0, os.path.abspath(os.fspath(path_or_bytes))
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(1 << 20), b""):
            h.update(piece)
            size += len(piece)
    return {"sha256": h.hexdigest(), "bytes": size, "file": path}


def watch(module):
    """-> a function that is cheap to call at every call; another answer than before means: hash again (to(), half(),
    fuse(), load_state_dict()). It looks at the first parameter or buffer."""
    for owner in module.modules():
        for held in (owner._parameters, owner._buffers):
            for name, t in held.items():
                if t is not None:
                    return lambda: _look(held.get(name))
    return lambda: None


def _look(t):
    return None if t is None else (id(t), t.dtype, t.data_ptr(), 0 if t.is_inference() else t._version)
