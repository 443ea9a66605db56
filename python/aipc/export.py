# SPDX-License-Identifier: Apache-2.0
"""export: inside the user's program, at the first call of a recorded module, makes ONNX files of it.

Pickles are loaded by the user's own script only, so the program itself runs again and is ended when all is exported.
Every attempt gets a fresh deep copy, the recorded inputs, and a judge that knows nothing of torch: `aipc replay`.
"""
import contextlib
import copy
import json
import os
import re
import subprocess
import sys
import time
import traceback
from unittest import mock

from . import flat, hook, identity

ONE_FILE = 1 << 30  # weights above this many bytes lie beside the model

def open_handler(env):
    with open(json.loads(env["AIPC_HOOK_OPTIONS"])["request"]) as f:
        return Exporter(json.load(f), env["AIPC_PROGRAM"])

class Exporter:
    def __init__(self, request, program):
        self.request, self.program, self.models, self.seen, self.proven = request, program, request["models"], {}, None

    def methods(self, cls):
        return [m["method"] for m in self.models if m["method"] and m["identity"]["class"] == flat.class_path(cls)]

    def module(self, module, call, args, kwargs, method=""):
        if (id(module), method) not in self.seen:
            self.seen[id(module), method] = module  # kept alive: the number stays its own
            with hook.quietly("cannot export"):
                self._look(module, method)
            if not self.models:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
        return call(module, *args, **kwargs)

    def _look(self, module, method):
        """Is this one of the modules to export? Of several processes one does it."""
        cls = identity.class_of(module)
        wanted = [m for m in self.models if m["identity"]["class"] == cls and m["method"] == method]
        who = identity.of_module(module) if wanted else None
        for model in wanted:
            folder = os.path.join(self.request["out"], model["name"])
            if identity.key(model["identity"]) != identity.key(who):
                self._write("other-%d.json" % os.getpid(), {"class": cls, "found": who})
                continue
            with contextlib.suppress(FileExistsError), hook.local:
                os.mkdir(folder)
                made = [Signature(self, folder, module, method, model, sig) for sig in model["signatures"]]
                for alike in model["alike"]:  # one model for all of them first
                    group = [made[i] for i in alike["signatures"] if not made[i].result["refused"]]
                    group and group[0].attempt(*self.request["attempts"][0], group, alike["open"])
                self._write(os.path.join(folder, "export.json"), dict(model, signatures=[s.run() for s in made]))
            self.models.remove(model)

    def _write(self, name, what):
        with open(os.path.join(self.request["out"], name + ".new"), "w") as f:
            json.dump(what, f)
        os.replace(f.name, f.name[:-4])

class Signature:
    def __init__(self, exporter, folder, module, method, model, sig):
        self.e, self.module, self.method, self.sig, self.training = exporter, module, method, sig, model["training"]
        self.folder, self.path = folder, os.path.join(folder, sig["id"] + ".onnx")
        self.spec, self.names = flat.thaw(sig["spec"]), [i["name"] for i in sig["inputs"]]
        self.result = {"id": sig["id"], "file": None, "attempts": []}
        try:
            self.result["refused"] = self._reproduces()
        except Exception as e:
            self.result["refused"] = "the module cannot be copied: %s" % _short(e)

    def run(self):
        """The first attempt that the judge accepts is taken."""
        for attempt in self.e.request["attempts"]:
            if not self.result["file"] and not self.result["refused"]:
                self.attempt(*attempt, [self])
        return self.result

    def _copy(self):
        """A fresh copy of the module that takes the leaves and returns the answer's tensors as a tuple."""
        import torch
        method, spec = self.method or "__call__", self.spec
        class Flat(torch.nn.Module):
            def forward(self, *leaves):
                args, kwargs = flat.unflatten(spec, leaves)
                return tuple(flat.flatten(getattr(self.inner, method)(*args, **kwargs))[0])
        outer = Flat()
        with torch.no_grad():
            outer.inner = copy.deepcopy(self.module).cpu().requires_grad_(False)
        return outer.train(self.training)

    def _leaves(self, sample, side):
        return tuple(flat.load(t["file"], t["dtype"]) for t in sample[side])

    def _reproduces(self):
        """Why it is no function of its arguments, or None. Some models are called in training mode. Second calls are
        left out where another signature of the module had them and the first left the copy as it was."""
        for self.training in sorted({False, self.training}):
            wrapper, samples, who = self._copy(), self.sig["samples"][:2], (self.module, self.method)
            held, run = _held(wrapper), lambda s: (self._leaves(s, "outputs"), wrapper(*self._leaves(s, "inputs")))
            with sys.modules["torch"].no_grad():
                pairs = [run(s) for s in samples]
                pairs += [run(s) for s in samples if self.e.proven != who or held != _held(wrapper)]
            if all(_near(w, h) for want, have in pairs for w, h in zip(want, have)):
                self.e.proven = who
                return None
        return "a copy does not compute what was recorded: it keeps state, draws random numbers, or hooks change it"

    def attempt(self, exporter, opset, level1, group, axes=None):
        """group: signatures one model shall answer, self among them. axes: open ones of each leaf."""
        import torch
        start, inputs = time.perf_counter(), self._leaves(self.sig["samples"][0], "inputs")
        attempt = {"exporter": exporter, "opset": opset, "open": bool(axes), "level1": [], "verdict": "failed"}
        print("====", self.sig["id"], exporter, opset, "level 1" * level1, "open dims" * bool(axes), flush=True)
        try:
            mode = contextlib.nullcontext()
            if level1:
                from . import level1 as replacements
                mode = replacements.prove(self._copy(), inputs)
                attempt["level1"], attempt["level1_refused"] = mode.proven, mode.wrong
                if not attempt["level1"]:
                    return
            for one in group:
                one.result["attempts"].append(attempt)
            wrapper = self._copy()
            dynamo, size = exporter == "torch.export", sum(t.nbytes for _, t in identity.tensors_of(wrapper))
            options = {"external_data": size > ONE_FILE} if dynamo else {"training": torch.onnx.TrainingMode.PRESERVE}
            options["dynamic_shapes"] = axes and (tuple(dict.fromkeys(a, torch.export.Dim.AUTO) for a in axes),)
            def once(program, table, again=torch.export.ExportedProgram.run_decompositions):
                return program if all(_stays(n, table) for n in program.graph.nodes) else again(program, table)
            with torch.no_grad(), mode, mock.patch.object(torch.export.ExportedProgram, "run_decompositions", once):
                torch.onnx.export(wrapper, inputs, self.path, dynamo=dynamo, verbose=False,
                                  opset_version=opset, input_names=self.names, **options)
            answers = [one.judge(self.path) for one in group]
            attempt.update(min(answers, key=lambda answer: answer["verdict"] == "accepted"))
            for one, answer in zip(group, answers) if attempt["verdict"] == "accepted" else ():
                one.result.update(attempt, **answer, file=self.path)
        except Exception as e:
            attempt["why"] = _short(e)
            traceback.print_exc()
        attempt["seconds"] = round(time.perf_counter() - start, 3)
        for name in os.listdir(self.folder) if not self.result["file"] else ():  # a refused model and its weights
            if name.startswith(self.sig["id"]):
                os.unlink(os.path.join(self.folder, name))

    def judge(self, path):
        with open(self.path + ".replay", "w") as f:
            json.dump(dict(self.sig, model=path), f)
        done = subprocess.run([self.e.program, "replay", f.name, "--json"], stdout=subprocess.PIPE)
        answer = json.loads(done.stdout or "{}")
        if "verdict" not in answer:
            raise RuntimeError("the replay failed: %s" % answer.get("error", {}).get("message", done.returncode))
        return answer

def _held(wrapper):
    """What its modules hold (of tensors a look), torch's random state. Equal to nothing when not all can be told."""
    apart, rng = ("_modules", "_non_persistent_buffers_set"), sys.modules["torch"].get_rng_state().tolist()
    leaves, spec = flat.flatten([{k: v for k, v in vars(m).items() if k not in apart} for m in wrapper.modules()])
    if re.search("opaque|array|fake", str(spec)):
        return object()
    return spec, rng, [identity.look(t, {}) for t in leaves]

def _stays(node, table):
    """Would it come out of torch.onnx's second trace as it is? That one takes apart what ONNX lacks (the table), makes
    writes functional, and views of composites that may be views; it is half of the time."""
    op, schema = node.target, str(getattr(node.target, "_schema", ""))
    if not schema:
        return node.op in ("placeholder", "output") or getattr(op, "__module__", "") == "_operator"
    views = op._can_decompose() and ("(a" in schema or "aliasing" in str(op.tags))
    return op not in table and "!" not in schema and not views

def _near(want, have):
    if want.shape != have.shape or want.dtype != have.dtype:
        return False
    a, b = (t.cpu().double().nan_to_num(8e9, 9e9, -9e9) for t in (want, have))
    return bool((a - b).norm() <= 0.03 * a.norm())

def _short(e):
    """What an exporter's error began with, without colour codes."""
    while e.__cause__:
        e = e.__cause__
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", "%s: %s" % (type(e).__name__, e)).split())[:400]
