# SPDX-License-Identifier: Apache-2.0
"""hook: patches torch.nn.Module and onnxruntime's sessions when they are imported, and hands every call to one handler.

The mode is $AIPC_HOOK: `record`, `export` or `exec`, a module of this package whose `open_handler(environ)` returns the
handler. A handler has these methods; `call` runs the original:

    module(module, call, args, kwargs)       a torch module is called: call(module, *args, **kwargs)
    session_init(session, call, args, kwargs)        InferenceSession(...): call(session, *args, **kwargs)
    session_run(session, call, names, feed, options) run: call(session, names, feed, options)
    session_bound(session, call, binding, options)   run_with_iobinding: call(session, binding, options)
    forked()                                 this process is a fork of one that was hooked

`local.busy` is per thread. A handler sets it (with `inside()`) while the original of a module it took runs: calls of
nested modules then go straight to the original. What a handler wants to see is its own choice: it may leave it unset.
"""
import contextlib
import functools
import importlib
import os
import sys
import threading


class _Local(threading.local):
    busy = False


local = _Local()
_state = {"handler": None, "undo": []}


@contextlib.contextmanager
def inside():
    local.busy = True
    try:
        yield
    finally:
        local.busy = False


def handler():
    """The one handler of this process, made when the first of torch and onnxruntime is imported."""
    if _state["handler"] is None:
        mode = os.environ["AIPC_HOOK"]
        _state["handler"] = importlib.import_module("aipc." + mode).open_handler(os.environ)
        os.register_at_fork(after_in_child=_forked)
    return _state["handler"]


def _forked():
    local.busy = False
    _state["handler"].forked()


def complain(what):
    """An error of ours must not become one of the program's: it is written beside the recording, or to stderr."""
    import traceback
    text = "aipc: %s: %s" % (what, traceback.format_exc())
    folder = os.environ.get("AIPC_HOOK_DIR")
    if folder and os.path.isdir(folder):
        with open(os.path.join(folder, "hook-error-%d.txt" % os.getpid()), "a") as f:
            f.write(text)
    else:
        sys.stderr.write(text)


# ---- when they are imported


class _Loader:
    """The loader of a watched module, followed by a patch."""

    def __init__(self, inner, patch):
        self._inner, self._patch = inner, patch

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        self._inner.exec_module(module)
        try:
            self._patch(module, handler())
        except Exception:
            complain("cannot hook %s" % module.__name__)


def spec_of(name, path, asking):
    """The spec the other finders give, with our patch behind its loader."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path) if find and finder is not asking else None
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, PATCHES[name])
            return spec
    return None


def install():
    """For a program the start-up file does not reach (python -I, a running notebook): patches what is imported already."""
    for name, patch in PATCHES.items():
        if name in sys.modules and not _state["undo"]:
            patch(sys.modules[name], handler())


# ---- patches


def _replace(owner, name, made):
    original = getattr(owner, name)
    if getattr(original, "_aipc", False):
        return
    made = functools.wraps(original)(made(original))
    made._aipc = True
    _state["undo"].append((owner, name, original))
    setattr(owner, name, made)


def restore():
    """Takes every patch back (before an exporter looks at the modules)."""
    while _state["undo"]:
        owner, name, original = _state["undo"].pop()
        setattr(owner, name, original)


def _patch_torch(m, h):
    def made(original):
        def __call__(self, *args, **kwargs):
            if local.busy:
                return original(self, *args, **kwargs)
            return h.module(self, original, args, kwargs)
        return __call__
    _replace(m.Module, "__call__", made)
    if hasattr(h, "subclass"):  # classes whose methods are wanted, before anybody calls them
        def __init_subclass__(cls, **kwargs):
            super(m.Module, cls).__init_subclass__(**kwargs)
            h.subclass(cls)
        m.Module.__init_subclass__ = classmethod(__init_subclass__)
        _state["undo"].append((m.Module, "__init_subclass__", classmethod(lambda cls, **k: None)))


def _patch_ort(m, h):
    def init(original):
        def __init__(self, *args, **kwargs):
            return h.session_init(self, original, args, kwargs)
        return __init__

    def run(original):
        def run(self, output_names, input_feed, run_options=None):
            return h.session_run(self, original, output_names, input_feed, run_options)
        return run

    def bound(original):
        def run_with_iobinding(self, iobinding, run_options=None):
            return h.session_bound(self, original, iobinding, run_options)
        return run_with_iobinding

    def bind(where, keep=lambda a, k: None):
        def made(original):
            def bind_value(self, name, *args, **kwargs):
                original(self, name, *args, **kwargs)
                self.__dict__.setdefault(where, {})[name] = keep(args, kwargs)
            return bind_value
        return made

    def clear(where):
        def made(original):
            def clear_binding(self):
                original(self)
                self.__dict__.pop(where, None)
            return clear_binding
        return made
    _replace(m.InferenceSession, "__init__", init)
    _replace(m.Session, "run", run)
    _replace(m.Session, "run_with_iobinding", bound)
    # What is bound is read when the session runs: it may be written to between the two. Outputs come in this order.
    _replace(m.IOBinding, "bind_cpu_input", bind("_aipc_feed", lambda a, k: a[0] if a else k["arr_on_cpu"]))
    _replace(m.IOBinding, "bind_ortvalue_input", bind("_aipc_feed", lambda a, k: a[0] if a else k["ortvalue"]))
    _replace(m.IOBinding, "bind_input", bind("_aipc_feed", lambda a, k: (a, k)))
    for name in ("bind_output", "bind_ortvalue_output"):
        _replace(m.IOBinding, name, bind("_aipc_out", lambda a, k, name=name: (getattr(m.IOBinding, name), a, k)))
    _replace(m.IOBinding, "clear_binding_inputs", clear("_aipc_feed"))
    _replace(m.IOBinding, "clear_binding_outputs", clear("_aipc_out"))


PATCHES = {"torch.nn.modules.module": _patch_torch,
           "onnxruntime.capi.onnxruntime_inference_collection": _patch_ort}
