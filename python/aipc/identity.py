# SPDX-License-Identifier: Apache-2.0
"""identity: which model an object is. A class name says nothing (two ResNets in one program), so: class, architecture
(names, types and shapes of all parameters and buffers) and content (a sample of every tensor's bytes). One rule for
recording, exporting and serving. Hashed at the first call, since fuse(), half() and load_state_dict() change it.
"""
import ctypes
import hashlib
import itertools

from . import flat

SAMPLES = 64  # elements a tensor, evenly spaced

def class_of(module):
    """The class's path; for TorchScript the name it had before."""
    scripted = type(module).__module__.startswith("torch.jit") and getattr(module, "original_name", None)
    return "torchscript:" + scripted if scripted else flat.class_path(type(module))

def tensors_of(module):
    """(name, tensor) of all parameters and buffers, shared ones once."""
    return itertools.chain(module.named_parameters(), module.named_buffers())

def of_module(module):
    """-> {class, arch, content, parameters}"""
    arch, content = hashlib.sha256(), hashlib.sha256()
    for name, t in tensors_of(module):
        arch.update(("%s %s %s\n" % (name, t.dtype, tuple(t.shape))).encode())
        if flat.leaf_kind(t):
            every = max(t.numel() // SAMPLES, 1)
            content.update(flat.array(t.detach().reshape(-1)[::every][:SAMPLES]).tobytes())
    return {"class": class_of(module), "arch": arch.hexdigest()[:32], "content": content.hexdigest()[:32],
            "parameters": sum(p.numel() for p in module.parameters())}

def key(identity):
    """What two objects must have in common to be the same model."""
    return "%(class)s/%(arch)s/%(content)s" % identity

def watch(module):
    """-> a function that is cheap to call at every call; another answer than before means: hash again (to(), half(),
    fuse(), load_state_dict()). It looks at the first parameter or buffer; None for a module that has none."""
    at = next(((held, name) for m in module.modules() for held in (m._parameters, m._buffers)
               for name, t in held.items() if t is not None), None)
    return at and (lambda known={}: look(at[0].get(at[1]), known))

def look(t, known):
    """What must stay; its first bytes, too: half().float() may get memory back. `known`: of t while it lies there."""
    key = t is not None and (id(t), t.is_cpu and t.data_ptr(), t.dtype)
    if key and known.get("key") != key:
        n = key[1] and (min(t.nbytes, 64) if t.is_contiguous() else t.element_size())
        known.update(key=key, inference=t.is_inference(), first=n and (ctypes.c_char * n).from_address(key[1]))
    return key and (key, known["inference"] or t._version, known["first"] and known["first"].raw)
