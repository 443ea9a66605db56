# SPDX-License-Identifier: Apache-2.0
"""Transformers: MiniLM with real weights, both towers of CLIP ViT-B/32 with seeded ones."""
import json

import numpy as np
import torch
from torch import nn

from common import CLIP, export, picture, seeded, torchvision_models

SENTENCE = "the committee approved the new budget after a long and careful discussion of every item in it"


class Only(nn.Module):
    """A model of keyword arguments and many results, seen as a function of tensors to tensors."""

    def __init__(self, net, names, results):
        super().__init__()
        self.net, self.names, self.results = net, names, results

    def forward(self, *tensors):
        out = self.net(**dict(zip(self.names, tensors)))
        return tuple(out[r] for r in self.results)


def tower(job, net, inputs, results):
    names = list(inputs)
    export(Only(net.eval(), names, results), list(inputs.values()), names, results, job.model)
    return inputs


def minilm(job):
    torchvision_models()
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    config = json.load(open(job.file("config")))
    net = BertModel(BertConfig(**{k: v for k, v in config.items() if k not in ("architectures", "transformers_version")}),
                    add_pooling_layer=False)
    # Sentences are the mean of last_hidden_state; the file's pooler belongs to another task.
    missing = net.load_state_dict(load_file(job.file("weights")), strict=False)
    if [k for k in missing.missing_keys if "position_ids" not in k]:
        raise SystemExit(f"{job.name}: weights are missing: {missing.missing_keys}")
    length = job.shape("input_ids")[1]
    tok = Tokenizer.from_file(job.file("tokenizer"))
    tok.enable_padding(length=length)
    tok.enable_truncation(length)
    e = tok.encode(SENTENCE)
    row = lambda v: np.array([v], np.int64)
    return tower(job, net, {"input_ids": row(e.ids), "attention_mask": row(e.attention_mask),
                            "token_type_ids": row(e.type_ids)}, ["last_hidden_state"])


def make_clip(sentences=1, length=77):
    """(text tower, image tower, token ids of made-up sentences) of CLIP ViT-B/32."""
    torchvision_models()
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection

    seeded()
    text = CLIPTextModelWithProjection(CLIPTextConfig(projection_dim=512)).eval()
    seeded()
    image = CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=512)).eval()
    ids = np.full((sentences, length), 49407, np.int64)  # start, 12 words, end, and the end again as padding
    words = np.random.default_rng(1)
    for row in ids:
        row[:13] = [49406, *words.integers(300, 40000, 12)]
    return text, image, torch.from_numpy(ids)


def clip_text(job):
    net, _, ids = make_clip(length=job.shape("input_ids")[1])
    return tower(job, net, {"input_ids": ids.numpy()}, ["text_embeds", "last_hidden_state"])


def clip_image(job):
    _, net, _ = make_clip()
    _, _, h, w = job.shape("pixel_values")
    return tower(job, net, {"pixel_values": picture(job.file("photo"), w, h, crop=True, **CLIP)},
                 ["image_embeds", "last_hidden_state"])
