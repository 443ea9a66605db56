# SPDX-License-Identifier: Apache-2.0
"""flat: nested arguments and results as a list of tensors and a plain description of what held them: nested tuples that
begin with a tag. It can be compared, hashed, written as JSON and read back; no pickle. docs/recordings.md has the tags.
"""
import dataclasses
import functools
import hashlib
import re
import sys

MAX_TEXT, MAX_DEPTH = 200, 40
SECRET = re.compile(r"^(Bearer |(sk|ghp|gho|glpat|hf|xox[a-z])[-_]|AKIA)")  # how keys of well-known services begin
TENSOR, ARRAY, FAKE = ("tensor",), ("array",), ("fake",)
RAW = {"bfloat16": "uint16", "float8e4m3fn": "uint8", "float8e5m2": "uint8", "float8e4m3fnuz": "uint8",
       "float8e5m2fnuz": "uint8", "float8e8m0fnu": "uint8"}  # what numpy gets of types it lacks: as wide

def class_path(cls):
    return "%s:%s" % (cls.__module__, cls.__qualname__)

def meta(leaf):
    """(dtype, shape): what of a leaf is part of a signature."""
    return str(leaf.dtype).replace("torch.", "").replace("_", ""), tuple(leaf.shape)

def torch_dtype(name):
    return getattr(sys.modules["torch"], name.replace("float8e", "float8_e"))

def leaf_kind(x):
    """TENSOR, ARRAY, FAKE of a torch.Tensor without data, or None for all that cannot be written element by element."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(x, torch.Tensor):
        kind = FAKE if type(x).__name__ == "FakeTensor" else TENSOR
        return kind if x.layout is torch.strided and not x.is_quantized and not x.is_meta else None
    return ARRAY if numpy and isinstance(x, (numpy.ndarray, numpy.generic)) and x.dtype.kind in "biufc" else None

def _plain(x):
    kind = type(x)
    if kind is bool:
        return ("value", x, "bool")
    if x is None or kind is int and -2**63 <= x < 2**63 or kind is str and len(x) <= MAX_TEXT and not SECRET.search(x):
        return ("value", x)
    if kind is str:
        return ("text", hashlib.sha256(x.encode("utf-8", "surrogatepass")).hexdigest())
    return ("float", repr(x)) if kind is float else None

def _pairs(x):
    """What has names for its children, as a dict."""
    if isinstance(x, tuple) and hasattr(x, "_asdict"):
        return x._asdict()
    if dataclasses.is_dataclass(x) and not isinstance(x, (type, dict)):
        return {f.name: getattr(x, f.name, None) for f in dataclasses.fields(x)}
    return x if isinstance(x, dict) else None

def _walk(x, leaves, depth):
    kind = leaf_kind(x)
    if kind:
        leaves.append(x)
        return kind
    spec = _plain(x)
    if spec or depth > MAX_DEPTH:
        return spec or ("opaque", "nesting deeper than %d" % MAX_DEPTH)
    pairs, cls = _pairs(x), class_path(type(x))
    if pairs is not None:
        odd = sorted({class_path(type(k)) for k in pairs if k is not None and type(k) not in (bool, int, str)})
        if odd:
            return ("opaque", "%s with keys of %s" % (cls, ", ".join(odd)))
        return ("dict", "" if type(x) is dict else cls) + tuple(
            [(("value", k), _walk(v, leaves, depth + 1)) for k, v in pairs.items()])
    if isinstance(x, (tuple, list)):
        return ("list" if isinstance(x, list) else "tuple",) + tuple([_walk(c, leaves, depth + 1) for c in x])
    return ("opaque", cls)

def flatten(x):
    """-> (leaves, description)"""
    leaves = []
    return leaves, _walk(x, leaves, 0)

def flatten_call(args, kwargs):
    """The same for a call: flatten((args, kwargs)), shortcut for one tensor and nothing else."""
    if len(args) == 1 and not kwargs and leaf_kind(args[0]) is TENSOR:
        return [args[0]], ("tuple", ("tuple", ("tensor",)), ("dict", ""))
    return flatten((tuple(args), dict(kwargs)))

def thaw(spec):
    """A description read from JSON (lists) as one made here (tuples)."""
    return tuple(thaw(s) for s in spec) if isinstance(spec, list) else spec

def unflatten(spec, leaves):
    leaves = iter(leaves)
    def build(spec):
        tag = spec[0]
        if tag in ("tensor", "array", "fake"):
            return next(leaves)
        if tag == "dict":
            module, _, name = (spec[1] or "builtins:dict").partition(":")
            cls = functools.reduce(getattr, name.split("."), sys.modules[module])  # nothing is imported for it
            pairs = {k[1]: build(c) for k, c in spec[2:]}
            return cls(**pairs) if dataclasses.is_dataclass(cls) or issubclass(cls, tuple) else cls(pairs)
        if tag in ("list", "tuple"):
            return (list if tag == "list" else tuple)([build(c) for c in spec[1:]])
        return spec[1] if tag == "value" else float(spec[1])
    return build(spec)

def array(leaf):
    """A leaf as a numpy array, row by row. Types numpy lacks become whole numbers as wide, FAKE has no element."""
    import numpy
    if not isinstance(leaf, (numpy.ndarray, numpy.generic)):
        fake, torch = leaf_kind(leaf) is FAKE, sys.modules["torch"]
        leaf = torch.empty(0, dtype=leaf.dtype) if fake else leaf.detach().resolve_neg().resolve_conj().cpu()
        name = meta(leaf)[0]
        leaf = leaf.contiguous().view(torch_dtype(RAW.get(name, name))).numpy()
    return numpy.asarray(leaf, order="C")

def load(path, dtype):
    """The tensor that was written as array(); its type as recorded beside it."""
    import numpy
    return sys.modules["torch"].from_numpy(numpy.load(path, allow_pickle=False)).view(torch_dtype(dtype))
