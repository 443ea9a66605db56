# SPDX-License-Identifier: Apache-2.0
# Loaded by every Python below `aipc record`, `aipc export` and `aipc exec`, also by ones that have nothing to do with a
# model. So: os and sys only, any version of Python, nothing when the variables are absent, and no exception leaves. The
# rest of the package is loaded when the program imports torch or onnxruntime.
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))

class _Finder(object):
    def find_spec(self, name, path=None, target=None):
        if name not in ("torch.nn.modules.module", "onnxruntime.capi.onnxruntime_inference_collection"):
            return None
        try:
            sys.path.insert(0, os.path.dirname(os.path.dirname(_here)))  # for this import alone
            try:
                import aipc.hook
            finally:
                del sys.path[0]
            return aipc.hook.spec_of(name, self)
        except Exception as e:
            sys.stderr.write("aipc: %s is not hooked: %r\n" % (name, e))

try:
    if sys.version_info > (3, 6) and os.environ.get("AIPC_HOOK") in ("record", "export", "exec"):
        sys.meta_path.insert(0, _Finder())
        if os.path.isdir(os.environ.get("AIPC_HOOK_DIR", "")):
            with open(os.path.join(os.environ["AIPC_HOOK_DIR"], "hello-%d.txt" % os.getpid()), "a") as _f:
                _f.write("%d.%d.%d %s\n" % (sys.version_info[:3] + (sys.executable,)))
except Exception:
    pass
# Hands on to the sitecustomize that this one hides (a system's, coverage's).
sys.path[:] = [p for p in sys.path if not p or os.path.abspath(p) != _here]
_this = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # noqa: F401
except ImportError:
    pass
finally:
    sys.modules.setdefault("sitecustomize", _this)
