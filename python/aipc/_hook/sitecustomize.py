# SPDX-License-Identifier: Apache-2.0
# Loaded by every Python below `aipc record`, `aipc export` and `aipc exec`, also by ones that have nothing to do with a
# model. So: os and sys only, any version of Python, nothing when the variables are absent, and no exception leaves. The
# rest of the package is loaded when the program imports torch or onnxruntime.
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_watched = ("torch.nn.modules.module", "onnxruntime.capi.onnxruntime_inference_collection")


def _put(name, text):
    """Leaves a small file in the recording; there may be none (exec)."""
    folder = os.environ.get("AIPC_HOOK_DIR")
    if folder and os.path.isdir(folder):
        fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(fd, text.encode("utf-8", "replace"))
        os.close(fd)


def _load():
    """The package `aipc`, by its place: its folder is never put on sys.path."""
    if "aipc.hook" not in sys.modules:
        import importlib.util
        package = os.path.dirname(_here)
        if "aipc" not in sys.modules:
            spec = importlib.util.spec_from_file_location(
                "aipc", os.path.join(package, "__init__.py"), submodule_search_locations=[package])
            sys.modules["aipc"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules["aipc"])
        import aipc.hook
    return sys.modules["aipc.hook"]


class _Finder(object):
    def find_spec(self, name, path=None, target=None):
        if name not in _watched:
            return None
        try:
            return _load().spec_of(name, path, self)
        except Exception:
            import traceback
            _put("hook-error-%d.txt" % os.getpid(), traceback.format_exc())
            return None


def _start():
    if os.environ.get("AIPC_HOOK") in ("record", "export", "exec"):
        sys.meta_path.insert(0, _Finder())
        _put("hello-%d.txt" % os.getpid(), "%d.%d.%d %s\n" % (sys.version_info[:3] + (sys.executable,)))


def _next():
    """Hands on to the sitecustomize that this one hides (a system's, coverage's)."""
    sys.path[:] = [p for p in sys.path if not p or os.path.abspath(p) != _here]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        pass
    finally:
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


try:
    _start()
except Exception:
    pass
_next()
