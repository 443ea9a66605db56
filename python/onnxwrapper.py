# SPDX-License-Identifier: Apache-2.0
"""onnxwrapper: `import onnxwrapper as ort` is onnxruntime, but sessions of models that aipc deployed run their artifact.

    session = ort.InferenceSession("model.onnx", backend="QAIRT")

`artifacts`: folders written by `aipc deploy` (default $AIPC_ARTIFACTS, else ./out); `target`: one of their targets.
`backend` picks it by family: "QAIRT" and "QNN" an htp target, "CPU" the cpu; None any. A model that was not deployed, or
not for these shapes, is onnxruntime's as ever.
"""
import os

import onnxruntime as _ort
from aipc import exec as _exec

FAMILIES = {"QAIRT": "htp:", "QNN": "htp:", "HTP": "htp:", "CPU": "cpu"}
_servers = {}


def __getattr__(name):
    return getattr(_ort, name)


def __dir__():
    return sorted(set(dir(_ort)) | set(globals()))


def _server(artifacts, target):
    folders = artifacts or os.environ.get("AIPC_ARTIFACTS") or "out"
    folders = folders.split(os.pathsep) if isinstance(folders, str) else [os.fspath(f) for f in folders]
    key = (tuple(folders), target, os.getpid())
    if key not in _servers:
        there = [f for f in folders if any(os.path.exists(os.path.join(f, n)) for n in ("index.json", "manifest.json"))]
        _servers[key] = _exec.Server(there, target, False, None)
    return _servers[key]


class InferenceSession(_ort.InferenceSession):
    def __init__(self, path_or_bytes, *args, backend=None, target=None, artifacts=None, **kwargs):
        family = FAMILIES.get(str(backend).upper()) if backend is not None else None
        if backend is not None and family is None:
            raise ValueError("no backend %r; there are %s" % (backend, ", ".join(sorted(FAMILIES))))
        self._aipc_server, self._aipc_served = _server(artifacts, target or family), 0
        self._aipc_server.session_init(self, _ort.InferenceSession.__init__, (path_or_bytes,) + args, kwargs)

    def run(self, output_names, input_feed, run_options=None):
        fell_back = []

        def original(session, *args):
            fell_back.append(True)
            return super(InferenceSession, session).run(*args)
        out = self._aipc_server.session_run(self, original, output_names, input_feed, run_options)
        self._aipc_served += not fell_back
        return out


def served(session):
    """How many runs of a session an artifact has answered."""
    return session._aipc_served
