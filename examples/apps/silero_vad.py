# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json shipped.py
# pip: numpy onnxruntime
"""Where somebody speaks: silero VAD on a recording, frame by frame with its state, through onnxruntime.

    python app.py [WAV]      16 kHz mono"""
import sys

import numpy as np
import onnxruntime as ort

from files import file
from shipped import speech

session = ort.InferenceSession(file("silero_vad.onnx"), providers=["CPUExecutionProvider"])
sound = speech(sys.argv[1] if len(sys.argv) > 1 else file("jfk.wav"))
state, before = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
rate = np.array(16000, np.int64)
spoken = []
for at in range(0, len(sound) - 511, 512):
    frame = np.concatenate([before, sound[at:at + 512]])[None]
    p, state = session.run(None, {"input": frame, "state": state, "sr": rate})
    before = sound[at + 448:at + 512]
    spoken.append(float(p[0, 0]))
print(" ".join(f"{v:.2f}" for v in spoken))
print(f"{sum(v > 0.5 for v in spoken)} of {len(spoken)} frames are speech")
