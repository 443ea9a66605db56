# SPDX-License-Identifier: Apache-2.0
# needs: common.py files.py models.json
# pip: numpy pillow torch==2.13.0 torchvision==0.28.0 ultralytics==8.4.190 opencv-python-headless
"""People, fallen or not: YOLOv8s through ultralytics' own predict.

    python app.py [--size 640] [PHOTO...]      the longer side of what the network sees

The package and the checkpoint are under AGPL-3.0; they are fetched, not shipped."""
import argparse
import os

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
p = argparse.ArgumentParser()
p.add_argument("--size", type=int, default=640)
p.add_argument("photo", nargs="*")
args = p.parse_args()
for photo in args.photo or [file("bus.jpg"), file("zidane.jpg")]:
    result = model.predict(photo, imgsz=args.size, verbose=False)[0]
    print(os.path.basename(photo))
    for box in result.boxes:
        x0, y0, x1, y1 = (round(v) for v in box.xyxy[0].tolist())
        print(f"  {result.names[int(box.cls)]} {float(box.conf):.2f} [{x0}, {y0}, {x1}, {y1}]")
