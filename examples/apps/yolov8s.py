# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy pillow torch==2.13.0 torchvision==0.28.0 ultralytics==8.4.190 opencv-python-headless
"""People, fallen or not: YOLOv8s through ultralytics' own predict.

    python app.py [PHOTO...]

The package and the checkpoint are under AGPL-3.0; they are fetched, not shipped."""
import os
import sys

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_VERBOSE", "false")
from common import torchvision_models
from files import file

torchvision_models()
import torchvision
from torchvision.extension import _has_ops
from ultralytics import YOLO
from ultralytics.utils.nms import TorchNMS

if not _has_ops():  # a torchvision built for CUDA beside a CPU build of torch
    torchvision.ops.nms = TorchNMS.nms
model = YOLO(file("fall.pt"))
photos = sys.argv[1:] or [file("bus.jpg"), file("zidane.jpg")]
for photo, result in zip(photos, model.predict(photos, verbose=False)):
    print(os.path.basename(photo))
    for box in result.boxes:
        x0, y0, x1, y1 = (round(v) for v in box.xyxy[0].tolist())
        print(f"  {result.names[int(box.cls)]} {float(box.conf):.2f} [{x0}, {y0}, {x1}, {y1}]")
