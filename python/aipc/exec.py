# SPDX-License-Identifier: Apache-2.0
"""exec: serves the program's models by deployed artifacts. The original module or session stays whole and runs whatever
was not deployed. Which artifact answers which call stands in the index of a deployment (docs/recordings.md).

Calls are counted when they happen, in a mapped file of this process: nothing relies on an orderly end.
"""
import atexit
import json
import mmap
import os
import struct
import sys
import threading
import weakref

from . import flat, hook, identity, libaipc, record

COUNTER, SLOTS = struct.Struct("<Q"), 512


def open_handler(env):
    options = json.loads(env.get("AIPC_HOOK_OPTIONS") or "{}")
    server = Server(options.get("artifacts") or [], options.get("target"), options.get("strict"), env.get("AIPC_HOOK_DIR"))
    return Recorded(server, env["AIPC_HOOK_DIR"], options["record"]) if options.get("record") else server


class NotServed(Exception):
    """Why the original runs."""


# ---- what was deployed


class Deployed:
    """One artifact: `inputs` and `outputs` are the contract's (name, dtype, dims)."""

    def __init__(self, folder, entry, target):
        with open(os.path.join(folder, "manifest.json"), "rb") as f:
            manifest = json.load(f)
        ours = [t for t in manifest["targets"] if target in (None, t["target"]) or (
            target.endswith(":") and t["target"].startswith(target))]
        self.folder, self.target = folder, ours[0]["target"] if ours else target
        self.refusal = None if ours else "not deployed for %s" % (target if not target.endswith(":") else "any %s target" % target[:-1])
        if ours and "fail" in (ours[0]["verdict"], (entry or {}).get("verdict")):
            self.refusal = "its deployment failed a gate"
        self.model_sha256 = manifest["model"]["sha256"]
        self.inputs, self.outputs = ([(t["name"], t["dtype"], tuple(t["dims"])) for t in manifest["contract"][side]]
                                     for side in ("inputs", "outputs"))
        self.artifact = self.types = None
        self.fixed = [(f["input"], f["value"]) for f in (entry or {}).get("fixed") or []]
        if entry and entry["spec"]:
            self.spec, self.out_spec = flat.thaw(entry["spec"]), flat.thaw(entry["out_spec"])
            leaf_of = {f["input"]: f["leaf"] for f in entry["feeds"]}
            self.feeds = [leaf_of[name] for name, _, _ in self.inputs]
            place = {n: i for i, (n, _, _) in enumerate(self.outputs)}
            made = {r["leaf"]: place[r["output"]] for r in entry["results"]}
            self.results = [(made[i], o["dtype"]) for i, o in enumerate(entry["outputs"])]
            self.call_inputs = [(i["dtype"], i["dims"]) for i in entry["inputs"]]

    def accepts(self, spec, metas):
        if spec != self.spec or len(metas) != len(self.call_inputs):
            return False
        for (dtype, dims), (want, sizes) in zip(metas, self.call_inputs):
            if dtype != want or len(dims) != len(sizes) or any(isinstance(s, int) and s != d for d, s in zip(dims, sizes)):
                return False
        return all(metas[leaf][1] == dims for leaf, (_, _, dims) in zip(self.feeds, self.inputs))


class Model:
    def __init__(self, name, kind, who, path, artifacts):
        self.name, self.kind, self.identity, self.path, self.artifacts = name, kind, who, path, artifacts
        self.chosen = {}  # signature -> Deployed, or why there is none

    def choose(self, key, accepts, text):
        """The artifact for a signature; raises NotServed."""
        found = self.chosen.get(key)
        if found is None:
            fits = [d for d in self.artifacts if accepts(d)]
            good = [d for d in fits if not d.refusal]
            found = good[0] if good else fits[0].refusal if fits else "%s was not deployed" % text
            if len(self.chosen) < SLOTS:
                self.chosen[key] = found
        if isinstance(found, str):
            raise NotServed(found)
        return found


def read_index(folder, target):
    """The models of a folder written by `aipc deploy`: a recording's with an index, or one ONNX model's."""
    path = os.path.join(folder, "index.json")
    if not os.path.exists(path):
        d = Deployed(folder, None, target)
        return [Model(os.path.basename(folder), "session", {"sha256": d.model_sha256}, None, [d])]
    with open(path, "rb") as f:
        index = json.load(f)
    if index.get("kind") != "aipc index" or index.get("format") != 1:
        raise ValueError("%s is no index this aipc reads" % path)
    models = []
    for m in index["models"]:
        inside = [a for a in m["artifacts"] if ".." not in a["dir"].split("/") and not a["dir"].startswith("/")]
        made = [Deployed(os.path.join(folder, a["dir"]), a, target) for a in inside
                if os.path.exists(os.path.join(folder, a["dir"], "manifest.json"))]
        models.append(Model(m["name"], m["kind"], m["identity"], m["path"], made))
    return models


# ---- counting


class Counts:
    """served-PID-X.jsonl names the counters of served-PID-X.bin (little-endian u64)."""

    def __init__(self, folder):
        self.lock, self.folder, self.slots, self.bins = threading.Lock(), folder, {}, None

    def _open(self):
        base = os.path.join(self.folder, "served-%d-%s" % (os.getpid(), os.urandom(4).hex()))
        with open(base + ".bin", "wb+") as f:
            f.truncate(SLOTS * COUNTER.size)
            self.bins = mmap.mmap(f.fileno(), SLOTS * COUNTER.size)
        self.log = os.open(base + ".jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def add(self, model, deployed, why=None):
        """-> True when it is the first of its kind"""
        key, first = (model.name, deployed.folder if deployed else None, why), False
        with self.lock:
            slot = self.slots.get(key)
            if slot is None:
                first = True
                slot = self.slots[key] = min(len(self.slots), SLOTS - 1)
                if self.folder:
                    if not self.bins:
                        self._open()
                    os.write(self.log, (json.dumps({
                        "slot": slot, "model": model.name, "artifact": deployed.folder if deployed else None,
                        "target": deployed.target if deployed else None, "why": why}) + "\n").encode())
            if self.folder:
                COUNTER.pack_into(self.bins, slot * 8, COUNTER.unpack_from(self.bins, slot * 8)[0] + 1)
        return first


# ---- serving


class Server:
    def __init__(self, folders, target, strict, count_dir):
        self.strict, self.count_dir, self.library = strict, count_dir, None
        self.models = [m for f in folders for m in read_index(f, target)]
        self.sessions, self.classes = {}, {}
        for m in self.models:
            if m.kind == "session":
                have = self.sessions.setdefault(m.identity["sha256"], m)
                have.artifacts += m.artifacts if have is not m else []
            else:
                self.classes.setdefault((m.identity["class"], (m.path or "")[:1] == "." and m.path[1:]), []).append(m)
        if any(method for _, method in self.classes):
            self.subclass = self._subclass
        self.known, self.types, self.told = {}, {}, set()
        self.lock, self.counts = threading.RLock(), Counts(count_dir)
        atexit.register(self._close)

    def forked(self):
        """The parent's workers are not ours."""
        self.lock, self.counts = threading.RLock(), Counts(self.count_dir)
        self._close()

    def _close(self):
        for d in (d for m in self.models for d in m.artifacts):
            artifact, d.artifact = d.artifact, None
            if artifact:
                artifact.close()

    def _artifact(self, d):
        if d.artifact is None:
            with self.lock:
                if d.artifact is None:
                    self.library = self.library or libaipc.Library()
                    opened = libaipc.Artifact(self.library, d.folder, d.target)
                    if (opened.inputs, opened.outputs) != (d.inputs, d.outputs):
                        raise libaipc.Error("contract", "%s changed while the program ran" % d.folder)
                    d.artifact = opened
        return d.artifact

    def _say(self, text):
        if text not in self.told:
            self.told.add(text)
            sys.stderr.write("aipc: %s\n" % text)

    def _serve(self, model, choose, run, original):
        """run(Deployed) -> the answer; or the original, counted."""
        d = None
        try:
            d = choose()
            out = run(d)
        except NotServed as e:
            why = str(e)
        except libaipc.Error as e:
            why = "%s: %s" % (e.key, e)
            if d and e.key not in ("input-shape", "input-dtype"):  # it will not get better
                d.refusal, model.chosen = why, {}
        else:
            self.counts.add(model, d)
            return out
        if self.counts.add(model, None, why):
            self._say("%s is not served: %s" % (model.name, why))
        if self.strict:
            raise RuntimeError("aipc exec --strict: %s is not served: %s" % (model.name, why))
        return original()

    # ---- torch

    def module(self, module, call, args, kwargs):
        model = self._model_of(module, False)
        if model is None:
            return call(module, *args, **kwargs)
        return self._module(model, module, call, args, kwargs)

    def _subclass(self, cls):
        """A deployed method, Class.method."""
        for (name, method), _ in list(self.classes.items()):
            original = cls.__dict__.get(method) if method else None
            if callable(original) and name == flat.class_path(cls):
                setattr(cls, method, self._method(original, method))

    def _method(self, original, name):
        def method(module, *args, **kwargs):
            model = self._model_of(module, name)
            if model is None:
                return original(module, *args, **kwargs)
            return self._module(model, module, original, args, kwargs)
        return method

    def _model_of(self, module, method):
        """The Model with the identity of this module, else None. A cheap look at every call, a hash when that changed."""
        known = self.known.get((id(module), method))
        if known and known[0]() is module and known[1] == _stamp(known[2], known[3]):
            return known[4]
        cls = type(module)
        wanted = self.types.get((cls, method))
        if wanted is None or cls.__module__.startswith("torch.jit"):
            wanted = self.types[cls, method] = self.classes.get((identity.class_of(module), method), ())
        first = _first(module) if wanted else None
        if first is None:
            return None
        who, key = identity.of_module(module), (id(module), method)
        model = next((m for m in wanted if identity.key(m.identity) == identity.key(who)), None)
        if model is None:
            same = any(m.identity["arch"] == who["arch"] for m in wanted)
            self._say("a %s is not the one that was recorded: %s; the original runs" % (
                cls.__name__, "other weights" if same else "another architecture"))
        self.known[key] = (weakref.ref(module, lambda _: self.known.pop(key, None)), _stamp(*first)) + first + (model,)
        return model

    def _module(self, model, module, call, args, kwargs):
        torch = sys.modules["torch"]
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return call(module, *args, **kwargs)
        leaves, spec = flat.flatten_call(args, kwargs)
        key = (spec, tuple([(x.dtype, x.shape) for x in leaves]))

        def choose():
            if torch.is_grad_enabled():
                if module.training or any(x.requires_grad for x in leaves if isinstance(x, torch.Tensor)):
                    raise NotServed("gradients are wanted")
            found = model.chosen.get(key)
            if type(found) is Deployed:
                return found
            metas = [flat.meta(x) for x in leaves]
            same = any(metas == [(t, tuple(s)) for t, s in d.call_inputs] for d in model.artifacts)
            text = "a call with other arguments beside the tensors" if same else "a call with %s" % _text(metas)
            return model.choose(key, lambda d: d.accepts(spec, metas), text)
        return self._serve(model, choose, lambda d: self._run(d, leaves, torch), lambda: call(module, *args, **kwargs))

    def _run(self, d, leaves, torch):
        """Inputs that are row-major already are not copied here; what a copy is made of lives until the run is over."""
        if d.types is None:
            d.types = [[_torch_type(t, torch) for t in names] for names in (
                [t for _, t, _ in d.inputs], [t for _, t, _ in d.outputs], [t for _, t in d.results])]
        given = [_plain(leaves[leaf], kind, torch) for leaf, kind in zip(d.feeds, d.types[0])]
        made = [torch.empty(dims, dtype=kind, device="cpu") for (_, _, dims), kind in zip(d.outputs, d.types[1])]
        (d.artifact or self._artifact(d)).run([t.data_ptr() for t in given], [t.data_ptr() for t in made])
        device, used, out = getattr(leaves[0], "device", None) if leaves else None, set(), []
        for (at, _), kind in zip(d.results, d.types[2]):
            t = made[at].clone() if at in used else made[at]
            used.add(at)
            out.append(t if t.dtype is kind and t.device == device else t.to(device=device or "cpu", dtype=kind))
        return flat.unflatten(d.out_spec, out)

    # ---- onnxruntime

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)
        session._aipc_model = None
        try:
            model = args[0] if args else kwargs["path_or_bytes"]
            if self.sessions:
                found = self.sessions.get(identity.of_model_file(model)["sha256"])
                kinds = {i.name: i.type for i in session.get_inputs()}
                session._aipc_model = (found, kinds, [o.name for o in session.get_outputs()]) if found else None
        except Exception:
            hook.complain("cannot look at a session")

    def session_run(self, session, call, names, feed, options):
        if getattr(session, "_aipc_model", None) is None:
            return call(session, names, feed, options)
        want = session._aipc_model[2] if names is None else list(names)
        return self._session(session, feed, want, lambda out: out, lambda: call(session, names, feed, options))

    def _session(self, session, feed, names, give, original):
        numpy = sys.modules["numpy"]
        model, kinds, known = session._aipc_model
        arrays = {}

        def accepts(d):
            return set(names) <= {n for n, _, _ in d.outputs} and all(
                n in arrays and flat.meta(arrays[n]) == (dtype, dims) for n, dtype, dims in d.inputs)

        def choose():
            if not set(feed) <= set(kinds) or not set(names) <= set(known):
                raise NotServed("names the model does not have")  # the original says so in its own words
            try:
                arrays.update((k, record._array(v, kinds[k])) for k, v in feed.items())
                metas = tuple([(k,) + flat.meta(v) for k, v in arrays.items()])
            except Exception:
                raise NotServed("inputs that are no arrays")
            return model.choose((metas, tuple(names)), accepts, "a run with %s" % _text([m[1:] for m in metas]))

        def run(d):
            for name, value in d.fixed:
                if arrays[name].item() != value:
                    raise NotServed("input %s is %s, deployed was %s" % (name, arrays[name].item(), value))
            given = [numpy.ascontiguousarray(arrays[n]) for n, _, _ in d.inputs]
            made = {n: numpy.empty(dims, dtype) for n, dtype, dims in d.outputs}
            self._artifact(d).run([a.ctypes.data for a in given], [made[n].ctypes.data for n, _, _ in d.outputs])
            return give([made[n] for n in names])
        return self._serve(model, choose, run, original)

    def session_bound(self, session, call, binding, options):
        bound = getattr(binding, "_aipc_out", {})

        def original():
            for name in binding.__dict__.pop("_aipc_put", ()):  # as the program had bound it
                kind, args, kwargs = bound[name]
                kind.__wrapped__(binding, name, *args, **kwargs)
            return call(session, binding, options)
        if getattr(session, "_aipc_model", None) is None:
            return original()
        try:
            feed = {k: record._bound(v) for k, v in getattr(binding, "_aipc_feed", {}).items()}
        except Exception:
            return original()
        return self._session(session, feed, list(bound), lambda out: _fill(binding, bound, out), original)


class Recorded(record.Recorder):
    """Serves, and records what is answered: the second run of `aipc verify`."""

    def __init__(self, server, folder, options):
        self.server = server
        super().__init__(folder, options)

    def forked(self):
        super().forked()
        self.server.forked()

    def module(self, module, call, args, kwargs):
        return super().module(module, lambda m, *a, **k: self.server.module(m, call, a, k), args, kwargs)

    def session_init(self, session, call, args, kwargs):
        super().session_init(session, lambda s, *a, **k: self.server.session_init(s, call, a, k), args, kwargs)

    def session_run(self, session, call, names, feed, options):
        return super().session_run(session, lambda *a: self.server.session_run(a[0], call, *a[1:]), names, feed, options)

    def session_bound(self, session, call, binding, options):
        return super().session_bound(session, lambda *a: self.server.session_bound(a[0], call, *a[1:]), binding, options)


# ---- small things


def _text(metas):
    return ", ".join("%s %s" % (dtype, "x".join(map(str, dims)) or "scalar") for dtype, dims in metas) or "no tensors"


def _torch_type(name, torch):
    return getattr(torch, name.replace("float8e", "float8_e"))


def _first(module):
    """Where the first tensor hangs: (the dict, its key), looked at again at every call."""
    for m in module.modules():
        for held in (m._parameters, m._buffers):
            for name, t in held.items():
                if t is not None:
                    return held, name
    return None


def _stamp(held, name):
    """Another answer means: hash again (to(), half(), load_state_dict())."""
    t = held.get(name)
    return t is not None and (id(t), t.dtype, t.data_ptr(), 0 if t.is_inference() else t._version)


def _plain(leaf, dtype, torch):
    """Row by row in memory, of the contract's type."""
    if not isinstance(leaf, torch.Tensor):
        leaf = torch.from_numpy(sys.modules["numpy"].ascontiguousarray(leaf))
    t = leaf.detach() if leaf.requires_grad else leaf
    if t.is_conj() or t.is_neg():
        t = t.resolve_conj().resolve_neg()
    if t.dtype is not dtype or t.device.type != "cpu":
        t = t.to(device="cpu", dtype=dtype)
    return t if t.is_contiguous() else t.contiguous()


def _fill(binding, bound, out):
    """Puts answers where the program bound them: its own memory, its OrtValue, or one the binding hands out."""
    import ctypes
    from onnxruntime import OrtValue
    for name, array in zip(bound, out):
        kind, args, kwargs = bound[name]
        value = args[0] if args else kwargs.get("ortvalue")
        pointer = args[4] if len(args) > 4 else kwargs.get("buffer_ptr")
        if isinstance(value, OrtValue):
            value.update_inplace(array)
        elif pointer:
            ctypes.memmove(pointer, array.ctypes.data, array.nbytes)
        else:
            type(binding).bind_ortvalue_output.__wrapped__(binding, name, OrtValue.ortvalue_from_numpy(array))
            binding.__dict__.setdefault("_aipc_put", set()).add(name)
