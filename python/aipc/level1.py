# SPDX-License-Identifier: Apache-2.0
"""level1: what torch can compute and exporters or targets have trouble with, said in other words.

A replacement takes the place of a torch function while a copy of the model runs (a TorchFunctionMode: the user's code and
torch itself stay as they are), so it works for modules and for functions alike. Each is proven first: on the recorded
inputs and on random ones, the function and its replacement must answer the same. One that does not is left out.
"""
import math

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

TOLERANCE = 1e-4  # of the largest element


class Unfit(Exception):
    """This use of the function is not covered."""


# ---- the replacements


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Pooling over depth is pooling over rows and columns, then over depth (a tensor without batch has 4 axes)."""
    k, p, d = (_three(v) for v in (kernel_size, padding, dilation))
    s = _three(stride) if stride is not None and stride != [] else k
    if return_indices or p[0] or d[0] != 1 or (ceil_mode and (k[0] != 1)):
        raise Unfit
    batch = x.reshape((-1,) + tuple(x.shape[-3:]))  # N*C, D, H, W: depth stands where channels do
    y = F.max_pool2d(batch, k[1:], s[1:], p[1:], d[1:], ceil_mode)
    n = (y.shape[1] - k[0]) // s[0] + 1
    out = y[:, 0:(n - 1) * s[0] + 1:s[0]]
    for i in range(1, k[0]):
        out = torch.maximum(out, y[:, i:i + (n - 1) * s[0] + 1:s[0]])
    return out.reshape(tuple(x.shape[:-3]) + tuple(out.shape[1:]))


def _three(v):
    return (v,) * 3 if isinstance(v, int) else tuple(v) * (3 if len(v) == 1 else 1)


def roll(x, shifts, dims=None):
    if dims is None or dims == ():
        return roll(x.reshape(-1), shifts, 0).reshape(x.shape)
    pairs = zip([shifts] if isinstance(shifts, int) else shifts, [dims] if isinstance(dims, int) else dims)
    for shift, dim in pairs:
        n = x.shape[dim]
        at = (n - shift) % n
        x = torch.cat([x.narrow(dim, at, n - at), x.narrow(dim, 0, at)], dim) if at else x
    return x


def einsum(equation, *operands):
    """Two operands: batch axes, free axes of each, summed axes; then a matrix product."""
    operands = tuple(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    text = equation.replace(" ", "") if isinstance(equation, str) else "."
    left, _, out = text.partition("->")
    terms = left.split(",")
    if "." in text or not out or len(operands) != 2 or any(len(set(t)) != len(t) for t in terms + [out]):
        raise Unfit
    (a, b), (x, y) = terms, operands
    x, a = _sum_alone(x, a, b + out)
    y, b = _sum_alone(y, b, a + out)
    batch = [c for c in out if c in a and c in b]
    free = [[c for c in out if c in t and c not in o] for t, o in ((a, b), (b, a))]
    inner = [c for c in a if c in b and c not in out]
    size = dict(zip(a + b, tuple(x.shape) + tuple(y.shape)))
    many = lambda cs: math.prod(size[c] for c in cs)  # noqa: E731
    x = x.permute([a.index(c) for c in batch + free[0] + inner]).reshape(many(batch), many(free[0]), many(inner))
    y = y.permute([b.index(c) for c in batch + inner + free[1]]).reshape(many(batch), many(inner), many(free[1]))
    order = batch + free[0] + free[1]
    return torch.bmm(x, y).reshape([size[c] for c in order]).permute([order.index(c) for c in out])


def _sum_alone(x, term, elsewhere):
    alone = [i for i, c in enumerate(term) if c not in elsewhere]
    return (x.sum(alone) if alone else x), "".join(c for c in term if c in elsewhere)


def permute(x, *dims):
    """More than five axes: axes that stay neighbours move as one."""
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    dims = [d % x.dim() for d in dims]
    if x.dim() < 6:
        raise Unfit
    groups = [[dims[0]]]
    for d in dims[1:]:
        if d == groups[-1][-1] + 1:
            groups[-1].append(d)
        else:
            groups.append([d])
    order = sorted(range(len(groups)), key=lambda i: groups[i][0])
    merged = x.reshape([math.prod(x.shape[d] for d in groups[i]) for i in order])
    return merged.permute([order.index(i) for i in range(len(groups))]).reshape([x.shape[d] for d in dims])


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    if scale_factor is None or antialias:
        raise Unfit
    scales = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * (x.dim() - 2)
    sizes = [int(math.floor(int(n) * float(s))) for n, s in zip(x.shape[2:], scales)]
    return F.interpolate(x, size=sizes, mode=mode, align_corners=align_corners)


def attention(query, key, value, embed_dim, heads, w, b, bias_k, bias_v, add_zero, dropout, out_w, out_b,
              training=True, key_padding_mask=None, need_weights=True, attn_mask=None, use_separate_proj_weight=False,
              q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
              average_attn_weights=True, is_causal=False):
    """MultiheadAttention as three projections, softmax(QK)V and one projection."""
    if bias_k is not None or add_zero or static_k is not None or (training and dropout) or query.dim() != 3:
        raise Unfit
    ws = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else w.chunk(3)
    bs = b.chunk(3) if b is not None else (None,) * 3

    def split(x, i):
        y = F.linear(x, ws[i], bs[i])
        return y.reshape(y.shape[0], y.shape[1], heads, -1).permute(1, 2, 0, 3)
    q, k, v = (split(x, i) for i, x in enumerate((query, key, value)))
    scores = torch.matmul(q * (q.shape[-1] ** -0.5), k.transpose(-1, -2))
    for mask, shape in ((attn_mask, lambda m: m if m.dim() == 2 else m.reshape(-1, heads, *m.shape[1:])),
                        (key_padding_mask, lambda m: m[:, None, None, :])):
        if mask is not None:
            m = shape(mask)
            scores = torch.where(m, torch.full_like(scores, -1e9), scores) if m.dtype == torch.bool else scores + m
    weights = torch.softmax(scores, -1)
    out = torch.matmul(weights, v).permute(2, 0, 1, 3).reshape(query.shape[0], query.shape[1], -1)
    mean = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
    return F.linear(out, out_w, out_b), mean


def masked_fill_(x, mask, value):
    return x.copy_(torch.where(mask, torch.as_tensor(value, dtype=x.dtype), x))


def setitem(x, index, value):
    """x[mask] = number"""
    if not isinstance(index, torch.Tensor) or index.dtype != torch.bool or isinstance(value, torch.Tensor) and value.dim():
        raise Unfit
    mask = index.reshape(tuple(index.shape) + (1,) * (x.dim() - index.dim()))
    x.copy_(torch.where(mask, torch.as_tensor(value, dtype=x.dtype), x))


def _spectrum(x, n, norm, inverse):
    """cos and sin of a discrete Fourier transform over the last axis."""
    size = n or x.shape[-1]
    x = x[..., :size] if x.shape[-1] >= size else F.pad(x, (0, size - x.shape[-1]))
    angle = torch.arange(size, dtype=torch.float64)[:, None] * torch.arange(size, dtype=torch.float64) % size
    angle = angle * (2 * math.pi / size)
    scale = {"ortho": size ** -0.5, "forward": 1.0 if inverse else 1 / size}.get(norm, 1 / size if inverse else 1.0)
    return x, (angle.cos() * scale).float(), (angle.sin() * scale).float(), size


class Pair:
    """A complex tensor as two real ones: what of complex arithmetic models use."""

    def __init__(self, real, imag):
        self.real, self.imag, self.shape, self.dtype = real, imag, real.shape, torch.complex64

    @classmethod
    def of(cls, x):
        if isinstance(x, Pair):
            return x
        return cls(x.real, x.imag) if isinstance(x, torch.Tensor) and x.is_complex() else cls(x, torch.zeros_like(x))

    def __mul__(self, o):
        if not isinstance(o, (Pair, torch.Tensor)):
            return Pair(self.real * o, self.imag * o)
        o = Pair.of(o)
        return Pair(self.real * o.real - self.imag * o.imag, self.real * o.imag + self.imag * o.real)
    __rmul__ = __mul__

    def __add__(self, o):
        o = Pair.of(o)
        return Pair(self.real + o.real, self.imag + o.imag)

    def abs(self):
        return torch.sqrt(self.real * self.real + self.imag * self.imag)

    def conj(self):
        return Pair(self.real, -self.imag)

    def __getattr__(self, name):
        """Moves of elements: both parts alike."""
        if name not in ("reshape", "view", "permute", "transpose", "unsqueeze", "squeeze", "flatten", "contiguous"):
            raise AttributeError(name)
        return lambda *a, **k: Pair(getattr(self.real, name)(*a, **k), getattr(self.imag, name)(*a, **k))

    def __getitem__(self, at):
        return Pair(self.real[at], self.imag[at])

    __torch_function__ = classmethod(lambda cls, func, types, args=(), kwargs=None: _on_pair(func, args, kwargs or {}))


def _on_pair(func, args, kwargs):
    made = {torch.view_as_real: lambda x: torch.stack([x.real, x.imag], -1), torch.abs: Pair.abs,
            torch.real: lambda x: x.real, torch.imag: lambda x: x.imag, torch.fft.ifft: ifft, torch.fft.irfft: irfft,
            torch.mul: lambda a, b: Pair.of(a) * b, torch.Tensor.mul: lambda a, b: Pair.of(a) * b,
            torch.Tensor.__mul__: lambda a, b: Pair.of(a) * b}.get(func)
    if made is None:
        raise Unfit("complex %s" % getattr(func, "__name__", func))
    return made(*args, **kwargs)


def fft(x, n=None, dim=-1, norm=None, half=False):
    if dim not in (-1, x.real.dim() - 1 if isinstance(x, Pair) else x.dim() - 1):
        raise Unfit
    x = Pair.of(x)
    re, cos, sin, size = _spectrum(x.real, n, norm, False)
    im = _spectrum(x.imag, n, norm, False)[0]
    keep = size // 2 + 1 if half else size
    cos, sin = cos[:, :keep], sin[:, :keep]
    return Pair(re @ cos + im @ sin, im @ cos - re @ sin)


def rfft(x, n=None, dim=-1, norm=None):
    return fft(x, n, dim, norm, True)


def ifft(x, n=None, dim=-1, norm=None):
    if dim not in (-1, len(x.shape) - 1):
        raise Unfit
    x = Pair.of(x)
    re, cos, sin, _ = _spectrum(x.real, n, norm, True)
    im = _spectrum(x.imag, n, norm, True)[0]
    return Pair(re @ cos - im @ sin, im @ cos + re @ sin)


def irfft(x, n=None, dim=-1, norm=None):
    x, size = Pair.of(x), n or 2 * (x.shape[-1] - 1)
    if size % 2 or x.shape[-1] != size // 2 + 1:
        raise Unfit
    back = lambda t: torch.flip(t[..., 1:-1], [-1])  # noqa: E731
    return ifft(Pair(torch.cat([x.real, back(x.real)], -1), torch.cat([x.imag, -back(x.imag)], -1)), None, dim, norm).real


def view_as_complex(x):
    return Pair(x[..., 0], x[..., 1])


TABLE = {torch.max_pool3d: max_pool3d, F.max_pool3d: max_pool3d, torch.roll: roll, torch.Tensor.roll: roll,
         torch.einsum: einsum, torch.permute: permute, torch.Tensor.permute: permute, F.interpolate: interpolate,
         F.multi_head_attention_forward: attention, torch.Tensor.masked_fill_: masked_fill_,
         torch.Tensor.__setitem__: setitem, torch.fft.fft: fft, torch.fft.rfft: rfft, torch.fft.ifft: ifft,
         torch.fft.irfft: irfft, torch.view_as_complex: view_as_complex}

# ---- the mode, and the proof


class Level1(TorchFunctionMode):
    """Puts replacements in place. While `judging`, runs both and keeps the verdicts."""

    def __init__(self):
        super().__init__()
        self.judging, self.hits, self.wrong = False, {}, {}

    def report(self):
        """-> names of what was proven, {name: why} of what was not"""
        return sorted(n for n in self.hits if n not in self.wrong), self.wrong

    @property
    def proven(self):
        return bool(self.report()[0])

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, made = kwargs or {}, TABLE.get(func)
        if any(isinstance(a, Pair) for a in args):
            return _on_pair(func, args, kwargs)
        if made is None or made.__name__ in self.wrong:
            return func(*args, **kwargs)
        try:
            if self.judging:
                self._judge(func, made, args, kwargs)
                if made.__name__ in self.wrong:
                    return func(*args, **kwargs)
            return made(*args, **kwargs)
        except Unfit:
            return func(*args, **kwargs)

    def _judge(self, func, made, args, kwargs):
        name = made.__name__
        for draw in (lambda t: t.clone(), lambda t: torch.randn_like(t) if t.is_floating_point() else t.clone()):
            a = _each(args, draw)
            want, have = func(*_each(a, torch.clone), **kwargs), made(*_each(a, torch.clone), **kwargs)
            if made is setitem:  # it answers nothing: what it wrote counts
                x, y = _each(a, torch.clone), _each(a, torch.clone)
                func(*x, **kwargs)
                made(*y, **kwargs)
                want, have = x[0], y[0]
            far = _distance(want, have)
            if far > TOLERANCE:
                self.wrong[name] = "differs by %.2g of the largest element" % far
        self.hits[name] = self.hits.get(name, 0) + 1


def _each(args, f):
    return tuple(f(a) if isinstance(a, torch.Tensor) else a for a in args)


def _distance(want, have):
    if isinstance(want, tuple):
        return max(_distance(w, h) for w, h in zip(want, have) if w is not None)
    if isinstance(have, Pair):
        return max(_distance(want.real, have.real), _distance(want.imag, have.imag))
    if want.shape != have.shape or want.dtype != have.dtype:
        return math.inf
    if not want.numel():
        return 0.0
    return float((want.double() - have.double()).abs().max() / want.double().abs().max().clamp(min=1e-6))


def prove(wrapper, inputs):
    """Runs the model once with every replacement beside what it stands for; -> the mode, to export under."""
    mode = Level1()
    mode.judging = True
    with torch.no_grad(), mode:
        wrapper(*inputs)
    mode.judging = False
    return mode
