# SPDX-License-Identifier: Apache-2.0
"""libaipc by ctypes: which artifact answers a call, and the call (aipc.h, "serving"). Tensors go by address."""
import ctypes
import json
import os
import sys
from ctypes import byref, c_bool, c_char, c_char_p, c_size_t, c_uint64, c_void_p

class Error(RuntimeError):
    """Why the original runs."""

def find():
    """$AIPC_LIBRARY, beside this file (a wheel), beside the program (a build), ../lib from it, the loader's path."""
    here, ours = os.path.dirname(os.path.abspath(__file__)), os.path.join(sys.prefix, "bin", "aipc")
    if not os.environ.get("AIPC_PROGRAM") and os.path.exists(ours):  # a wheel in an environment that is not on PATH
        os.environ["AIPC_PROGRAM"] = ours
    program = os.path.dirname(os.path.realpath(os.environ.get("AIPC_PROGRAM") or ours))
    folders = here, program, os.path.join(program, "..", "lib"), os.path.join(here, "..", "..", "..", "..", "lib")
    places = [os.path.join(folder, "libaipc.so.0") for folder in folders]
    return os.environ.get("AIPC_LIBRARY") or next((p for p in places if os.path.exists(p)), "libaipc.so.0")

_FUNCTIONS = {  # result, arguments: names
    (None, c_void_p): "error_free free server_close server_forking server_forked loan_release",
    (c_char_p, c_void_p): "error_message served_name",
    (c_bool, c_void_p, c_char_p): "served_refuse",
    (c_void_p, c_void_p): "server_models deployed_document",
    (c_void_p, c_void_p, c_char_p): "server_find",
    (c_void_p, c_void_p, c_void_p): "context_open",
    (c_void_p, c_void_p, c_char_p, c_void_p): "served_choose_json",
    (c_void_p, c_void_p, c_void_p, c_void_p): "deployed_answer",
    (c_void_p, c_void_p, c_char_p, c_char_p, c_void_p): "server_open",
    (c_void_p, c_void_p, c_char_p, c_char_p, c_size_t, c_void_p): "server_find_model",
}

class Server:
    def __init__(self, folders, target):
        library, quick = ctypes.CDLL(find()), ctypes.PyDLL(find())  # quick: not worth letting other threads run
        for (result, *arguments), names in _FUNCTIONS.items():
            for name in names.split():
                f = vars(self)[name] = getattr(quick if name == "loan_release" else library, "aipc_" + name)
                f.restype, f.argtypes = result, arguments
        self.context, self.handle, self.found = c_void_p(), c_void_p(), {}
        self.check(self.context_open(None, byref(self.context)))
        self.check(self.server_open(self.context, os.fsencode(folders), (target or "").encode(), byref(self.handle)))
        self.models = self.document(self.server_models(self.handle))

    def check(self, error):
        if error:
            text = self.error_message(error).decode("utf-8", "replace")
            self.error_free(error)
            raise Error(text)

    def document(self, text):
        copy, _ = ctypes.string_at(text), self.free(text)
        return json.loads(copy)

    def _model(self, handle):
        if handle and handle not in self.found:
            self.found[handle] = Model(self, handle)
        return self.found.get(handle)

    def find(self, identity):  # -> Model or None; the next, too
        return self._model(self.server_find(self.handle, identity.encode()))

    def find_file(self, model):
        out, data = c_void_p(), bytes(model) if isinstance(model, (bytes, bytearray, memoryview)) else None
        path = None if data is not None else os.fsencode(model)
        self.check(self.server_find_model(self.handle, path, data, len(data or b""), byref(out)))
        return self._model(out.value)

class Model:
    def __init__(self, server, handle):
        self.server, self.handle, self.chosen, self.refused = server, handle, {}, {}
        self.name = server.served_name(handle).decode()

    def choose(self, key, spec, leaves, most=512):
        """The Deployed for a call; from then on `chosen` has it. `leaves`: [(name, dtype, shape)]. `most`: are kept."""
        if key in self.refused:
            raise Error(self.refused[key])
        out, call = c_void_p(), json.dumps([spec, leaves]).encode()
        try:
            self.server.check(self.server.served_choose_json(self.handle, call, byref(out)))
        except Error as e:
            len(self.refused) < most and self.refused.update({key: str(e)})
            raise
        found = Deployed(self, out)
        len(self.chosen) < most and self.chosen.update({key: found})
        return found

class Deployed:
    def __init__(self, model, handle):
        self.model, self.handle, self.server, release = model, handle, model.server, model.server.loan_release
        vars(self).update(self.server.document(self.server.deployed_document(handle)))  # feeds, results...
        self._in, self._told, self.plan = c_void_p * len(self.feeds), c_uint64 * 4, None
        self._memory = type("Memory", (c_char * self.bytes,), {"__del__": lambda memory: release(memory.loan)})

    def run(self, inputs):
        """Addresses, one a feed. -> memory with the outputs in it: the program's until nobody has a view of it."""
        told = self.told = self._told()  # memory, loan, microseconds of the run, bytes of inputs that were copied
        error = self.server.deployed_answer(self.handle, self._in(*inputs), told)
        if error:
            self.model.chosen.clear()  # it will not get better
            self.server.check(error)
        memory = self._memory.from_address(told[0])
        memory.loan = told[1]
        return memory
