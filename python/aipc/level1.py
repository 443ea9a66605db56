# SPDX-License-Identifier: Apache-2.0
"""level1: what torch can compute and exporters or targets have trouble with, said in other words.

A replacement takes the place of a torch function while a copy of the model runs (a TorchFunctionMode: nothing else is
changed). Each is proven first: on the recorded inputs and on random ones, function and replacement must do the same. It
raises NotImplementedError for uses of the function that it does not cover.
"""
import functools
import math

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

TOLERANCE = 1e-4  # of the largest element

def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Pooling over rows and columns, then over depth (a tensor without batch has 4 axes)."""
    k, s, p, d = ((v,) * 3 if isinstance(v, int) else tuple(v)
                  for v in (kernel_size, stride or kernel_size, padding, dilation))
    if return_indices or p[0] or d[0] != 1 or ceil_mode and k[0] != 1:
        raise NotImplementedError
    y = F.max_pool2d(x.reshape((-1,) + tuple(x.shape[-3:])), k[1:], s[1:], p[1:], d[1:], ceil_mode)
    end = (y.shape[1] - k[0]) // s[0] * s[0] + 1
    out = functools.reduce(torch.maximum, (y[:, i:i + end:s[0]] for i in range(k[0])))  # depth stands where channels do
    return out.reshape(tuple(x.shape[:-3]) + tuple(out.shape[1:]))

def roll(x, shifts, dims=None):
    if dims is None or dims == ():
        return roll(x.reshape(-1), shifts, 0).reshape(x.shape)
    for shift, dim in zip(*([v] if isinstance(v, int) else v for v in (shifts, dims))):
        first, last = (-shift) % x.shape[dim], shift % x.shape[dim]
        x = torch.cat([x.narrow(dim, first, last), x.narrow(dim, 0, first)], dim) if last else x
    return x

def einsum(equation, *operands):
    """Two operands: what one of them alone sums, then a matrix product over (batch, free, summed) axes."""
    operands = operands[0] if len(operands) == 1 else operands
    left, _, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left or not out or len(operands) != 2 or any(len(set(t)) != len(t) for t in terms + [out]):
        raise NotImplementedError
    size = {c: n for term, x in zip(terms, operands) for c, n in zip(term, x.shape)}
    batch = [c for c in out if c in terms[0] and c in terms[1]]
    inner = [c for c in terms[0] if c in terms[1] and c not in out]
    free = [[c for c in out if c in term and c not in batch] for term in terms]
    made = []
    for x, term, groups in zip(operands, terms, ((batch, free[0], inner), (batch, inner, free[1]))):
        axes = [c for g in groups for c in g]
        alone = [i for i, c in enumerate(term) if c not in axes]
        kept = [c for c in term if c in axes]
        x = (x.sum(alone) if alone else x).permute([kept.index(c) for c in axes])
        made.append(x.reshape([math.prod(size[c] for c in g) for g in groups]))
    order = batch + free[0] + free[1]
    return torch.bmm(*made).reshape([size[c] for c in order]).permute([order.index(c) for c in out])

def permute(x, *dims):
    """More than five axes: axes that stay neighbours move as one."""
    dims = [d % x.dim() for d in (dims if isinstance(dims[0], int) else dims[0])]
    if x.dim() < 6:
        raise NotImplementedError
    starts = [i for i, d in enumerate(dims) if i == 0 or d != dims[i - 1] + 1]
    groups = [dims[a:b] for a, b in zip(starts, starts[1:] + [len(dims)])]
    merged = x.reshape([math.prod(x.shape[d] for d in g) for g in sorted(groups)])
    return merged.permute([sorted(groups).index(g) for g in groups]).reshape([x.shape[d] for d in dims])

def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    """By a factor: to the size that comes of it."""
    if scale_factor is None or antialias:
        raise NotImplementedError
    scales = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * (x.dim() - 2)
    sizes = [math.floor(int(n) * float(s)) for n, s in zip(x.shape[2:], scales)]
    return F.interpolate(x, sizes, None, mode, align_corners)

def scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if dropout_p or enable_gqa:
        raise NotImplementedError
    scores = torch.matmul(q * (scale or q.shape[-1] ** -0.5), k.transpose(-1, -2))
    mask = torch.ones(scores.shape[-2:]).tril() > 0 if is_causal else attn_mask
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(torch.softmax(scores, -1), v)

def multi_head_attention(*args, need_weights=True, **kwargs):
    """Where weights are wanted torch itself multiplies, and takes a softmax."""
    out, weights = F.multi_head_attention_forward(*args, need_weights=True, **kwargs)
    return out, weights if need_weights else None

def masked_fill_(x, mask, value):
    return x.copy_(torch.where(mask, torch.as_tensor(value, dtype=x.dtype), x))

def setitem(x, index, value):
    """x[mask] = number"""
    if not isinstance(index, torch.Tensor) or index.dtype != torch.bool or torch.as_tensor(value).dim():
        raise NotImplementedError
    masked_fill_(x, index.reshape(tuple(index.shape) + (1,) * (x.dim() - index.dim())), value)

def _dft(x, n, dim, norm, inverse):
    """A discrete Fourier transform by products with two matrices. -> real and imaginary part"""
    x, size = x.transpose(dim, -1), n or x.shape[dim]
    parts = [t[..., :size] for t in ((x.real, x.imag) if x.is_complex() else (x, torch.zeros_like(x)))]
    re, im = (F.pad(t, (0, size - t.shape[-1])) if t.shape[-1] < size else t for t in parts)
    at = torch.arange(size, dtype=torch.float64)
    angle = (at[:, None] * at % size) * ((2 if inverse else -2) * math.pi / size)
    scale = {"ortho": size ** -0.5, "forward": 1.0 if inverse else 1 / size}.get(norm, 1 / size if inverse else 1.0)
    cos, sin = (angle.cos() * scale).to(re.dtype), (angle.sin() * scale).to(re.dtype)
    return [t.transpose(dim, -1) for t in (re @ cos - im @ sin, re @ sin + im @ cos)]

def fft(x, n=None, dim=-1, norm=None):
    return torch.complex(*_dft(x, n, dim, norm, False))

def rfft(x, n=None, dim=-1, norm=None):
    return fft(x, n, dim, norm).narrow(dim, 0, (n or x.shape[dim]) // 2 + 1)

def ifft(x, n=None, dim=-1, norm=None):
    return torch.complex(*_dft(x, n, dim, norm, True))

def irfft(x, n=None, dim=-1, norm=None):
    if n is not None and n != 2 * (x.shape[dim] - 1):
        raise NotImplementedError
    mirror = torch.flip(x.narrow(dim, 1, x.shape[dim] - 2), [dim]).conj()
    return _dft(torch.cat([x, mirror], dim), None, dim, norm, True)[0]

T = torch.Tensor
TABLE = {torch.max_pool3d: max_pool3d, F.max_pool3d: max_pool3d, torch.roll: roll, T.roll: roll, torch.einsum: einsum,
         torch.permute: permute, T.permute: permute, F.interpolate: interpolate, T.masked_fill_: masked_fill_,
         F.scaled_dot_product_attention: scaled_dot_product_attention, T.__setitem__: setitem,
         F.multi_head_attention_forward: multi_head_attention,
         torch.fft.fft: fft, torch.fft.rfft: rfft, torch.fft.ifft: ifft, torch.fft.irfft: irfft}

class Level1(TorchFunctionMode):
    """Puts replacements in place. While `judging`, runs both first and keeps the verdicts; `wrong`: {name: why}."""
    def __init__(self):
        super().__init__()
        self.judging, self.hits, self.wrong = True, set(), {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, made = kwargs or {}, TABLE.get(func)
        try:
            if self.judging and made:
                self._judge(func, made, args, kwargs)
            return (func if made is None or made.__name__ in self.wrong else made)(*args, **kwargs)
        except NotImplementedError:
            return func(*args, **kwargs)

    def _judge(self, func, made, args, kwargs):
        for draw in (torch.clone, lambda t: torch.randn_like(t) if t.is_floating_point() else t.clone()):
            given = [draw(a) if isinstance(a, T) else a for a in args]
            have, want = _outcome(made, given, kwargs), _outcome(func, given, kwargs)
            try:
                for h, w in zip(have, want):
                    most = float(w.to(torch.complex128).abs().max()) if w.numel() else 0
                    torch.testing.assert_close(h, w, rtol=TOLERANCE, atol=TOLERANCE * most, equal_nan=True)
            except AssertionError as e:
                self.wrong[made.__name__] = str(e)
        self.hits.add(made.__name__)

def _outcome(f, args, kwargs):
    """What it answers, and what it leaves in its arguments."""
    args = [a.clone() if isinstance(a, T) else a for a in args]
    out = f(*args, **kwargs)
    return [t for t in (out if isinstance(out, tuple) else (out,)) + tuple(args) if isinstance(t, T)]

def prove(wrapper, inputs):
    """Runs the model once with every replacement beside what it stands for; -> the mode, to export under."""
    mode = Level1()
    with torch.no_grad(), mode:
        wrapper(*inputs)
    mode.judging, mode.proven = False, sorted(mode.hits - set(mode.wrong))
    return mode
