# SPDX-License-Identifier: Apache-2.0
"""Every replacement of level 1 against torch itself, and exported without what it stands for."""
import sys

import torch
import torch.nn.functional as F
from torch import nn

from aipc import level1


class Plain(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, *x):
        return self.f(*x)


def windows(x):  # Swin's partition: six axes
    y = x.view(x.shape[0], 2, 4, 2, 4, x.shape[3]).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, x.shape[3])
    return torch.roll(y, shifts=(-1, 2), dims=(1, 2))


def rope(x, freqs):
    c = torch.polar(torch.ones_like(freqs), freqs)
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.view_as_complex(torch.view_as_real(c))).flatten(-2)


def masks(x):
    y = x.clone()
    y[y > 0.5] = -1.0
    y.masked_fill_(y < 0.1, 7.0)
    return y


def tensors(out):
    return [t for t in (out if isinstance(out, tuple) else (out,)) if t is not None]


torch.manual_seed(0)
mha = nn.MultiheadAttention(16, 4, batch_first=True).eval()
r = torch.rand
CASES = [
    ("max_pool3d on 4 axes", lambda x: F.max_pool3d(x, (1, 3, 3), (2, 1, 2)), (r(6, 8, 9, 10),), {"max_pool3d"}),
    ("max_pool3d on 5 axes", lambda x: F.max_pool3d(x, (2, 3, 3), (2, 1, 2), (0, 1, 1)), (r(1, 3, 8, 9, 10),), {"max_pool3d"}),
    ("window partition and roll", windows, (r(2, 8, 8, 5),), {"permute", "roll"}),
    ("roll without dims", lambda x: torch.roll(x, 3), (r(4, 5),), {"roll"}),
    ("einsum of attention", lambda a, b: torch.einsum("bmchw,bnmc->bmhwn", a, b), (r(2, 3, 4, 5, 6), r(2, 7, 3, 4)), {"einsum"}),
    ("einsum that sums alone", lambda a, b: torch.einsum("abcde,afgc->abgde", a, b), (r(2, 3, 4, 5, 6), r(2, 7, 3, 4)), {"einsum"}),
    ("interpolate by a factor", lambda x: F.interpolate(x, scale_factor=2.0), (r(1, 3, 4, 5),), {"interpolate"}),
    ("MultiheadAttention", lambda x: mha(x, x, x, need_weights=True), (r(2, 5, 16),), {"multi_head_attention"}),
    ("MultiheadAttention with a mask", lambda x, m: mha(x, x, x, attn_mask=m > 0.5, need_weights=False)[0], (r(2, 5, 16), torch.ones(5, 5).triu(1)), {"multi_head_attention"}),
    ("scaled_dot_product_attention", lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True), (r(2, 3, 5, 8), r(2, 3, 5, 8)), {"scaled_dot_product_attention"}),
    ("the same with a mask", lambda q, m: F.scaled_dot_product_attention(q, q, q, m > 0.2, scale=0.3), (r(2, 3, 5, 8), r(5, 5)), {"scaled_dot_product_attention"}),
    ("masks in place", masks, (r(3, 4),), {"setitem", "masked_fill_"}),
    ("rfft, magnitude", lambda x: torch.abs(torch.fft.rfft(x)), (r(3, 16),), {"rfft"}),
    ("fft and back", lambda x: torch.fft.irfft(torch.fft.rfft(x) * 0.5), (r(3, 16),), {"rfft"}),
    ("fft over two axes", lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real, (r(2, 5, 8),), {"fft"}),
    ("ifft with a norm", lambda x: torch.fft.ifft(torch.fft.fft(x, 12, norm="ortho"), norm="ortho").real, (r(3, 8),), {"fft", "ifft"}),
    ("complex rotation", rope, (r(2, 5, 8), r(5, 4)), set()),
]
failed = 0
for name, f, inputs, wanted in CASES:
    try:
        mode = level1.prove(Plain(f), inputs)
        proven, wrong = mode.proven, mode.wrong
        want = f(*inputs)
        with torch.no_grad(), mode:
            have = f(*inputs)
        same = all(torch.allclose(w, h, 1e-5, 1e-5) for w, h in zip(tensors(want), tensors(have)))
        ok = wanted <= set(proven) and not wrong and same
        print("%s level 1: %s" % ("ok" if ok else "not ok", name), "" if ok else "# %s %s" % (proven, wrong))
    except Exception as e:
        ok = False
        print("not ok level 1: %s # %s: %s" % (name, type(e).__name__, e))
    failed += not ok

# A replacement that computes something else is found and left out.
level1.TABLE[torch.relu] = broken = lambda x: x * 0.5
broken.__name__ = "broken"
mode = level1.prove(Plain(torch.relu), (r(3, 3),))
ok = "broken" in mode.wrong and not mode.proven
print("%s level 1: a wrong replacement is refused" % ("ok" if ok else "not ok"))
sys.exit(failed + (not ok) > 0)
