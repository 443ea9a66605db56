# SPDX-License-Identifier: Apache-2.0
"""record: writes what the program's models are called with and what they answer. See docs/recordings.md for the files.

Everything is written when it happens: a fork child or a killed worker runs no exit handlers. A sample counts when its
line is in the log, which is written after its files. What events mean is left to the program that reads the recording.
"""
import hashlib
import inspect
import json
import mmap
import os
import struct
import sys
import threading
import types
import weakref
from time import perf_counter_ns as now

from . import flat, hook, identity

SLOTS = 4096  # signatures a process; slot 0 counts what does not fit
COUNTER = struct.Struct("<4Q")  # calls, ns in the model, ns of copies, ns of ours beside them
CHANGES = 3  # a model whose weights change at every call is being trained: hash it no more
TRANSPARENT = ("torch.nn.parallel.", "torch._dynamo.eval_frame")  # they hold the model and call it

def open_handler(env):
    return Recorder(env["AIPC_HOOK_DIR"], json.loads(env.get("AIPC_HOOK_OPTIONS") or "{}"))

class Recorder:
    def __init__(self, folder, options):
        self.root, self.samples, self.budget = folder, options.get("samples", 8), options.get("budget", 1 << 29)
        self.wanted = set(options.get("modules") or [])
        os.register_at_fork(after_in_child=self.forked)
        self.forked()

    def forked(self):
        """This process has written nothing yet."""
        hook.local.busy = False
        self.lock, self.folder, self.log = threading.Lock(), None, None
        self.known, self.models = {}, {}  # by (id of a module, method); by identity
        self.slots, self.files, self.used = [_new_slot(0)], 0, 0

    def _open(self):
        self.folder = os.path.join(self.root, "p%d-%s" % (os.getpid(), os.urandom(4).hex()))
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "counts.bin"), "wb+") as f:
            f.truncate(SLOTS * COUNTER.size)
            self.counts = mmap.mmap(f.fileno(), 0)
        self.log = os.open(os.path.join(self.folder, "log.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._put(ev="start", format=1, pid=os.getpid(), python=sys.version.split()[0], packages={
            m: sys.modules[m].__version__ for m in ("torch", "onnxruntime", "numpy") if m in sys.modules})

    def _put(self, **event):
        if self.log is None:
            self._open()
        os.write(self.log, (json.dumps(event) + "\n").encode())

    def methods(self, cls):
        """--module Class.method: the method is recorded like a call."""
        names = cls.__name__, cls.__module__ + "." + cls.__qualname__
        return [w.rpartition(".")[2] for w in self.wanted if w.rpartition(".")[0] in names]

    def _find(self, module):
        """Marks what of a module never seen before is recorded: itself, or what --module names in it."""
        for path, m in module.named_modules() if self.wanted else [("", module)]:
            cls = type(m)
            names = {path, cls.__name__, cls.__module__ + "." + cls.__qualname__, identity.class_of(m)}
            if not cls.__module__.startswith(TRANSPARENT) and (not self.wanted or names & self.wanted):
                self._know(m, path, "", 0)
        if (id(module), "") not in self.known:  # a thread may have been faster
            self._know(module, None, "", 0)

    def _know(self, module, path, method, changes):
        """Kept with what tells that its weights changed. No path: it is not recorded."""
        look, key = identity.watch(module), (id(module), method)
        model = self._describe(module, path, method) if look and path is not None else None
        self.known[key] = (weakref.ref(module, lambda _: self.known.pop(key, None)), model, path, changes,
                           look, model and look())

    def _model_of(self, module, method):
        key = (id(module), method)
        if key not in self.known:
            self._know(module, "", method, 0) if method else self._find(module)
        _, model, path, changes, look, before = self.known[key]
        if model and changes < CHANGES and look() != before:
            self._know(module, path, method, changes + 1)
        return self.known[key][1]

    def _describe(self, module, path, method):
        who, path = identity.of_module(module), "." + method if method else path or None
        try:
            parameters = list(inspect.signature(getattr(module, method or "forward")).parameters)
        except (TypeError, ValueError):
            parameters = []
        return self._model(
            (identity.key(who), path), kind="module", identity=who, path=path, training=module.training,
            half=any(t.is_floating_point() and t.element_size() == 2 for _, t in identity.tensors_of(module)),
            parameters=parameters,
            forward_hooks=[n for n, m in module.named_modules() if m._forward_hooks or m._forward_pre_hooks][:8])

    def _model(self, key, **facts):
        """The number of a model and its signatures, told to the log when it is new."""
        with self.lock:  # the log must name it before another thread does
            if key not in self.models:
                self._put(ev="model", m=len(self.models), caller=_caller(), **facts)
                self.models[key] = types.SimpleNamespace(index=len(self.models), slots={})
            return self.models[key]

    def module(self, module, call, args, kwargs, method=""):
        start, slot, torch = now(), None, sys.modules["torch"]
        with hook.quietly("cannot record an input"):
            model = None if torch.jit.is_tracing() or torch.compiler.is_compiling() else self._model_of(module, method)
            if model:
                slot, sample, copies = self._begin(model, *flat.flatten_call(args, kwargs))
        if slot is None:
            return call(module, *args, **kwargs)
        def run():
            with hook.local:
                return call(module, *args, **kwargs)
        return self._recorded(start, slot, sample, copies, run)

    def _recorded(self, start, slot, sample, copies, run, names=None):
        """`names`: of a session's outputs."""
        begin = now()
        try:
            out = run()
        except BaseException as e:
            self._put(ev="error", s=slot.index, type=type(e).__name__)
            raise
        end = now()
        with hook.quietly("cannot record an output"):
            if sample or slot.index and slot.outputs is None:
                copies += self._answered(slot, sample, dict(zip(names, out)) if names else out, end - begin)
            with self.lock:
                slot.count[:] = (slot.count[0] + 1, slot.count[1] + end - begin, slot.count[2] + copies,
                                 slot.count[3] + now() - end + begin - start - copies)
                COUNTER.pack_into(self.counts, COUNTER.size * slot.index, *slot.count)
        return out

    def _begin(self, model, leaves, spec):
        """-> the call's signature, its sample or None, ns of copies"""
        key = (spec, tuple([flat.meta(x) for x in leaves]))
        slot = model.slots.get(key)
        if slot is None:
            with self.lock:
                slot = model.slots[key] = _new_slot(len(self.slots)) if len(self.slots) < SLOTS else self.slots[0]
                if slot.index:
                    self.slots.append(slot)
                    self._put(ev="signature", s=slot.index, m=model.index, spec=spec, inputs=key[1])
        sample = self._sample(slot, leaves)
        return slot, sample, self._keep(sample, "i", leaves) if sample else 0

    def _sample(self, slot, leaves):
        """Shall this call be kept? The first half one after the other, then each at twice the distance."""
        with self.lock:
            slot.seen += 1
            if slot.seen < slot.next or slot.kept >= self.samples or not slot.index or (
                    self.used + sum(x.nbytes for x in leaves) > self.budget):
                return None
            slot.kept += 1
            slot.next = slot.seen + 1 if 2 * slot.kept < self.samples else 2 * slot.seen
            self.files += 1
            return {"n": self.files, "call": slot.seen, "files": []}

    def _keep(self, sample, letter, leaves):
        """-> ns it took"""
        import numpy
        begin = now()
        for i, leaf in enumerate(leaves):
            name, data = "%d-%s%d.npy" % (sample["n"], letter, i), flat.array(leaf)
            numpy.save(os.path.join(self.folder, name), data)
            sample["files"].append(name)
            self.used += data.nbytes
        return now() - begin

    def _answered(self, slot, sample, out, ns):
        leaves, spec = flat.flatten(out)
        if slot.outputs != spec:
            slot.outputs = spec
            self._put(ev="outputs", s=slot.index, spec=spec, outputs=[flat.meta(x) for x in leaves])
        copies = self._keep(sample, "o", leaves) if sample else 0
        if sample:
            self._put(ev="sample", s=slot.index, ns=ns, **sample)
        return copies

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)
        with hook.quietly("cannot describe a session"):
            model = args[0] if args else kwargs["path_or_bytes"]
            if isinstance(model, (str, os.PathLike)):
                file = os.path.abspath(model)
                with open(file, "rb") as f:
                    digest = hashlib.sha256(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)).hexdigest()
            else:  # it came as bytes
                digest = hashlib.sha256(model).hexdigest()
                file = os.path.join(self.root, digest + ".onnx")
                with open("%s.%d" % (file, os.getpid()), "wb") as f:
                    f.write(model)
                os.replace(f.name, file)
            session._aipc = {"sha256": digest, "file": file}, {i.name: i.type for i in session.get_inputs()}

    def session_run(self, session, call, names, feed, options):
        start, slot = now(), None
        with hook.quietly("cannot record a feed"):
            who, kinds = session._aipc
            model = self._model(who["sha256"], kind="session", identity=who)
            arrays = {k: as_array(v, kinds.get(k)) for k, v in feed.items()}
            slot, sample, copies = self._begin(model, *flat.flatten(arrays))
        if slot is None:
            return call(session, names, feed, options)
        outputs = [x.name for x in session.get_outputs()] if names is None else names
        return self._recorded(start, slot, sample, copies, lambda: call(session, names, feed, options), outputs)

def _new_slot(index):
    return types.SimpleNamespace(index=index, seen=0, kept=0, next=1, outputs=None, count=[0, 0, 0, 0])

def _caller():
    """The nearest code of the program itself, not of a package: around it is what is left outside."""
    frame, ours = sys._getframe(1), os.path.dirname(os.path.abspath(__file__))
    while frame and (frame.f_code.co_filename.startswith((ours, "<")) or "site-packages" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame and {"file": frame.f_code.co_filename, "line": frame.f_lineno, "function": frame.f_code.co_name}

def as_array(v, kind):
    """What run() makes of a feed: lists and numbers become arrays of the input's type, "tensor(float)"."""
    import numpy
    name = (kind or "")[7:-1]
    name = {"float": "float32", "double": "float64"}.get(name, name)
    return v if isinstance(v, numpy.ndarray) else v.numpy() if hasattr(v, "numpy") else numpy.asarray(v, name or None)
