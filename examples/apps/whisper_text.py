# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json whisper_encoder.py shipped.py
# pip: numpy torch==2.13.0 openai-whisper==20250625
"""Speech to text: Whisper (tiny.en or base) by openai-whisper's transcribe.

    python app.py [--model tiny.en|base] [--librivox] [WAV...]      16 kHz mono; five clips of a reading"""
import argparse

import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from files import file
from shipped import speech
from whisper_encoder import encoder_state, read_ct2

SIZES = {"tiny.en": (51864, 384, 6, 4, ["whisper-tiny.en.bin"]),
         "base": (51865, 512, 8, 6, ["whisper-base.bin.1", "whisper-base.bin.2"])}


def decoder_state(v, layers):
    """openai-whisper's names for CTranslate2's; projections of a kind are stacked there."""
    get = lambda name: torch.from_numpy(v["decoder/" + name].astype("float32"))
    out = {"token_embedding.weight": get("embeddings/weight"), "positional_embedding": get("position_encodings/encodings"),
           "ln.weight": get("layer_norm/gamma"), "ln.bias": get("layer_norm/beta")}

    def put(ours, theirs, suffix=("weight", "bias")):
        out[ours + ".weight"], out[ours + ".bias"] = get(f"{theirs}/{suffix[0]}"), get(f"{theirs}/{suffix[1]}")

    def split(block, theirs, names):
        weight, bias = (get(f"{theirs}/{k}").chunk(len(names)) for k in ("weight", "bias"))
        for k, name in enumerate(names):
            out[f"{block}.{name}.weight"] = weight[k]
            if name != "key":  # has no bias here
                out[f"{block}.{name}.bias"] = bias[k]

    for i in range(layers):
        b, t = f"blocks.{i}.", f"layer_{i}/"
        for ours, theirs in (("attn", "self_attention"), ("cross_attn", "attention")):
            put(f"{b}{ours}_ln", f"{t}{theirs}/layer_norm", ("gamma", "beta"))
        put(b + "mlp_ln", t + "ffn/layer_norm", ("gamma", "beta"))
        put(b + "mlp.0", t + "ffn/linear_0")
        put(b + "mlp.2", t + "ffn/linear_1")
        split(b + "attn", t + "self_attention/linear_0", ("query", "key", "value"))
        put(b + "attn.out", t + "self_attention/linear_1")
        split(b + "cross_attn", t + "attention/linear_0", ("query",))
        split(b + "cross_attn", t + "attention/linear_1", ("key", "value"))
        put(b + "cross_attn.out", t + "attention/linear_2")
    return out


def load(name):
    vocab, width, heads, layers, parts = SIZES[name]
    v = read_ct2(b"".join(open(file(f), "rb").read() for f in parts))
    model = Whisper(ModelDimensions(80, 1500, width, heads, layers, vocab, 448, width, heads, layers))
    state = {"encoder." + k: t for k, t in encoder_state(v, layers).items()}
    state.update({"decoder." + k: t for k, t in decoder_state(v, layers).items()})
    model.load_state_dict(state)
    return model


p = argparse.ArgumentParser()
p.add_argument("--model", choices=SIZES, default="tiny.en")
p.add_argument("--librivox", action="store_true", help="five clips of a LibriVox reading, too")
p.add_argument("wav", nargs="*")
args = p.parse_args()
model = load(args.model)
clips = [file(f"librivox-{n}.wav") for n in ("0870", "0880", "0890", "0920", "0930")] if args.librivox else []
for path in (args.wav or [file("jfk.wav")]) + clips:
    said = whisper.transcribe(model, speech(path).copy(), fp16=False, language="en")
    print(said["text"].strip())
