# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy pillow onnxruntime
"""Body parts in photos: YOLOv8n (nudenet's) as an ONNX file, through onnxruntime.

    python app.py [PHOTO...]"""
import os
import sys

import numpy as np
import onnxruntime as ort
from PIL import Image

from files import file

SIZE = 320


def letterbox(photo):
    """The picture scaled into a square; and the scale."""
    im = Image.open(photo).convert("RGB")
    scale = SIZE / max(im.size)
    small = im.resize((round(im.width * scale), round(im.height * scale)), Image.BILINEAR)
    square = Image.new("RGB", (SIZE, SIZE))
    square.paste(small, (0, 0))
    return np.asarray(square, np.float32).transpose(2, 0, 1)[None] / 255, scale


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return both / (area(a) + area(b) - both)


def boxes(out, scale, least=0.25):
    """(class, score, box) of the best candidates, those that overlap a better one of their class left out."""
    found = []
    for row in out.T:
        kind = int(row[4:].argmax())
        if row[4 + kind] > least:
            x, y, w, h = row[:4] / scale
            found.append((kind, float(row[4 + kind]), (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
    kept = []
    for f in sorted(found, key=lambda f: -f[1]):
        if all(f[0] != k[0] or iou(f[2], k[2]) < 0.45 for k in kept):
            kept.append(f)
    return kept


session = ort.InferenceSession(file("320n.onnx"), providers=["CPUExecutionProvider"])
for photo in sys.argv[1:] or [file("bus.jpg"), file("zidane.jpg")]:
    x, scale = letterbox(photo)
    out = session.run(None, {session.get_inputs()[0].name: x})[0][0]
    print(os.path.basename(photo))
    for kind, score, box in boxes(out, scale):
        print(f"  class{kind} {score:.2f} [{', '.join(str(round(float(v))) for v in box)}]")
