# SPDX-License-Identifier: Apache-2.0
"""libaipc: the C library by ctypes. A call releases the interpreter lock; tensors go by address, so no numpy is needed."""
import ctypes
import ctypes.util
import os
import sys

c_int64_p = ctypes.POINTER(ctypes.c_int64)


class Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("rank", ctypes.c_size_t), ("dims", c_int64_p),
                ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Error(RuntimeError):
    """key: a stable word, "input-shape"."""

    def __init__(self, key, message, hint=None):
        super().__init__(message + (" (%s)" % hint if hint else ""))
        self.key = key


def _find():
    """$AIPC_LIBRARY, beside this file (a wheel), beside the program (a build), ../lib from it, the loader's path."""
    here, ours = os.path.dirname(os.path.abspath(__file__)), os.path.join(sys.prefix, "bin", "aipc")
    if not os.environ.get("AIPC_PROGRAM") and os.path.exists(ours):  # a wheel in an environment that is not on PATH
        os.environ["AIPC_PROGRAM"] = ours
    program = os.environ.get("AIPC_PROGRAM")
    places = [os.path.join(here, "libaipc.so.0")]
    if program:
        bin_dir = os.path.dirname(os.path.realpath(program))
        places += [os.path.join(bin_dir, "libaipc.so.0"), os.path.join(bin_dir, "..", "lib", "libaipc.so.0")]
    places.append(os.path.join(here, "..", "..", "..", "..", "lib", "libaipc.so.0"))
    named = os.environ.get("AIPC_LIBRARY")
    return named or next((p for p in places if os.path.exists(p)), "libaipc.so.0")


_FUNCTIONS = {  # name: result, arguments
    "aipc_error_key": (ctypes.c_char_p, [ctypes.c_void_p]),
    "aipc_error_message": (ctypes.c_char_p, [ctypes.c_void_p]),
    "aipc_error_hint": (ctypes.c_char_p, [ctypes.c_void_p]),
    "aipc_error_free": (None, [ctypes.c_void_p]),
    "aipc_context_open": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]),
    "aipc_artifact_open": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p,
                                             ctypes.POINTER(ctypes.c_void_p)]),
    "aipc_artifact_close": (None, [ctypes.c_void_p]),
    "aipc_artifact_input_count": (ctypes.c_size_t, [ctypes.c_void_p]),
    "aipc_artifact_output_count": (ctypes.c_size_t, [ctypes.c_void_p]),
    "aipc_artifact_input": (ctypes.POINTER(Tensor), [ctypes.c_void_p, ctypes.c_size_t]),
    "aipc_artifact_output": (ctypes.POINTER(Tensor), [ctypes.c_void_p, ctypes.c_size_t]),
    "aipc_artifact_run_into": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p,
                                                 ctypes.c_size_t]),
}


class Library:
    def __init__(self, path=None):
        path = path or _find()
        try:
            lib = ctypes.CDLL(path)
        except OSError as e:
            raise Error("runtime-load", "cannot load libaipc: %s" % e, "set AIPC_LIBRARY to its file")
        for name, (result, arguments) in _FUNCTIONS.items():
            f = getattr(lib, name)
            f.restype, f.argtypes = result, arguments
            setattr(self, name[5:], f)
        self.context = ctypes.c_void_p()
        self.check(self.context_open(None, ctypes.byref(self.context)))

    def check(self, error):
        if not error:
            return
        texts = [f(error) for f in (self.error_key, self.error_message, self.error_hint)]
        self.error_free(error)
        raise Error(*(t.decode("utf-8", "replace") if t else None for t in texts))


class Artifact:
    """An opened artifact. `inputs` and `outputs`: (name, dtype, dims), in the order of the contract."""

    def __init__(self, library, folder, target=None):
        self.lib, self.handle = library, ctypes.c_void_p()
        library.check(library.artifact_open(library.context, os.fsencode(folder), target.encode() if target else None,
                                            ctypes.byref(self.handle)))
        self._in = self._list(library.artifact_input_count, library.artifact_input)
        self._out = self._list(library.artifact_output_count, library.artifact_output)
        self.inputs, self.outputs = ([(t.name.decode(), t.dtype.decode(), tuple(t.dims[:t.rank])) for t in side]
                                     for side in (self._in, self._out))

    def _list(self, count, get):
        n = count(self.handle)
        return (Tensor * n)(*(get(self.handle, i).contents for i in range(n)))  # names and dims stay the library's

    def run(self, inputs, outputs):
        """Addresses of row-major tensors, in the order of the contract. They are filled when it returns."""
        given, room = type(self._in).from_buffer_copy(self._in), type(self._out).from_buffer_copy(self._out)
        for t, address in zip(given, inputs):
            t.data = address
        for t, address in zip(room, outputs):
            t.data = address
        error = self.lib.artifact_run_into(self.handle, given, len(given), room, len(room))
        if error:
            self.lib.check(error)

    def close(self):
        handle, self.handle = self.handle, None
        if handle:
            self.lib.artifact_close(handle)
