# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy onnxruntime rapidocr-onnxruntime==1.4.4
"""Text in pictures: PP-OCRv4 by rapidocr's own pipeline, three models in one program.

    python app.py [PICTURE...]"""
import sys

from rapidocr_onnxruntime import RapidOCR

from files import file

engine = RapidOCR()
for picture in sys.argv[1:] or [file("page.png")]:
    lines, _ = engine(picture)
    for _, text, score in lines or []:
        print(f"{float(score):.2f} {text}")
