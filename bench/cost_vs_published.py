#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The comparing half of bench/cost_vs_published.sh. The estimate is aipc's own; --fit has the same formula once more
(checked against aipc's figure on every row) to search the figures of data/cost.json."""
import csv
import json
import math
import os
import subprocess
import sys

import numpy as np

FOLDED = {"Relu", "Relu1", "Relu6", "ReluMinMax"}
NONLINEAR = {"Softmax", "LogSoftmax", "Gelu", "LayerNorm", "RmsNorm", "InstanceNorm", "GroupNorm", "Sigmoid", "Tanh",
             "ElementWiseNeuron", "ElementWiseExp", "ElementWiseLog", "ElementWisePower", "ElementWiseSin",
             "ElementWiseCos", "HardSwish", "ElementWiseDivide", "L2Norm"}
FITTED = ["vector_bytes_per_flop", "nonlinear_bytes_per_flop", "layer_overhead_us", "inference_overhead_us", "rate73"]
START = [0.05, 0.01, 1.0, 200.0, 0.6]


def read_rows():
    with open("bench/published.csv") as f:
        return [(m, i, t, float(ms)) for m, i, t, ms, _ in csv.reader(l for l in f if not l.startswith("#"))]


def estimates(build, data, rows):
    """aipc's cost document of each row, from one build each."""
    found = {}
    for model in dict.fromkeys(r[0] for r in rows):
        mine = [r for r in rows if r[0] == model]
        out = subprocess.run([build + "/bench/buildcost", build + "/aipc", data, f".deps/models/{model}.onnx", mine[0][1],
                              *[r[2] for r in mine]], capture_output=True, text=True)
        if out.returncode:
            print(out.stderr.strip(), file=sys.stderr)
        for line in out.stdout.splitlines():
            d = json.loads(line)
            found[model, d["target"]] = d["cost"]
        print(f"built {model}", file=sys.stderr)
    return found


def soc_table():
    soc = {"htp:" + s["name"].lower(): s for s in json.load(open("data/soc.json"))["socs"]}
    htp = {v["htp_version"]: v for v in json.load(open("data/htp.json"))["versions"]}
    table = {}
    for name, s in soc.items():
        v = htp.get(s["htp_version"], {})
        figure = lambda k: (s.get(k) or v.get(k) or {}).get("value", 0)
        tflops = (s.get("fp16_tflops") or {}).get("value") or figure("int8_tops") * v.get("fp16_per_int8", {}).get("value", 0)
        table[name] = {"tflops": tflops, "dram": figure("dram_gbps"), "vtcm": s["vtcm_mb"], "version": s["htp_version"]}
    return table


class Layers:
    def __init__(self, cost):
        column = lambda k: np.array([l[k] for l in cost["layers"]], float)
        self.macs, self.weights, self.acts = column("macs"), column("weight_bytes"), column("activation_bytes")
        ops = [l["op"] for l in cost["layers"]]
        self.folded = np.array([o in FOLDED for o in ops])
        self.nonlinear = np.array([o in NONLINEAR for o in ops])


def predict(f, layers, soc, c):
    vector, nonlinear, layer_us, inference_us, rate73 = f
    rate = rate73 if soc["version"] == 73 else 1
    flops = soc["tflops"] * 1e9 * rate
    compute = layers.macs / (flops / 2 * c["matrix_efficiency"])
    spill = layers.acts > soc["vtcm"] * 1048576 * c["on_chip_vtcm_multiple"]
    dram = (layers.weights + np.where(spill, layers.acts, 0)) / (soc["dram"] * 1e6)
    touched = (layers.acts + layers.weights) / (flops * np.where(layers.nonlinear, nonlinear, vector))
    ms = np.maximum(np.maximum(compute, dram), touched) + layer_us / 1e3 / rate
    return np.where(layers.folded, 0, ms).sum() + inference_us / 1e3 / rate


def minimize(f, x):
    """Nelder and Mead's simplex."""
    points = [np.array(x)] + [np.array(x) + 0.4 * e for e in np.eye(len(x))]
    values = [f(p) for p in points]
    for _ in range(3000):
        order = np.argsort(values)
        points, values = [points[i] for i in order], [values[i] for i in order]
        if values[-1] - values[0] < 1e-9:
            break
        centre = np.mean(points[:-1], 0)
        step = centre - points[-1]
        tried = [(f(p), p) for p in (centre + step, centre + 2 * step, centre - 0.5 * step)]
        best = min(tried, key=lambda t: t[0])
        if best[0] < values[-1]:
            values[-1], points[-1] = best
        else:
            points = [points[0]] + [points[0] + 0.5 * (p - points[0]) for p in points[1:]]
            values = [values[0]] + [f(p) for p in points[1:]]
    return points[int(np.argmin(values))]


def fit(rows, layers, socs, c):
    """Least squares of log(estimate / published), weakly held near START so that nothing runs away."""
    start = np.log(START)

    def loss(x):
        e = [math.log(predict(np.exp(x), layers[m], socs[t], c) / ms) for m, _, t, ms in rows]
        return sum(v * v for v in e) + 0.004 * float(((x - start) ** 2).sum())

    return np.exp(minimize(loss, start))


def spread(logs):
    mean = math.exp(sum(logs) / len(logs))
    rms = math.exp(math.sqrt(sum(v * v for v in logs) / len(logs)))
    return f"geometric mean {mean:.2f}, typical factor {rms:.2f} (root mean square of the log), " \
           f"{math.exp(min(logs)):.2f} … {math.exp(max(logs)):.2f}"


def main():
    build, data = sys.argv[1:3]
    rows, c = read_rows(), json.load(open("data/cost.json"))
    costs = estimates(build, data, rows)
    rows = [r for r in rows if (r[0], r[2]) in costs]
    socs, layers = soc_table(), {m: Layers(costs[m, t]) for m, _, t, _ in rows}
    now = [c[k] for k in FITTED[:-1]] + [c["rate_of_htp_version"]["73"]]
    for m, _, t, _ in rows:
        ours, again = costs[m, t]["estimate_ms"], predict(now, layers[m], socs[t], c)
        if abs(ours - again) > 1e-3 * ours:
            print(f"warning: {m} {t}: aipc says {ours:.4f} ms, the formula here {again:.4f}", file=sys.stderr)
    print("| model | SoC | GMAC | weights MB | activations MB | published ms | estimate ms | estimate / published |")
    print("|---|---|---|---|---|---|---|---|")
    logs = []
    for m, _, t, ms in rows:
        k = costs[m, t]
        logs.append(math.log(k["estimate_ms"] / ms))
        print(f"| {m} | {t[4:]} | {k['macs'] / 1e9:.2f} | {k['weight_bytes'] / 1e6:.1f} | {k['activation_bytes'] / 1e6:.0f} | "
              f"{ms:g} | {k['estimate_ms']:.2f} | {k['estimate_ms'] / ms:.2f} |")
    print(f"\nAll {len(rows)} rows: {spread(logs)}.")
    for t in dict.fromkeys(r[2] for r in rows):
        print(f"{t[4:]}: {spread([l for l, r in zip(logs, rows) if r[2] == t])}.")
    if "--fit" not in sys.argv:
        return
    best = fit(rows, layers, socs, c)
    print("\nfit over all rows: " + ", ".join(f"{n} {v:.4g}" for n, v in zip(FITTED, best)))
    print("in sample: " + spread([math.log(predict(best, layers[m], socs[t], c) / ms) for m, _, t, ms in rows]))
    left = {}
    for model in dict.fromkeys(r[0] for r in rows):
        f = fit([r for r in rows if r[0] != model], layers, socs, c)
        left[model] = [math.log(predict(f, layers[m], socs[t], c) / ms) for m, _, t, ms in rows if m == model]
        print(f"left out {model}: " + ", ".join(f"{math.exp(v):.2f}" for v in left[model]) +
              "   (" + ", ".join(f"{n} {v:.3g}" for n, v in zip(FITTED, f)) + ")")
    print("leave one model out: " + spread([v for l in left.values() for v in l]))


if __name__ == "__main__":
    main()
