# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy onnxruntime rapidocr-onnxruntime==1.4.4
"""Text in pictures: PP-OCRv4 by rapidocr's own pipeline, three models in one program.

    python app.py [--side N] [PICTURE...]      N: pictures are brought to at least this size first (736, as rapidocr does)"""
import argparse

from rapidocr_onnxruntime import RapidOCR

from files import file

p = argparse.ArgumentParser()
p.add_argument("--side", type=int, default=736)
p.add_argument("picture", nargs="*")
args = p.parse_args()
engine = RapidOCR(det_limit_side_len=args.side, det_limit_type="min")
for picture in args.picture or [file("page.png")]:
    lines, _ = engine(picture)
    for _, text, score in lines or []:
        print(f"{float(score):.2f} {text}")
