# SPDX-License-Identifier: Apache-2.0
"""onnxwrapper: `import onnxwrapper as ort` is onnxruntime, but sessions of models that aipc deployed run their artifact.

    session = ort.InferenceSession("model.onnx", backend="QAIRT")

`artifacts`: folders written by `aipc deploy` (default $AIPC_ARTIFACTS, else ./out); `target`: one of their targets.
`backend` picks it by family: "QAIRT", "QNN" and "HTP" an htp target, "CPU" the cpu; None any. A model that was not
deployed, or not for these shapes, is onnxruntime's as ever.
"""
import os

import onnxruntime as _ort
from aipc import exec as _exec

FAMILIES = {None: None, "QAIRT": "htp:", "QNN": "htp:", "HTP": "htp:", "CPU": "cpu"}
_servers = {}


def __getattr__(name):
    return getattr(_ort, name)


class InferenceSession(_ort.InferenceSession):
    def __init__(self, path_or_bytes, *args, backend=None, target=None, artifacts=None, **kwargs):
        if backend not in FAMILIES:
            raise ValueError("no backend %r; there are %s" % (backend, ", ".join(sorted(filter(None, FAMILIES)))))
        folders = artifacts or os.environ.get("AIPC_ARTIFACTS") or "out"
        key = folders if isinstance(folders, str) else ":".join(map(os.fspath, folders)), target or FAMILIES[backend]
        if key not in _servers:
            _servers[key] = _exec.Server(*key)
        self._aipc_server = _servers[key]
        self._aipc_server.session_init(self, _ort.InferenceSession.__init__, (path_or_bytes,) + args, kwargs)

    def run(self, output_names, input_feed, run_options=None):
        return self._aipc_server.session_run(self, _ort.InferenceSession.run, output_names, input_feed, run_options)


def served(session):
    """Is its model deployed?"""
    return getattr(session, "_aipc_model", None) is not None
