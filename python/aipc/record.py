# SPDX-License-Identifier: Apache-2.0
"""record: writes what the program's models are called with and what they answer. See docs/recordings.md for the files.

Everything is written when it happens: a fork child or a killed worker runs no exit handlers. A sample counts when its
line is in the log, and the line is written after its files. Counters live in a mapped file. Only what is kept is copied:
per signature the first calls and a random choice of the later ones, within a budget of bytes.
"""
import json
import mmap
import os
import random
import struct
import sys
import threading
import time
import weakref

from . import flat, hook, identity

SLOTS = 4096  # signatures a process; slot 0 counts what does not fit
COUNTER = struct.Struct("<4Q")  # calls, ns in the model, ns of copies, ns of ours beside them
CHANGES = 3  # a model whose weights change at every call is being trained: hash it no more
TRANSPARENT = ("torch.nn.parallel.", "torch._dynamo.eval_frame")  # they hold the model and call it


def open_handler(env):
    return Recorder(env["AIPC_HOOK_DIR"], json.loads(env.get("AIPC_HOOK_OPTIONS") or "{}"))


class Model:
    def __init__(self, index):
        self.index, self.slots, self.changes = index, {}, 0
        self.params = None  # names of forward()'s parameters; a session has none


class Slot:
    def __init__(self, index, model):
        self.index, self.model, self.seen, self.outputs = index, model, 0, None
        self.kept = []  # [sample number, files, bytes]; the chance ones behind the first ones


class Recorder:
    def __init__(self, folder, options):
        self.root, self.options = folder, options
        self.first = (options.get("samples", 8) + 1) // 2
        self.chance = options.get("samples", 8) - self.first
        self.budget = options.get("budget", 1 << 29)
        self.wanted = options.get("modules") or []
        self.forked()
        if any("." in w for w in self.wanted):
            self.subclass = self._subclass

    def forked(self):
        """This process has written nothing yet."""
        self.lock = threading.Lock()
        self.folder = self.log = None
        self.known, self.models = {}, {}
        self.slots, self.samples, self.used = 1, 0, 0
        self.random = random.Random(0)  # the program's own generator stays as it is

    # ---- files

    def _open(self):
        name = "p%d-%s" % (os.getpid(), os.urandom(4).hex())
        self.folder = os.path.join(self.root, name)
        os.mkdir(self.folder)
        with open(os.path.join(self.folder, "counts.bin"), "wb+") as f:
            f.truncate(SLOTS * COUNTER.size)
            self.counts = mmap.mmap(f.fileno(), SLOTS * COUNTER.size)
        self.log = os.open(os.path.join(self.folder, "log.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        versions = {m: getattr(sys.modules.get(m), "__version__", None) for m in ("torch", "onnxruntime", "numpy")}
        self._put(ev="start", format=1, pid=os.getpid(), ppid=os.getppid(), time=time.time(),
                  python="%d.%d.%d" % sys.version_info[:3], executable=sys.executable, script=sys.argv[:1],
                  packages={k: str(v) for k, v in versions.items() if v})

    def _put(self, **event):
        if self.log is None:
            self._open()
        os.write(self.log, (json.dumps(event) + "\n").encode())

    def _count(self, slot, calls, ns, copy, ours):
        at = slot.index * COUNTER.size
        with self.lock:
            have = COUNTER.unpack_from(self.counts, at)
            COUNTER.pack_into(self.counts, at, have[0] + calls, have[1] + ns, have[2] + copy, have[3] + ours)

    # ---- which module

    def _match(self, module):
        """Is it one of those asked for by class, class path, or dotted path below an outer module?"""
        cls = type(module)
        names = (cls.__name__, cls.__module__ + "." + cls.__qualname__, identity.class_of(module))
        return any(w in names for w in self.wanted)

    def _children(self, module):
        """Marks what `--module a.b.c` means below this outer module."""
        for path in self.wanted:
            try:
                child = module.get_submodule(path) if "." in path or path in module._modules else None
            except AttributeError:
                continue
            if child is not None:
                self._know(child, self._describe(child, path))

    def _know(self, module, model):
        key, look = id(module), identity.watch(module)
        self.known[key] = (weakref.ref(module, lambda _: self.known.pop(key, None)), model, look, look())
        return model

    def _model_of(self, module):
        """The Model of a module that is recorded, else None."""
        known = self.known.get(id(module))
        if known:
            model = known[1]
            if model and model.changes < CHANGES and known[3] != known[2]():
                again = self._describe(module, None)
                again.changes = model.changes + 1
                return self._know(module, again)
            return model
        if type(module).__module__.startswith(TRANSPARENT) or not identity.has_weights(module):
            return None
        if not self.wanted:
            return self._know(module, self._describe(module, None))
        if self._match(module):
            return self._know(module, self._describe(module, None))
        self._know(module, None)
        self._children(module)
        return None

    def _describe(self, module, path):
        """The Model with this identity, told to the log when it is new."""
        who = identity.of_module(module)
        with self.lock:
            model = self.models.get(identity.key(who))
            if model:
                return model
            model = self.models[identity.key(who)] = Model(len(self.models))
        hooks = [n for n, m in module.named_modules() if m._forward_hooks or m._forward_pre_hooks]
        first = next(identity.tensors_of(module))[1]
        model.params = _parameters_of(getattr(module, "forward", None))
        self._put(ev="model", m=model.index, kind="module", identity=who, path=path, training=module.training,
                  dtype=str(first.dtype)[6:], device=str(first.device), forward_hooks=hooks[:8],
                  callers=_callers())
        return model

    def _subclass(self, cls):
        """--module Class.method: the method is recorded like a call."""
        for want in self.wanted:
            name, _, method = want.rpartition(".")
            original = cls.__dict__.get(method)
            if name in (cls.__name__, cls.__module__ + "." + cls.__qualname__) and callable(original):
                setattr(cls, method, self._method(original, method))

    def _method(self, original, name):
        def method(module, *args, **kwargs):
            if hook.local.busy:
                return original(module, *args, **kwargs)
            return self._call(module, original, args, kwargs, lambda: self._describe(module, "." + name))
        return method

    # ---- calls

    def module(self, module, call, args, kwargs):
        return self._call(module, call, args, kwargs, lambda: self._model_of(module))

    def _call(self, module, call, args, kwargs, model_of):
        start, model = time.perf_counter_ns(), None
        if not _tracing():
            try:
                model = model_of()
                if model:
                    leaves, spec = flat.flatten_call(args, kwargs)
            except Exception:
                hook.complain("cannot describe a call of %s" % type(module).__name__)
                model = None
        if model is None:
            return call(module, *args, **kwargs)

        def run():
            hook.local.busy = True
            try:
                return call(module, *args, **kwargs)
            finally:
                hook.local.busy = False
        return self._recorded(start, model, leaves, spec, lambda: flat.call_names(spec, model.params), run)

    def _recorded(self, start, model, leaves, spec, names, run, outputs=flat.flatten):
        copy, sample, slot = 0, None, None
        try:
            slot = self._slot_of(model, leaves, spec, names)
            sample = self._claim(slot, leaves)
            if sample:
                t = time.perf_counter_ns()
                self._keep(sample, "i", leaves)
                copy = time.perf_counter_ns() - t
        except Exception:
            hook.complain("cannot record an input")
            sample = None
        begin = time.perf_counter_ns()
        try:
            out = run()
        except BaseException as e:
            self._failed(slot, sample, e)
            raise
        end = time.perf_counter_ns()
        try:
            if slot:
                copy += self._answered(slot, sample, outputs, out, begin, end)
                self._count(slot, 1, end - begin, copy, time.perf_counter_ns() - end + begin - start - copy)
        except Exception:
            hook.complain("cannot record an output")
        return out

    def _slot_of(self, model, leaves, spec, names):
        key = (spec, tuple([flat.meta(x) for x in leaves]))
        slot = model.slots.get(key)
        if slot:
            return slot
        with self.lock:
            fits = self.slots < SLOTS
            slot = model.slots[key] = Slot(self.slots if fits else 0, model)
            self.slots += fits
        if fits:
            self._put(ev="signature", s=slot.index, m=model.index, spec=spec, inputs=_described(leaves, names()))
        return slot

    def _claim(self, slot, leaves):
        """Shall this call be kept? -> [number, files, bytes] or None. An older one may go for it."""
        with self.lock:
            slot.seen += 1
            full = len(slot.kept) >= self.first + self.chance
            at = self.first + int(self.random.random() * (slot.seen - self.first)) if full else 0
            if not slot.index or at >= self.first + self.chance:
                return None
            if self.used + sum(x.nbytes for x in leaves) > self.budget:
                return None
            if full:
                self._forget(slot.kept.pop(at))
            self.samples += 1
            sample = [self.samples, [], 0]
            slot.kept.append(sample)
            return sample

    def _keep(self, sample, letter, leaves):
        for i, leaf in enumerate(leaves):
            name = "%d-%s%d.npy" % (sample[0], letter, i)
            sample[1].append(name)
            size = flat.write_npy(os.path.join(self.folder, name), leaf)
            sample[2] += size
            self.used += size

    def _forget(self, sample):
        """Takes the files of a sample away; its line in the log, when there is one, is no longer true."""
        self._put(ev="drop", n=sample[0])
        self.used -= sample[2]
        for name in sample[1]:
            try:
                os.unlink(os.path.join(self.folder, name))
            except FileNotFoundError:  # another thread is about to write it
                pass

    def _failed(self, slot, sample, error):
        if slot:
            self._put(ev="error", s=slot.index, type=type(error).__name__)
        if sample:
            slot.kept = [k for k in slot.kept if k is not sample]
            self._forget(sample)

    def _answered(self, slot, sample, outputs, out, begin, end):
        """-> ns of copies"""
        if slot.outputs is not None and not sample:
            return 0
        leaves, spec = outputs(out)
        if slot.outputs is None or slot.outputs != spec:
            slot.outputs = spec
            names = [k[1] for k, _ in spec[2:]] if slot.model.params is None else flat.names(spec, "output")
            self._put(ev="outputs", s=slot.index, spec=spec, outputs=_described(leaves, names))
        if not sample:
            return 0
        t = time.perf_counter_ns()
        self._keep(sample, "o", leaves)
        copy = time.perf_counter_ns() - t
        self._put(ev="sample", s=slot.index, n=sample[0], call=slot.seen, files=sample[1], ns=end - begin,
                  layout=[_layout(x) for x in leaves], thread=threading.current_thread().name, **_modes())
        return copy

    # ---- onnxruntime

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)
        try:
            model = args[0] if args else kwargs["path_or_bytes"]
            session._aipc = (identity.of_model_file(model), _session_facts(session))
            if session._aipc[0]["file"] is None:
                self._save_model(session._aipc[0], model)
            self._session_model(session)
        except Exception:
            hook.complain("cannot describe a session")

    def _save_model(self, who, data):
        """A model that came as bytes has no file yet."""
        folder = os.path.join(self.root, "models")
        os.makedirs(folder, exist_ok=True)
        who["file"] = os.path.join(folder, who["sha256"] + ".onnx")
        if not os.path.exists(who["file"]):
            temporary = "%s.%d" % (who["file"], os.getpid())
            with open(temporary, "wb") as f:
                f.write(data)
            os.replace(temporary, who["file"])

    def _session_model(self, session):
        who, facts = session._aipc
        with self.lock:
            model = self.models.get(who["sha256"])
            if model:
                return model
            model = self.models[who["sha256"]] = Model(len(self.models))
        self._put(ev="model", m=model.index, kind="session", identity=who, callers=_callers(), **facts)
        return model

    def session_run(self, session, call, names, feed, options):
        return self._session(session, feed, lambda: call(session, names, feed, options), lambda out: _named(
            [x.name for x in session.get_outputs()] if names is None else names, out))

    def session_bound(self, session, call, binding, options):
        feed = {k: _bound(v) for k, v in getattr(binding, "_aipc_feed", {}).items()}
        return self._session(session, feed, lambda: call(session, binding, options), lambda _: _named(
            getattr(binding, "_aipc_out", ()), binding.copy_outputs_to_cpu()))

    def _session(self, session, feed, run, outputs):
        start = time.perf_counter_ns()
        try:
            model = self._session_model(session)
            kinds = {i["name"]: i["type"] for i in session._aipc[1]["inputs"]}
            feed = {k: _array(v, kinds.get(k)) for k, v in feed.items()}
            leaves, spec = flat.flatten(feed)
        except Exception:
            hook.complain("cannot describe a run")
            return run()
        return self._recorded(start, model, leaves, spec, lambda: list(feed), run, outputs)


# ---- small facts


def _tracing():
    torch = sys.modules["torch"]
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def _modes():
    torch = sys.modules.get("torch")
    if not torch or not hasattr(torch, "is_grad_enabled"):
        return {}
    return {"grad": torch.is_grad_enabled(), "inference": torch.is_inference_mode_enabled(),
            "autocast": torch.is_autocast_enabled()}


def _layout(x):
    torch = sys.modules.get("torch")
    if not torch or not isinstance(x, torch.Tensor) or x.is_contiguous():
        return "contiguous"
    return "channels_last" if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) else "strided"


def _described(leaves, names):
    metas = [flat.meta(x) for x in leaves]
    return [{"name": n, "dtype": d, "dims": s} for n, (d, s) in zip(names, metas)]


def _parameters_of(forward):
    import inspect
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [p.name for p in inspect.signature(forward).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        return []


def _callers():
    """Where the program calls it: the nearest code that is not torch's or ours, and the nearest that is no package's."""
    frame, found = sys._getframe(1), []
    ours = os.path.dirname(os.path.abspath(__file__)) + os.sep
    while frame and len(found) < 2:
        name = frame.f_code.co_filename
        package = os.sep + "site-packages" + os.sep in name or name.startswith("<")
        skip = name.startswith(ours) or any(os.sep + p + os.sep in name for p in ("torch", "onnxruntime"))
        if not skip and (not found or not package):
            found.append({"file": name, "line": frame.f_lineno, "function": frame.f_code.co_name})
            if not package:
                break
        frame = frame.f_back
    return found


NUMPY = {"float": "float32", "double": "float64"}


def _array(v, kind):
    """What run() makes of a feed: lists and numbers become arrays of the input's type."""
    numpy = sys.modules["numpy"]
    if isinstance(v, numpy.ndarray):
        return v
    if hasattr(v, "numpy"):
        return v.numpy()
    name = (kind or "")[7:-1]
    return numpy.asarray(v, dtype=NUMPY.get(name, name) or None)


def _bound(v):
    """An input bound to memory: (device, id, type, shape, pointer)."""
    if not isinstance(v, tuple):
        return v
    import ctypes
    import numpy
    device, _, kind, shape, pointer = (list(v[0]) + [v[1].get(k) for k in (
        "device_type", "device_id", "element_type", "shape", "buffer_ptr")][len(v[0]):])
    if device != "cpu":
        raise ValueError("an input is bound to memory of %s" % device)
    size = int(numpy.prod(shape)) * numpy.dtype(kind).itemsize
    return numpy.frombuffer((ctypes.c_ubyte * size).from_address(pointer), dtype=kind).reshape(shape)


def _named(names, out):
    return flat.flatten(dict(zip(names, out)))


def _session_facts(session):
    def io(args):
        return [{"name": a.name, "type": a.type, "dims": [d if isinstance(d, (int, str)) else None for d in a.shape]}
                for a in args]
    options = session.get_session_options()
    return {"inputs": io(session.get_inputs()), "outputs": io(session.get_outputs()),
            "providers": session.get_providers(), "metadata": sorted(session.get_modelmeta().custom_metadata_map),
            "options": {"intra_op_num_threads": options.intra_op_num_threads,
                        "graph_optimization_level": str(options.graph_optimization_level)}}
