# SPDX-License-Identifier: Apache-2.0
"""Whisper's encoder (tiny.en, base), openai-whisper's own module, with real weights out of CTranslate2 files."""
import struct

import numpy as np
import torch

from common import export, seeded
from shipped import speech

DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read_ct2(data):
    """{name: array} of a CTranslate2 model.bin, version 6: header, then name, rank, dims, dtype, bytes, data of each."""
    at = 0

    def take(fmt):
        nonlocal at
        value, = struct.unpack_from("<" + fmt, data, at)
        at += struct.calcsize("<" + fmt)
        return value

    def text():
        nonlocal at
        n = take("H")
        at += n
        return data[at - n:at - 1].decode()

    version, spec = take("I"), text()
    if version != 6 or spec != "WhisperSpec":
        raise SystemExit(f"CTranslate2 version {version}, {spec}: version 6 of WhisperSpec was expected")
    take("I")
    out = {}
    for _ in range(take("I")):
        name = text()
        dims = [take("I") for _ in range(take("B"))]
        dtype, size = DTYPES[take("B")], take("I")
        out[name] = np.frombuffer(data, dtype, size // np.dtype(dtype).itemsize, at).reshape(dims)
        at += size
    return out


def encoder_state(v, layers):
    """openai-whisper's names for CTranslate2's."""
    get = lambda name: torch.from_numpy(v["encoder/" + name].astype(np.float32))
    out = {"positional_embedding": get("position_encodings/encodings")}

    def put(ours, theirs, norm=False):
        out[ours + ".weight"] = get(theirs + ("/gamma" if norm else "/weight"))
        out[ours + ".bias"] = get(theirs + ("/beta" if norm else "/bias"))

    put("conv1", "conv1"), put("conv2", "conv2"), put("ln_post", "layer_norm", True)
    for i in range(layers):
        b, t = f"blocks.{i}.", f"layer_{i}/"
        put(b + "attn_ln", t + "self_attention/layer_norm", True)
        put(b + "mlp_ln", t + "ffn/layer_norm", True)
        put(b + "attn.out", t + "self_attention/linear_1")
        put(b + "mlp.0", t + "ffn/linear_0"), put(b + "mlp.2", t + "ffn/linear_1")
        weight, bias = (get(t + "self_attention/linear_0/" + k).chunk(3) for k in ("weight", "bias"))
        for k, name in enumerate(("query", "key", "value")):  # stacked there; the key has no bias here
            out[f"{b}attn.{name}.weight"] = weight[k]
            if name != "key":
                out[f"{b}attn.{name}.bias"] = bias[k]
    return out


def whisper(job):
    import whisper as openai
    from whisper.model import AudioEncoder

    seeded()
    data = b"".join(open(job.file(k), "rb").read() for k in sorted(job.entry["files"]) if k.startswith("weights"))
    e = job.entry
    net = AudioEncoder(80, 1500, e["width"], e["heads"], e["layers"]).eval()
    net.load_state_dict(encoder_state(read_ct2(data), e["layers"]))
    sound = openai.pad_or_trim(torch.from_numpy(speech(job.file("speech"), 0, 11 * 16000).copy()))
    mel = openai.log_mel_spectrogram(sound)[None].numpy()
    export(net, [mel], ["mel"], ["features"], job.model)
    return {"mel": mel}
