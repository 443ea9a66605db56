# SPDX-License-Identifier: Apache-2.0
"""exec: serves the program's models by deployed artifacts. The original module or session stays whole and runs whatever
was not deployed. Which artifact answers which call is libaipc's to say (docs/recordings.md, "Serving")."""
import atexit
import functools
import json
import os
import sys
import weakref
from ctypes import addressof, c_char

from . import flat, hook, identity, libaipc, record

def open_handler(env):
    options = json.loads(env.get("AIPC_HOOK_OPTIONS") or "{}")
    server = Server(env["AIPC_ARTIFACTS"], env.get("AIPC_TARGET"), env.get("AIPC_STRICT"), options.get("blank"))
    return Recorded(server, env["AIPC_HOOK_DIR"], options["record"]) if options.get("record") else server

class Server:
    def __init__(self, folders, target=None, strict=False, blank=False):
        self.server, self.strict, self.blank = libaipc.Server(folders, target), strict, blank
        atexit.register(self.server.server_close, self.server.handle)
        os.register_at_fork(before=lambda: self.server.server_forking(self.server.handle),
                            after_in_child=lambda: self.server.server_forked(self.server.handle))
        self.classes, self.wanted, self.known, self.told = {}, {}, {}, set()
        for m in self.server.models:
            self.classes.setdefault((m["class"], m["path"] if str(m["path"])[:1] == "." else ""), set()).add(m["arch"])

    def _say(self, text):
        if text not in self.told:
            self.told.add(text)
            sys.stderr.write("aipc: %s\n" % text)

    def _refuse(self, model, e):  # the original runs; counted
        why = "%s is not served: %s" % (model.name, e)
        model.server.served_refuse(model.handle, str(e).encode("utf-8", "replace"))
        if self.strict:
            raise RuntimeError("aipc exec --strict: " + why) from None
        self._say(why)

    def methods(self, cls):
        return [method[1:] for name, method in self.classes if method and name == flat.class_path(cls)]

    def _model_of(self, module, method):
        """The Model with the identity of this module, else None. A cheap look at every call, a hash if that changed."""
        cls, key = type(module), (id(module), method)
        known = self.known.get(key)
        if known and known[0]() is module and known[1] == known[2]():
            return known[3]
        wanted = self.wanted.get((cls, method))
        if wanted is None or cls.__module__.startswith("torch.jit"):
            wanted = self.wanted[cls, method] = self.classes.get((identity.class_of(module), method), ())
        look = identity.watch(module) if wanted else None
        if look is None:
            return None
        who = identity.of_module(module)
        model = self.server.find(identity.key(who) + method)
        if model is None:
            self._say("a %s is not the one that was recorded: %s; the original runs" % (
                cls.__name__, "other weights" if who["arch"] in wanted else "another architecture"))
        self.known[key] = weakref.ref(module, lambda _: self.known.pop(key, None)), look(), look, model
        return model

    def module(self, module, call, args, kwargs, method=""):
        model, torch = self._model_of(module, method and "." + method), sys.modules["torch"]
        if model is None or torch._C._is_tracing() or torch.compiler.is_compiling():
            return call(module, *args, **kwargs)
        try:
            leaves, spec = flat.flatten_call(args, kwargs)
            if torch.is_grad_enabled() and (module.training or any(getattr(x, "requires_grad", False) for x in leaves)):
                raise libaipc.Error("gradients are wanted")
            key = spec, tuple([(x.dtype, x.shape) for x in leaves])
            d = model.chosen.get(key) or model.choose(key, spec, [("",) + flat.meta(x) for x in leaves])
            return _blank(model, d, call(module, *args, **kwargs)) if self.blank else _run_torch(d, leaves, torch)
        except libaipc.Error as e:
            self._refuse(model, e)
        return call(module, *args, **kwargs)

    def session_init(self, session, call, args, kwargs):
        call(session, *args, **kwargs)
        with hook.quietly("cannot look at a session"):
            model = self.server.find_file(args[0] if args else kwargs["path_or_bytes"])
            kinds = {i.name: i.type for i in session.get_inputs()}
            session._aipc_model = model and (model, kinds, [o.name for o in session.get_outputs()])

    def session_run(self, session, call, names, feed, options):
        if getattr(session, "_aipc_model", None) is None:
            return call(session, names, feed, options)
        try:
            return _run_session(*session._aipc_model, feed, names)
        except libaipc.Error as e:
            self._refuse(session._aipc_model[0], e)
        return call(session, names, feed, options)

class Recorded(record.Recorder):
    """Serves, and records what is answered: the second run of `aipc verify`."""
    def __init__(self, server, folder, options):
        super().__init__(folder, options)
        self.server, self.methods = server, server.methods

    def module(self, module, call, args, kwargs, method=""):
        serve = self.server.module
        return super().module(module, lambda m, *a, **k: serve(m, call, a, k, method), args, kwargs, method)

    def session_init(self, session, call, args, kwargs):
        super().session_init(session, lambda s, *a, **k: self.server.session_init(s, call, a, k), args, kwargs)

    def session_run(self, session, call, *given):
        return super().session_run(session, lambda s, *a: self.server.session_run(s, call, *a), *given)

def _plain(leaf, dtype, torch):
    """Row by row in memory, of the contract's type. Copied only when it is not."""
    t = leaf if isinstance(leaf, torch.Tensor) else torch.from_numpy(sys.modules["numpy"].ascontiguousarray(leaf))
    if t.dtype is not dtype or not t.is_cpu or t.requires_grad or t.is_conj() or t.is_neg():
        t = t.detach().resolve_conj().resolve_neg().to(device="cpu", dtype=dtype)
    return t.contiguous()

@functools.lru_cache(None)
def _no_data():
    """Makes tensors of type and shape alone: torch raises for whoever wants elements, or mixes them with real ones."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
    sys.stderr.write("aipc: what the program did not read when it was deployed has no data\n")
    mode = FakeTensorMode()
    return lambda x: FakeTensor(mode, x.to("meta"), x.device)

def _blank(model, d, out):
    """The original's answer, without the data of tensors that have no output: does the program read them?"""
    model.server.served_refuse(model.handle, b"blank")  # counts it
    leaves, spec = flat.flatten(out)
    return flat.unflatten(spec, [_no_data()(x) if r["output"] is None else x for x, r in zip(leaves, d.results)])

def _run_torch(d, leaves, torch):
    numpy, device = sys.modules["numpy"], lambda: getattr(leaves[0], "device", "cpu") if leaves else "cpu"
    if d.plan is None:
        kind = lambda t: t["dtype"] and flat.torch_dtype(t["dtype"])
        outputs = [(tuple(o["dims"]), numpy.dtype(flat.RAW.get(o["dtype"], o["dtype"])), o["at"]) for o in d.outputs]
        fake = lambda r: _no_data()(torch.empty(r["dims"], dtype=kind(r), device=device()))
        was = lambda r: fake(r) if r["output"] is None else kind(d.outputs[r["output"]])
        results = [(r["output"], was(r), kind(r)) for r in d.results]
        same = [(at, str(k)[6:]) for at, _, k in results] == [(i, str(kind)) for i, (_, kind, _) in enumerate(outputs)]
        d.plan = [(f["leaf"], kind(f)) for f in d.feeds], outputs, same, results, flat.thaw(d.out_spec)
    feeds, outputs, same, results, spec = d.plan
    if same and spec == flat.TENSOR and len(feeds) == 1:  # the same in fewer steps, for most models
        (dims, kind, at), t = outputs[0], _plain(leaves[feeds[0][0]], feeds[0][1], torch)
        made = torch.from_numpy(numpy.ndarray(dims, kind, d.run((t.data_ptr(),)), at))
        return made if t is leaves[feeds[0][0]] else made.to(device())
    given = [_plain(leaves[at], kind, torch) for at, kind in feeds]  # copies live until the run is over
    memory = d.run([t.data_ptr() for t in given])
    made = [torch.from_numpy(numpy.ndarray(dims, kind, memory, at)) for dims, kind, at in outputs]
    if not same or not given or given[0] is not leaves[feeds[0][0]]:  # of other types, perhaps for another device
        made = [was if at is None else made[at].view(was).to(device=device(), dtype=kind) for at, was, kind in results]
    return made[0] if spec == flat.TENSOR else flat.unflatten(spec, made)

def _run_session(model, kinds, known, feed, names):
    numpy, names = sys.modules["numpy"], known if names is None else names
    if not set(feed) <= set(kinds) or not set(names) <= set(known):
        raise libaipc.Error("names the model does not have")  # the original says so in its own words
    try:
        arrays = {k: record.as_array(v, kinds[k]) for k, v in feed.items()}
        key = tuple([(k, v.dtype, v.shape) for k, v in arrays.items()])
        d = model.chosen.get(key) or model.choose(key, None, [(k,) + flat.meta(v) for k, v in arrays.items()])
    except (AttributeError, TypeError, ValueError):
        raise libaipc.Error("inputs that are no arrays")
    given = [numpy.ascontiguousarray(arrays[f["name"]]) for f in d.feeds]
    if not set(names) <= {o["name"] for o in d.outputs}:
        raise libaipc.Error("outputs the artifact does not have")
    memory = d.run([addressof(c_char.from_buffer(a)) if a.size and a.flags.writeable else a.ctypes.data for a in given])
    made = {o["name"]: numpy.ndarray(o["dims"], o["dtype"], memory, o["at"]) for o in d.outputs}
    return [made[n] for n in names]
