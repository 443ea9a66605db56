# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy pillow onnxruntime rapidocr-onnxruntime==1.4.4
"""Text in pictures: PP-OCRv4 by rapidocr's own pipeline, three models in one program.

    python app.py [--side N] [--area X,Y,WIDTH,HEIGHT] [PICTURE...]

--side: pictures are brought to at least this size first (384; of the page that comes with scikit-image rapidocr's own 736
reads a line less). --area: only this part of each is read."""
import argparse

import numpy as np
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

from files import file

p = argparse.ArgumentParser()
p.add_argument("--side", type=int, default=384)
p.add_argument("--area", help="X,Y,WIDTH,HEIGHT")
p.add_argument("picture", nargs="*")
args = p.parse_args()
engine = RapidOCR(det_limit_side_len=args.side, det_limit_type="min")
for picture in args.picture or [file("page.png")]:
    pixels = Image.open(picture).convert("RGB")
    if args.area:
        x, y, w, h = (int(v) for v in args.area.split(","))
        pixels = pixels.crop((x, y, x + w, y + h))
    lines, _ = engine(np.asarray(pixels)[:, :, ::-1])  # OpenCV's order of colours
    for _, text, score in lines or []:
        print(f"{float(score):.2f} {text}")
