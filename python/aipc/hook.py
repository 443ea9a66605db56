# SPDX-License-Identifier: Apache-2.0
"""hook: patches torch.nn.Module and onnxruntime's sessions when they are imported, and hands every call to one handler.

The mode is $AIPC_HOOK: `record`, `export` or `exec`, a module of this package whose `open_handler(environ)` returns the
handler. Its methods (`call` runs the original; without session_run() onnxruntime is left alone):

    module(module, call, args, kwargs, method="")    call(module, *args, **kwargs)
    methods(cls)                                     names of methods of a new class that are treated like calls
    session_init(session, call, args, kwargs)        InferenceSession(...): call(session, *args, **kwargs)
    session_run(session, call, names, feed, options) run, and run_with_iobinding: call(session, names, feed, options)
Inside of `with local:` calls of nested modules go straight to the original.
"""
import contextlib
import functools
import importlib.util
import os
import sys
import threading
import traceback

class _Local(threading.local):
    busy = False
    def __enter__(self):
        self.busy = True
    def __exit__(self, *error):
        self.busy = False

local = _Local()

@functools.lru_cache(None)
def handler():
    """The one handler of this process, made when the first of torch and onnxruntime is imported."""
    return importlib.import_module("aipc." + os.environ["AIPC_HOOK"]).open_handler(os.environ)

@contextlib.contextmanager
def quietly(what):
    """An error of ours must not become one of the program's: it is written beside the recording, or to stderr."""
    try:
        yield
    except Exception:
        folder = os.environ.get("AIPC_HOOK_DIR")
        path = os.path.join(folder, "hook-error-%d.txt" % os.getpid()) if folder and os.path.isdir(folder) else None
        with open(path or sys.stderr.fileno(), "a", closefd=bool(path)) as f:
            f.write("aipc: %s: %s" % (what, traceback.format_exc()))

def spec_of(name, asking):
    """The spec that finders other than `asking` give, with our patch behind its loader."""
    sys.meta_path.remove(asking)
    try:
        spec = importlib.util.find_spec(name)
    finally:
        sys.meta_path.insert(0, asking)
    load = spec.loader.exec_module
    def exec_module(module):
        load(module)
        with quietly("cannot hook %s" % name):
            if module.__name__ == name:
                PATCHES[name](module, handler())
    spec.loader.exec_module = exec_module
    return spec

def _replace(owner, name, made):
    """made(original) in its place; never twice. A copy of this file (`aipc split`) leaves a mark of its own."""
    original, mark = getattr(owner, name), "_hook_" + __name__
    if not hasattr(original, mark):
        new = functools.wraps(original)(made(original))
        setattr(new, mark, True)
        setattr(owner, name, new)

def _patch_torch(m, h):
    def to_handler(*method):
        return lambda original: lambda self, *args, **kwargs: (
            original(self, *args, **kwargs) if local.busy else h.module(self, original, args, kwargs, *method))
    _replace(m.Module, "__call__", to_handler())

    def __init_subclass__(cls, **kwargs):  # before anybody calls the methods
        super(m.Module, cls).__init_subclass__(**kwargs)
        for name in h.methods(cls):
            if callable(getattr(cls, name, None)):
                _replace(cls, name, to_handler(name))
    m.Module.__init_subclass__ = classmethod(__init_subclass__)

def _patch_ort(m, h):
    if not hasattr(h, "session_run"):
        return
    _replace(m.InferenceSession, "__init__", lambda original: lambda self, *args, **kwargs:
             h.session_init(self, original, args, kwargs))
    _replace(m.Session, "run", lambda original: lambda self, output_names, input_feed, run_options=None:
             h.session_run(self, original, output_names, input_feed, run_options))
    _replace(m.Session, "run_with_iobinding", lambda original: lambda self, iobinding, run_options=None:
             _run_bound(h, original, self, iobinding, run_options))
    for name in ("bind_cpu_input", "bind_ortvalue_input", "bind_input", "bind_output", "bind_ortvalue_output"):
        _replace(m.IOBinding, name, _binder)
    for side in ("inputs", "outputs"):
        _replace(m.IOBinding, "clear_binding_" + side, lambda original, side=side[:-1]: lambda self: (
            original(self), self.__dict__.pop("_aipc_" + side, None))[0])

def _binder(original):
    def bind(self, name, *args, **kwargs):
        original(self, name, *args, **kwargs)
        side = "_aipc_input" if original.__name__.endswith("input") else "_aipc_output"
        self.__dict__.setdefault(side, {})[name] = original, args, kwargs
    return bind

def _run_bound(h, original, session, binding, options):
    """As a plain run. What is bound is read now: it may have been written to since. Outputs come in their order."""
    inputs, outputs, ran = getattr(binding, "_aipc_input", {}), getattr(binding, "_aipc_output", {}), []
    feed = {name: (list(args) + list(kwargs.values()))[0] for name, (_, args, kwargs) in inputs.items()}
    def call(session, names, feed, options):
        ran.append(True)
        for name, (bind, args, kwargs) in outputs.items():  # as the program had bound them
            bind(binding, name, *args, **kwargs)
        original(session, binding, options)
        return binding.copy_outputs_to_cpu()
    if any(len(args) + len(kwargs) > 2 for _, args, kwargs in list(inputs.values()) + list(outputs.values())):
        return original(session, binding, options)  # by addresses of memory: not ours to read
    answers = h.session_run(session, call, list(outputs), feed, options)
    for (name, (_, args, kwargs)), answer in zip(outputs.items(), () if ran else answers):
        to = args[0] if args else kwargs.get("ortvalue")
        if hasattr(to, "update_inplace"):
            to.update_inplace(answer)
        else:  # the binding hands out one
            value = sys.modules["onnxruntime"].OrtValue.ortvalue_from_numpy(answer)
            type(binding).bind_ortvalue_output.__wrapped__(binding, name, value)

PATCHES = {"torch.nn.modules.module": _patch_torch, "onnxruntime.capi.onnxruntime_inference_collection": _patch_ort}
