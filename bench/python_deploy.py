#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a careful engineer would write by hand instead of `aipc deploy`: the yardstick of bench/run.sh.

Same wheels, same steps: decode and letterbox the photo, golden run (optimizations off), compile for the SoC with a
context binary and without CPU fallback, run twice, reload the context in a fresh process and run, compare bits,
compare every traced tensor with golden, metrics, artifact folder with a JSON report. Step after step, one process
plus the fresh one.

    python_deploy.py MODEL PHOTO OUT --shape 1,3,320,320 [--soc 57] [--trace] [--tensors FILE]
"""
import argparse
import hashlib
import json
import math
import multiprocessing
import os
import platform
import shutil
import sys
import time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime as ort
import onnxruntime_qnn

EP = onnxruntime_qnn.get_ep_name()


def letterbox(path, height, width):
    from PIL import Image

    image = Image.open(path).convert("RGB")
    scale = min(width / image.width, height / image.height)
    w, h = round(image.width * scale), round(image.height * scale)
    canvas = Image.new("RGB", (width, height), (114, 114, 114))
    canvas.paste(image.resize((w, h), Image.BILINEAR), ((width - w) // 2, (height - h) // 2))
    pixels = np.asarray(canvas, dtype=np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def golden_run(model, feeds):
    """The original on the CPU, optimizer off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def npu_session(model, soc, context=None):
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if context:
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_file_path", context)
        options.add_session_config_entry("ep.context_embed_mode", "0")
    device = next(d for d in ort.get_ep_devices() if d.ep_name == EP)
    options.add_provider_for_devices(
        [device],
        {
            "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
            "soc_model": str(soc),
            "enable_htp_fp16_precision": "1",
        },
    )
    return ort.InferenceSession(model, options)


def npu_run(session, feeds):
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def register():
    ort.register_execution_provider_library(EP, onnxruntime_qnn.get_library_path())


def reload_and_run(context, soc, feeds, pipe):
    """In a fresh process: only the context binary is there."""
    register()
    pipe.send(npu_run(npu_session(context, soc), feeds))
    pipe.close()


def run_in_fresh_process(context, soc, feeds):
    ctx = multiprocessing.get_context("spawn")
    here, there = ctx.Pipe()
    child = ctx.Process(target=reload_and_run, args=(context, soc, feeds, there))
    child.start()
    there.close()
    outputs = here.recv()
    child.join()
    return outputs


def bits_equal(a, b):
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


def metrics(ref, test):
    r, t = ref.astype(np.float64).ravel(), test.astype(np.float64).ravel()
    finite = np.isfinite(r) & np.isfinite(t)
    mismatch = int(np.count_nonzero(np.isfinite(r) != np.isfinite(t)))
    r, t = r[finite], t[finite]
    err = r - t
    power, noise = float(r @ r), float(err @ err)
    top = float(np.abs(r).max(initial=0))
    result = {
        "cosine": float(r @ t) / max(math.sqrt(power * float(t @ t)), 1e-300),
        "sqnr_db": 10 * math.log10(power / noise) if noise and power else math.inf,
        "max_abs": float(np.abs(err).max(initial=0)),
        "max_rel": float((np.abs(err) / np.maximum(np.abs(r), max(1e-3 * top, 1e-300))).max(initial=0)),
        "ref_max": top,
        "rms_error": math.sqrt(noise / max(r.size, 1)),
        "nonfinite_mismatch": mismatch,
        "bit_equal": ref.tobytes() == test.tobytes(),
    }
    if ref.ndim >= 2:
        axes = tuple(i for i in range(ref.ndim) if i != 1)
        d = ref.astype(np.float64) - test.astype(np.float64)
        signal, noise = (ref.astype(np.float64) ** 2).sum(axes), (d**2).sum(axes)
        worst = (signal + ref.size / ref.shape[1] * 1e-6) / np.maximum(noise, 1e-300)
        result["worst_channel_db"] = float(10 * np.log10(worst.min()))
    return result


def fusion_ends(graph):
    """Tensors a compiler does not fuse away: not between a matrix op and the activation behind it."""
    makers = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"}
    activations = {"Relu", "Clip", "Sigmoid", "HardSwish", "LeakyRelu", "PRelu", "Tanh", "Mul", "HardSigmoid", "Gelu",
                   "Erf", "Add", "BatchNormalization"}
    uses, carries = {}, {i.name for i in graph.input} - {t.name for t in graph.initializer}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    outputs, chosen = {o.name for o in graph.output}, []
    for node in graph.node:
        if node.op_type in ("Shape", "Size") or not any(n in carries for n in node.input):
            continue
        for name in node.output:
            carries.add(name)
            readers = uses.get(name, [])
            if not name or name in outputs or not readers:
                continue
            if node.op_type in ("Sigmoid", "HardSigmoid", "Erf") and [r.op_type for r in readers] == ["Mul"]:
                continue
            if node.op_type in makers and all(r.op_type in activations for r in readers):
                continue
            chosen.append(name)
    return chosen


def fixed_model(path, shapes):
    """The model with its input shapes fixed, as bytes and as a message."""
    import onnx

    model = onnx.load(path)
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, [])):
            dim.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model


def trace(model, feeds, soc, names):
    import onnx

    outputs = [o.name for o in model.graph.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    golden = golden_run(model.SerializeToString(), feeds)
    keep = [n for n in names if golden[n].dtype == np.float32] + outputs
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in keep)
    npu = npu_run(npu_session(model.SerializeToString(), soc), feeds)
    return [{"tensor": n, **metrics(golden[n], npu[n])} for n in keep]


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model"), p.add_argument("photo"), p.add_argument("out")
    p.add_argument("--input", default="images"), p.add_argument("--shape", default="1,3,320,320")
    p.add_argument("--soc", type=int, default=57), p.add_argument("--trace", action="store_true")
    o = p.parse_args()
    start = time.perf_counter()
    shape = [int(d) for d in o.shape.split(",")]
    shutil.rmtree(o.out, ignore_errors=True)
    os.makedirs(o.out)
    feeds = {o.input: letterbox(o.photo, shape[2], shape[3])}
    model = fixed_model(o.model, {o.input: shape})
    data = model.SerializeToString()

    golden = golden_run(data, feeds)
    register()
    context = os.path.join(o.out, "model.onnx")
    session = npu_session(data, o.soc, context)
    placement = [n.op_type for g in session.get_provider_graph_assignment_info() for n in g.get_nodes()]
    first = npu_run(session, feeds)
    second = npu_run(session, feeds)
    del session
    fresh = run_in_fresh_process(context, o.soc, feeds)
    traced = trace(model, feeds, o.soc, fusion_ends(model.graph)) if o.trace else []

    result = {name: metrics(golden[name], first[name]) for name in golden}
    gates = {
        "runs_bit_equal": bits_equal(first, second),
        "reload_bit_equal": bits_equal(first, fresh),
        "accuracy": all(m["cosine"] >= 0.999 and m["sqnr_db"] >= 30 and not m["nonfinite_mismatch"]
                        and m["max_abs"] <= 0.1 * m["ref_max"] for m in result.values()),
    }
    np.save(os.path.join(o.out, "input-0.npy"), feeds[o.input])
    for i, name in enumerate(golden):
        np.save(os.path.join(o.out, f"output-{i}.npy"), golden[name])
    report = {
        "model": {"file": o.model, "sha256": sha256(o.model)},
        "tools": {"onnxruntime": ort.__version__, "onnxruntime-qnn": onnxruntime_qnn.__version__},
        "host": {"os": platform.platform(), "cores": os.cpu_count()},
        "nodes_on_target": len(placement),
        "gates": gates,
        "metrics": result,
        "trace": traced,
        "files": [{"file": f, "bytes": os.path.getsize(os.path.join(o.out, f)), "sha256": sha256(os.path.join(o.out, f))}
                  for f in sorted(os.listdir(o.out))],
        "seconds": time.perf_counter() - start,
    }
    with open(os.path.join(o.out, "report.json"), "w") as f:
        json.dump(report, f, indent=1)
    db = min(m["sqnr_db"] for m in result.values())
    print(f"{len(placement)} nodes, SQNR {db:.1f} dB, {len(traced)} tensors traced, {gates}")
    return 0 if all(gates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
