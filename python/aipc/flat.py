# SPDX-License-Identifier: Apache-2.0
"""flat: nested arguments and results as a list of tensors and a plain description of what held them.

A description is nested tuples of plain values, so it can be compared, hashed, written as JSON (tuples become lists) and
read back; no pickle. Its forms:

    ("tensor",) ("array",)                  the next leaf: a torch tensor, a numpy array
    ("value", v)                            None, a bool, an int or a text
    ("float", "0.5")                        repr() of it: JSON has no NaN
    ("list", ...) ("tuple", ...)            children
    ("named", CLASS, ...)                   a named tuple
    ("dict", CLASS, (KEY, child)...)        keys are ("value", v); CLASS is "" for dict itself
    ("data", CLASS, (FIELD, child)...)      a dataclass
    ("node", CLASS, CONTEXT, ...)           a type registered with torch's pytree; CONTEXT is JSON text
    ("size", n...) ("dtype", "float32") ("device", "cpu") ("slice", a, b, c)
    ("text", sha256, length)                a text too long or too private to keep
    ("opaque", TYPE)                        anything else: it cannot be rebuilt

CLASS is "module:name", looked up among the modules the program has loaded itself; nothing is imported for it.
"""
import dataclasses
import hashlib
import json
import re
import sys

MAX_TEXT, MAX_DEPTH = 200, 40
# dtype -> numpy's name in .npy files. Types numpy does not know are stored as unsigned numbers of the same width.
DTYPES = {"float32": "<f4", "float16": "<f2", "float64": "<f8", "bfloat16": "<u2", "uint8": "|u1", "int8": "|i1",
          "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4", "uint64": "<u8", "int64": "<i8",
          "bool": "|b1", "complex64": "<c8", "complex128": "<c16", "float8e4m3fn": "|u1", "float8e5m2": "|u1",
          "float8e4m3fnuz": "|u1", "float8e5m2fnuz": "|u1"}
SECRET = re.compile(r"^(Bearer |(sk|ghp|gho|glpat|hf|xox[a-z])[-_]|AKIA)")  # how keys of well-known services begin
PLAIN = (("tensor",), ("array",))


def class_path(cls):
    return "%s:%s" % (cls.__module__, cls.__qualname__)


def find_class(path):
    module, _, name = path.partition(":")
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise LookupError("the program has no class %s" % path)
    return found


_names = {}  # dtype object -> name


def dtype_name(x):
    """The name of a tensor's or an array's element type, or None when it is none of DTYPES."""
    try:
        return _names[x.dtype]
    except KeyError:
        name = str(x.dtype)
        name = name[6:].replace("_", "") if name.startswith("torch.") else name
        return _names.setdefault(x.dtype, name if name in DTYPES else None)


def _is_tensor(x, torch):
    return torch is not None and isinstance(x, torch.Tensor)


def _leaf(x):
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if _is_tensor(x, torch):
        dense = x.layout == torch.strided and not x.is_quantized and x.device.type != "meta"
        return PLAIN[0] if dense and dtype_name(x) else None
    if numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic)):
        return PLAIN[1] if dtype_name(x) else None
    return None


def _text(s):
    if len(s) <= MAX_TEXT and not SECRET.search(s):
        return ("value", s)
    return ("text", hashlib.sha256(s.encode("utf-8", "surrogatepass")).hexdigest(), len(s))


def _node(x, leaves, depth):
    """A type the program registered with torch's pytree (transformers' caches, when asked to)."""
    pytree = sys.modules.get("torch.utils._pytree")
    known = pytree.SUPPORTED_NODES.get(type(x)) if pytree else None
    if known is None:
        return None
    children, context = known.flatten_fn(x)
    try:
        text = json.dumps(context, sort_keys=True)
    except (TypeError, ValueError):
        return None
    return ("node", class_path(type(x)), text) + tuple(_walk(c, leaves, depth) for c in children)


def _mapping(x, leaves, depth):
    if not all(k is None or type(k) in (bool, int, str) for k in x):
        kinds = sorted({class_path(type(k)) for k in x if type(k) not in (bool, int, str)})
        return ("opaque", "%s with keys of %s" % (class_path(type(x)), ", ".join(kinds)))
    cls = "" if type(x) is dict else class_path(type(x))
    return ("dict", cls) + tuple((("value", k), _walk(v, leaves, depth)) for k, v in x.items())


def _special(x):
    kind = type(x).__module__ + "." + type(x).__name__
    if kind == "torch.Size":
        return ("size",) + tuple(int(n) for n in x)
    if kind == "torch.dtype":
        return ("dtype", str(x)[6:])
    if kind == "torch.device":
        return ("device", str(x))
    if type(x) is slice and all(v is None or type(v) is int for v in (x.start, x.stop, x.step)):
        return ("slice", x.start, x.stop, x.step)
    return None


def _walk(x, leaves, depth):
    kind = type(x)
    if x is None or kind is bool or (kind is int and -2**63 <= x < 2**63):
        return ("value", x) if kind is not bool else ("value", bool(x), "bool")
    if kind is float:
        return ("float", repr(x))
    if kind is str:
        return _text(x)
    leaf = _leaf(x)
    if leaf:
        leaves.append(x)
        return leaf
    special = _special(x)
    if special or depth > MAX_DEPTH:
        return special or ("opaque", "nesting deeper than %d" % MAX_DEPTH)
    depth += 1
    if kind is tuple or kind is list:
        return (kind.__name__,) + tuple(_walk(c, leaves, depth) for c in x)
    node = None if isinstance(x, (tuple, list, dict)) else _node(x, leaves, depth)
    if node:
        return node
    if isinstance(x, dict):
        return _mapping(x, leaves, depth)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return ("named", class_path(kind)) + tuple(_walk(c, leaves, depth) for c in x)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return ("data", class_path(kind)) + tuple(
            (f.name, _walk(getattr(x, f.name, None), leaves, depth)) for f in dataclasses.fields(x))
    return ("opaque", class_path(kind))


def flatten(x):
    """-> (leaves, description)"""
    leaves = []
    return leaves, _walk(x, leaves, 0)


def flatten_call(args, kwargs):
    """The same for a call: flatten((args, kwargs)), shortcut for one tensor and nothing else."""
    if len(args) == 1 and not kwargs and _leaf(args[0]) is PLAIN[0]:
        return [args[0]], ("tuple", ("tuple", PLAIN[0]), ("dict", ""))
    return flatten((tuple(args), dict(kwargs)))


def _build_one(spec, leaves):
    tag, torch = spec[0], sys.modules.get("torch")
    if tag in ("tensor", "array"):
        return next(leaves)
    if tag == "value":
        return spec[1]
    if tag == "float":
        return float(spec[1])
    if tag in ("list", "tuple", "named"):
        children = [_build_one(c, leaves) for c in spec[2 if tag == "named" else 1:]]
        return find_class(spec[1])(*children) if tag == "named" else children if tag == "list" else tuple(children)
    if tag in ("dict", "data"):
        pairs = {(k[1] if tag == "dict" else k): _build_one(c, leaves) for k, c in spec[2:]}
        if not spec[1]:
            return pairs
        cls = find_class(spec[1])
        return cls(**pairs) if dataclasses.is_dataclass(cls) else cls(pairs)
    if tag == "node":
        known = sys.modules["torch.utils._pytree"].SUPPORTED_NODES[find_class(spec[1])]
        return known.unflatten_fn([_build_one(c, leaves) for c in spec[3:]], json.loads(spec[2]))
    if tag == "size":
        return torch.Size(spec[1:])
    if tag in ("dtype", "device"):
        return getattr(torch, spec[1]) if tag == "dtype" else torch.device(spec[1])
    if tag == "slice":
        return slice(*spec[1:])
    raise TypeError("%s cannot be rebuilt" % (spec,))


def unflatten(spec, leaves):
    return _build_one(spec, iter(leaves))


def thaw(spec):
    """A description read from JSON (lists) as one made here (tuples)."""
    return tuple(thaw(s) for s in spec) if isinstance(spec, list) else spec


def refused(spec, path=""):
    """Every (path, type) in a description that cannot be rebuilt."""
    if spec[0] in ("opaque", "text"):
        return [(path, spec[1] if spec[0] == "opaque" else "a text that was not kept")]
    return [hit for name, child in children_of(spec) for hit in refused(child, path + name)]


def children_of(spec):
    """(".name" or "[i]", child) of every child."""
    tag = spec[0]
    if tag in ("dict", "data"):
        return [(".%s" % (k[1] if tag == "dict" else k), c) for k, c in spec[2:]]
    first = {"list": 1, "tuple": 1, "named": 2, "node": 3}.get(tag)
    return [("[%d]" % i, c) for i, c in enumerate(spec[first:])] if first else []


def names(spec, root=""):
    """A name for every leaf, from where it stands: "hidden", "past_0_key"."""
    out = []

    def walk(s, path):
        if s in PLAIN:
            out.append(re.sub(r"\W+", "_", path).strip("_") or "value")
        for name, child in children_of(s):
            walk(child, path + name)
    walk(spec, root)
    return unique(out)


def unique(wanted):
    seen, out = set(), []
    for name in wanted:
        n, full = 1, name
        while full in seen:
            n, full = n + 1, "%s_%d" % (name, n + 1)
        seen.add(full)
        out.append(full)
    return out


def call_names(spec, params):
    """names() of a call's description; `params` are the names of the positional parameters."""
    args, kwargs = spec[1], spec[2]
    roots = [params[i] if i < len(params) else "arg%d" % i for i in range(len(args) - 1)]
    named = ("dict", "") + tuple((("value", r), c) for r, c in zip(roots, args[1:])) + kwargs[2:]
    return names(named)


# ---- bytes


def meta(leaf):
    """(dtype, shape): what of a leaf is part of a signature."""
    return dtype_name(leaf), tuple(leaf.shape)


def raw(leaf):
    """The elements, row by row, as something with the buffer interface. Copies only what is not laid out so."""
    torch = sys.modules.get("torch")
    if not _is_tensor(leaf, torch):
        numpy = sys.modules["numpy"]
        flat = numpy.ascontiguousarray(leaf).reshape(-1)
        return memoryview(flat.view(numpy.uint8)) if flat.size else b""
    import ctypes
    t = leaf.detach().resolve_neg().resolve_conj().cpu().contiguous()
    n = t.numel() * t.element_size()
    if not n:
        return b""
    view = (ctypes.c_ubyte * n).from_address(t.data_ptr())
    view._aipc_keep = t
    return view


def write_npy(path, leaf):
    """-> bytes written"""
    dtype, shape = meta(leaf)
    text = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (
        DTYPES[dtype], "".join("%d, " % n for n in shape))
    head = text + " " * (63 - (len(text) + 10) % 64) + "\n"
    data = raw(leaf)
    with open(path, "wb", buffering=0) as f:
        f.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
        view, done = memoryview(data).cast("B") if len(data) else memoryview(b""), 0
        while done < len(view):
            done += f.write(view[done:])
    return len(data)


def read_npy(path, dtype, shape, array=False):
    """The tensor (or array) that write_npy() wrote; dtype and shape as recorded beside it."""
    with open(path, "rb") as f:
        if f.read(6) != b"\x93NUMPY":
            raise ValueError("%s is no .npy file" % path)
        f.seek(8)
        f.seek(10 + int.from_bytes(f.read(2), "little"))
        data = bytearray(f.read())
    if array:
        numpy = sys.modules["numpy"]
        return numpy.frombuffer(data, dtype=dtype).reshape(shape)
    torch = sys.modules["torch"]
    kind = getattr(torch, re.sub(r"^float8e", "float8_e", dtype))
    t = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
    return t.reshape(tuple(shape))
