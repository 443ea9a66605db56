# SPDX-License-Identifier: Apache-2.0
"""export: inside the user's program, at the first call of a recorded module, makes ONNX files of it.

Pickles are loaded by the user's own script only, so the program itself runs again and is ended when all is exported.
Every attempt gets a fresh deep copy, the recorded inputs, and a judge that knows nothing of torch: `aipc replay`.
"""
import contextlib
import copy
import inspect
import io
import json
import keyword
import os
import subprocess
import sys
import time

from . import flat, hook, identity

# In this order; the first that the judge accepts is taken. Level 1: with the replacements of level1.py.
ATTEMPTS = (("torch.export", 18, False), ("torchscript", 17, False), ("torch.export", 18, True),
            ("torchscript", 17, True), ("torch.export", 20, False), ("torchscript", 20, False))
ONE_FILE = 1 << 30  # weights above this many bytes lie beside the model


def open_handler(env):
    with open(json.loads(env["AIPC_HOOK_OPTIONS"])["request"]) as f:
        return Exporter(json.load(f), env)


class Refused(Exception):
    pass


class Exporter:
    def __init__(self, request, env):
        self.request, self.out, self.program = request, request["out"], env["AIPC_PROGRAM"]
        self.models = {identity.key(m["identity"]): m for m in request["models"]}
        self.seen = {}  # id of a module -> it, kept alive so that the number stays its own
        if any((m["path"] or "").startswith(".") for m in self.models.values()):
            self.subclass = self._subclass

    def forked(self):
        pass

    # ---- the program's calls

    def module(self, module, call, args, kwargs):
        self._look(module, None)
        return call(module, *args, **kwargs)

    def _subclass(self, cls):
        for m in self.models.values():
            name = (m["path"] or " ")[1:]
            if flat.class_path(cls) == m["identity"]["class"] and callable(cls.__dict__.get(name)):
                setattr(cls, name, self._method(cls.__dict__[name], name))

    def _method(self, original, name):
        def method(module, *args, **kwargs):
            self._look(module, name)
            return original(module, *args, **kwargs)
        return method

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)

    def session_run(self, session, call, names, feed, options):
        return call(session, names, feed, options)

    def session_bound(self, session, call, binding, options):
        return call(session, binding, options)

    def _look(self, module, method):
        """Is this one of the modules to export? Then do it, and end the program with the last."""
        if id(module) in self.seen or hook.local.busy:
            return
        try:
            cls = identity.class_of(module)
            wanted = [m for m in self.models.values() if m["identity"]["class"] == cls and
                      (method is None or m["path"] == "." + method)]
            if not wanted:
                return
            self.seen[id(module)] = module
            who = identity.of_module(module)
            model = self.models.get(identity.key(who))
            if model is None:
                self._note({"class": cls, "found": who, "recorded": [m["identity"] for m in wanted]})
                return
            if self._claim(model):
                with hook.inside():
                    self._export(model, module, method)
            del self.models[identity.key(who)]
        except Exception:
            hook.complain("cannot export")
        if not self.models:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _note(self, what):
        with open(os.path.join(self.out, "other-%d.json" % os.getpid()), "a") as f:
            f.write(json.dumps(what) + "\n")

    def _claim(self, model):
        """Of several processes one exports."""
        try:
            os.close(os.open(os.path.join(self.out, model["name"] + ".claim"), os.O_CREAT | os.O_EXCL))
            return True
        except FileExistsError:
            return False

    # ---- a module

    def _export(self, model, module, method):
        folder = os.path.join(self.out, model["name"])
        os.makedirs(folder, exist_ok=True)
        results = []
        with _into_log(os.path.join(folder, "export.log")):
            for sig in model["signatures"]:
                print("==== signature %s" % sig["id"], flush=True)
                one = Signature(self, folder, module, method, sig, model)
                results.append(one.run())
        text = json.dumps({"name": model["name"], "identity": model["identity"], "signatures": results}, indent=1)
        with open(os.path.join(folder, "export.json.new"), "w") as f:
            f.write(text)
        os.replace(os.path.join(folder, "export.json.new"), os.path.join(folder, "export.json"))


@contextlib.contextmanager
def _into_log(path):
    """What exporters print, from Python and from C."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for fd in (1, 2):
        os.dup2(log, fd)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, old in zip((1, 2), saved):
            os.dup2(old, fd)
            os.close(old)
        os.close(log)


class Signature:
    """One signature of one module."""

    def __init__(self, exporter, folder, module, method, sig, model):
        self.e, self.folder, self.module, self.method, self.sig = exporter, folder, module, method, sig
        self.spec, self.out_spec = flat.thaw(sig["spec"]), flat.thaw(sig["out_spec"])
        self.names = _identifiers([i["name"] for i in sig["inputs"]])
        self.training, self.attempts, self.level1 = model["training"], [], []

    def run(self):
        result = {"id": self.sig["id"], "file": None, "attempts": self.attempts}
        try:
            self._reproduces()
            for exporter, opset, level1 in self._order():
                if self._attempt(exporter, opset, level1, result):
                    break
        except Refused as e:
            result["refused"] = str(e)
        return result

    def _order(self):
        if not self.e.request["level1"]:
            return ATTEMPTS
        return sorted(ATTEMPTS, key=lambda a: not a[2])

    # ---- copies

    def _copy(self):
        import torch
        with torch.no_grad():
            try:
                new = copy.deepcopy(self.module)
            except Exception:
                if not isinstance(self.module, torch.jit.ScriptModule):
                    raise
                file = io.BytesIO()
                torch.jit.save(self.module, file)
                file.seek(0)
                new = torch.jit.load(file, map_location="cpu")
            new = new.cpu()
            new.eval() if not self.training_counts else new.train(self.training)
            for p in new.parameters():
                p.requires_grad_(False)
        return new

    training_counts = False

    def _leaves(self, sample, side):
        kind = "inputs" if side == "inputs" else "outputs"
        return [flat.read_npy(path, d["dtype"], _npy_shape(path)) for path, d in zip(sample[kind], self.sig[kind])]

    def _wrapper(self):
        return _flat_module(self._copy(), self.method, self.spec, self.names)

    # ---- before any exporter: is it a function of its arguments at all?

    def _reproduces(self):
        import torch
        hit = flat.refused(self.spec) or flat.refused(self.out_spec, "output")
        if hit:
            raise Refused("stateful argument: %s is a %s; it cannot be kept apart from the program" % hit[0])
        if ("array",) in _all(self.spec):
            raise Refused("an argument is a numpy array: the module does not take it as a tensor")
        worst = -1
        for self.training_counts in (False, True) if self.training else (False,):
            try:
                wrapper = self._wrapper()
            except Exception as e:
                raise Refused("the module cannot be copied: %s" % _short(e))
            with torch.no_grad():
                again = [[wrapper(*self._leaves(s, "inputs")) for _ in range(2)] for s in self.sig["samples"][:2]]
            dbs = [_sqnr(want, have) for s, runs in zip(self.sig["samples"], again) for have in runs
                   for want, have in zip(self._leaves(s, "outputs"), have)]
            worst = min(dbs) if dbs else 999
            if worst >= 30:
                return
        raise Refused("a copy of the module does not compute what was recorded (SQNR %.1f dB): it keeps state from call "
                      "to call, draws random numbers, or hooks change it" % worst)

    # ---- one attempt

    def _attempt(self, exporter, opset, level1, result):
        import torch
        start = time.perf_counter()
        path = os.path.join(self.folder, self.sig["id"] + ".onnx")
        attempt = {"exporter": exporter, "opset": opset, "level1": [], "verdict": "failed", "why": None}
        try:
            wrapper, mode = self._wrapper(), contextlib.nullcontext()
            inputs = tuple(self._leaves(self.sig["samples"][0], "inputs"))
            if level1:
                from . import level1 as replacements
                mode = replacements.prove(self._wrapper(), inputs)
                attempt["level1"], attempt["level1_refused"] = mode.report()
                if not mode.proven:
                    return False
            self.attempts.append(attempt)
            print("==== %s, opset %d%s" % (exporter, opset, ", level 1" if level1 else ""), flush=True)
            with torch.no_grad(), mode:
                EXPORTERS[exporter](wrapper, inputs, path, self.names, opset)
            answer = self._judge(path, wrapper)
            attempt.update(verdict=answer["verdict"], why=answer["why"], worst_db=answer["worst_db"],
                           sets=answer["sets"])
            if answer["verdict"] == "accepted":
                feeds = [{"input": n, "leaf": self.names.index(n)} for n in answer["inputs"]]
                results = [{"output": n, "leaf": i} for i, n in enumerate(answer["outputs"])]
                result.update(file=os.path.basename(path), exporter=exporter, opset=opset, feeds=feeds,
                              results=results, level1=attempt["level1"], sets=answer["sets"])
                return True
        except Exception as e:
            attempt["why"] = _short(e)
            import traceback
            traceback.print_exc()
        finally:
            attempt["seconds"] = round(time.perf_counter() - start, 3)
        for name in os.listdir(self.folder):  # a refused model and its weights
            if name.startswith(self.sig["id"] + ".onnx"):
                os.unlink(os.path.join(self.folder, name))
        return False

    def _judge(self, path, wrapper):
        half = any(d["dtype"] in ("float16", "bfloat16") for d in self.sig["inputs"] + self.sig["outputs"]) or any(
            str(t.dtype) in ("torch.float16", "torch.bfloat16") for _, t in identity.tensors_of(wrapper))
        samples = [{kind: [dict(d, file=f, name=n, dims=None) for d, f, n in zip(
            self.sig[kind], s[kind], self.names if kind == "inputs" else s[kind])] for kind in ("inputs", "outputs")}
            for s in self.sig["samples"]]
        for s in samples:
            for kind in ("inputs", "outputs"):
                for t in s[kind]:
                    t["dims"] = _npy_shape(t["file"])
        request = path + ".replay.json"
        with open(request, "w") as f:
            json.dump({"model": path, "precision": "fp16" if half else "fp32", "samples": samples}, f)
        env = {k: v for k, v in os.environ.items() if not k.startswith("AIPC_HOOK")}
        done = subprocess.run([self.e.program, "replay", request, "--json"], env=env, stdout=subprocess.PIPE)
        os.unlink(request)
        answer = json.loads(done.stdout.decode() or "{}")
        if "verdict" not in answer:
            raise RuntimeError("the replay failed: %s" % answer.get("error", {}).get("message", done.returncode))
        return answer


def _npy_shape(path):
    with open(path, "rb") as f:
        head = f.read(256)
    at = head.index(b"'shape': (") + 10
    return [int(n) for n in head[at:head.index(b")", at)].split(b",") if n.strip()]


def _all(spec):
    return [spec] + [x for _, c in flat.children_of(spec) for x in _all(c)]


def _sqnr(want, have):
    import math
    if want.shape != have.shape or want.dtype != have.dtype:
        return -999
    a, b = want.double(), have.cpu().double()
    same = a.isfinite() & b.isfinite()
    if not bool((same | (a == b) | (a.isnan() & b.isnan())).all()):
        return -999
    signal, noise = float((a[same] ** 2).sum()), float(((a - b)[same] ** 2).sum())
    return 999 if noise == 0 else 10 * math.log10(signal / noise) if signal else -999


def _short(e):
    """The line of an exporter's error that says something, without colour codes."""
    import re
    text = re.sub(r"\x1b\[[0-9;]*m", "", "%s: %s" % (type(e).__name__, e)).strip()
    while getattr(e, "__cause__", None):
        e = e.__cause__
        text = "%s: %s" % (type(e).__name__, re.sub(r"\x1b\[[0-9;]*m", "", str(e)).strip())
    return " ".join(text.split())[:400]


def _identifiers(names):
    safe = [n if n.isidentifier() and not keyword.iskeyword(n) and n != "self" else "x_" + n for n in names]
    return flat.unique(safe)


def _flat_module(inner, method, spec, names):
    """A module that takes the leaves by name and returns the answer's tensors as a tuple."""
    import torch

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def _run(self, leaves):
            args, kwargs = flat.unflatten(spec, leaves)
            out = getattr(self.inner, method)(*args, **kwargs) if method else self.inner(*args, **kwargs)
            return tuple(flat.flatten(out)[0])
    made = {}
    exec("def forward(self, %s):\n    return self._run((%s,))" % (", ".join(names), ", ".join(names)), made)
    Flat.forward = made["forward"]
    return Flat().eval() if not inner.training else Flat()


def _size(module):
    return sum(t.numel() * t.element_size() for _, t in identity.tensors_of(module))


def _by_export(wrapper, inputs, path, names, opset):
    import torch
    torch.onnx.export(wrapper, inputs, path, dynamo=True, opset_version=opset, input_names=names,
                      external_data=_size(wrapper) > ONE_FILE, verbose=False)


def _by_script(wrapper, inputs, path, names, opset):
    import torch
    extra = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    mode = torch.onnx.TrainingMode.PRESERVE if wrapper.inner.training else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(wrapper, inputs, path, opset_version=opset, input_names=names, training=mode, **extra)


EXPORTERS = {"torch.export": _by_export, "torchscript": _by_script}
