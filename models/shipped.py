# SPDX-License-Identifier: Apache-2.0
"""Models that come as ONNX: taken as they are, with samples made for them."""
import shutil
import wave

import numpy as np

from common import picture


def yolov8n(job):
    shutil.copyfile(job.file("weights"), job.model)
    return {"images": picture(job.file("photo"), 320, 320)}


def ocr(job):
    """PP-OCR: detection wants ImageNet's scale, the recognizers a text line in -1..1."""
    shutil.copyfile(job.file("weights"), job.model)
    _, _, h, w = job.shape("x")
    if job.name.endswith("det"):
        return {"x": picture(job.file("photo"), w, h, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=True)}
    from PIL import Image

    line = Image.open(job.file("photo")).convert("RGB").crop((0, 6, 320, 30))  # the first lines of a scanned page
    line.save(job.path("line.png"))
    return {"x": picture(job.path("line.png"), w, h, (0.5,) * 3, (0.5,) * 3)}


def speech(path, start=0, count=None):
    """`count` samples (all without) of a 16 kHz mono recording, as float32 in -1..1."""
    with wave.open(path) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (16000, 1, 2)
        w.setpos(start)
        return np.frombuffer(w.readframes(w.getnframes() if count is None else count), "<i2").astype(np.float32) / 32768


def silero(job):
    """One frame in the middle of a word: 512 samples and the 64 before them."""
    shutil.copyfile(job.file("weights"), job.model)
    return {"input": speech(job.file("speech"), 16000, 576)[None], "state": np.zeros((2, 1, 128), np.float32),
            "sr": np.array(16000, np.int64)}
