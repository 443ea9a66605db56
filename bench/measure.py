#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The measuring half of bench/run.sh: runs, pairs, medians, one table. Standard library only."""
import argparse
import datetime
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".deps/venv/bin/python")
SHAPE = "1,3,320,320"


class Bench:
    def __init__(self, build, pairs):
        self.build, self.pairs = os.path.abspath(build), pairs
        self.rows, self.notes = [], []
        self.tmp = tempfile.mkdtemp(prefix="aipc-bench-", dir=os.environ.get("TMPDIR", "/tmp"))
        data = os.environ["AIPC_DATA"]
        self.model = sorted(glob.glob(data + "/runtimes/sample-yolov8n-*/320n.onnx"))[-1]
        self.photo = sorted(glob.glob(data + "/runtimes/sample-photos-*/bus.jpg"))[-1]
        self.env = {**os.environ, "AIPC_CACHE": self.tmp + "/cache"}
        self.aipc, self.pss = self.build + "/aipc", self.build + "/bench/pss"

    def row(self, what, value, target, met):
        self.rows.append((what, value, target, {True: "yes", False: "**no**", None: "-"}[met]))
        print(f"  {what}: {value}", file=sys.stderr)

    def sampled(self, command, interval=20):
        """Runs under pss; its figures, and the processes seen."""
        file = self.tmp + "/pss"
        code = subprocess.run([self.pss, "-o", file, "-i", str(interval), "--", *command], env=self.env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        figures, processes = {}, []
        with open(file) as f:
            for line in f:
                key, rest = line.rstrip("\n").split(" ", 1)
                if key == "process":
                    kb, first, last, what = rest.split(" ", 3)
                    processes.append((what, int(kb) / 1024, float(first), float(last)))
                else:
                    figures[key] = float(rest)
        if code:
            raise SystemExit(f"bench: exit {code}: {' '.join(command)}")
        return figures, processes

    def timed(self, command):
        start = time.perf_counter()
        subprocess.run(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    def deploy(self, trace, fresh=True):
        return [self.aipc, "deploy", "-q", self.model, "--target", "htp:sm8650", "--shape", "images=" + SHAPE, "--input",
                "images=" + self.photo, "-o", self.tmp + "/out", *(["--fresh"] if fresh else []),
                *([] if trace else ["--no-trace"])]

    def python(self, trace):
        return [VENV, os.path.join(ROOT, "bench/python_deploy.py"), self.model, self.photo, self.tmp + "/py", "--shape",
                SHAPE, *(["--trace"] if trace else [])]


def spread(values, form="{:.2f}"):
    v = sorted(values)
    return f"{form} ({form} … {form})".format(statistics.median(v), v[0], v[-1])


def ours(b):
    """(a) What aipc itself adds to the vendor's and the golden time, and the warm call."""
    own, share, warm = [], [], []
    for _ in range(b.pairs):
        b.timed(b.deploy(True))
        with open(b.tmp + "/out/report.json") as f:
            t = json.load(f)["time"]
        own.append(t["ours_s"])
        share.append(t["ours_s"] / t["wall_s"])
        warm.append(b.timed(b.deploy(True, fresh=False)))
    m = statistics.median
    b.row("deploy, cold: time outside vendor and golden calls", f"{spread(own, '{:.3f}')} s, {100 * m(share):.1f} % of wall",
          "≤ 10 % or ≤ 0.3 s", m(share) <= 0.10 or m(own) <= 0.3)
    b.row("deploy, nothing changed: wall", spread(warm, "{:.3f}") + " s", "< 1 s", m(warm) < 1)


def against_python(b, trace):
    """(b) The same work by hand."""
    name = "with the trace" if trace else "without the trace"
    walls, peaks, w, p, last = [], [], ([], []), ([], []), None
    for _ in range(b.pairs):
        a, last = b.sampled(b.deploy(trace))
        y, theirs = b.sampled(b.python(trace))
        walls.append(a["wall_s"] / y["wall_s"])
        peaks.append(a["peak_pss_kb"] / y["peak_pss_kb"])
        for i, f in enumerate((a, y)):
            w[i].append(f["wall_s"])
            p[i].append(f["peak_pss_kb"] / 1024)
    m = statistics.median
    b.row(f"wall against Python, {name}", f"{spread(walls)}; {m(w[0]):.2f} s : {m(w[1]):.2f} s", "≤ 0.8", m(walls) <= 0.8)
    b.row(f"peak PSS against Python, {name}", f"{spread(peaks)}; {m(p[0]):.0f} : {m(p[1]):.0f} MiB", "≤ 0.85",
          m(peaks) <= 0.85)
    b.notes.append(f"Peak PSS of each process in the last run {name}: aipc " +
                   ", ".join(f"{what} {mb:.0f} MiB ({first / 1e3:.1f}–{end / 1e3:.1f} s)"
                             for what, mb, first, end in sorted(last, key=lambda x: x[2])) + "; Python " +
                   ", ".join(f"{what} {mb:.0f} MiB" for what, mb, _, _ in theirs) +
                   f". Files in /dev/shm grew by {a['shm_growth_kb'] / 1024:.0f} MiB (aipc) and "
                   f"{y['shm_growth_kb'] / 1024:.0f} MiB (Python) beside it; PSS counts them only while they are mapped.")


def kind_of_fs(path):
    out = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()
    return out or "?"


def graph_room(b):
    """(c), (d) A 150 MB model through the graph room."""
    tool = b.build + "/bench/bigmodel"
    places = [("tmpfs", "/dev/shm")] if os.path.isdir("/dev/shm") else []
    places.append(("disk", b.tmp))
    big = None
    for name, place in places:
        with tempfile.TemporaryDirectory(prefix="aipc-bench-", dir=place) as d:
            src = d + "/big.onnx"
            subprocess.run([tool, "make", src, "150"], check=True)
            for how in ("edited", "kept"):
                speed, rss = [], []
                for _ in range(b.pairs):
                    r = json.loads(subprocess.run([tool, "copy", src, d + "/out.onnx", how], check=True,
                                                  capture_output=True, text=True).stdout)
                    speed.append(r["bytes"] / (r["load_s"] + r["save_s"]) / 1e9)
                    rss.append(r["peak_rss_bytes"] / r["bytes"])
                on_tmpfs = name == "tmpfs"
                m = statistics.median
                b.row(f"load + save of {r['bytes'] / 1e6:.0f} MB, {how}, {name} ({kind_of_fs(place)})", spread(speed) + " GB/s",
                      "≥ 1 GB/s" if on_tmpfs else "(fsync of this disk)", m(speed) >= 1 if on_tmpfs else None)
                if on_tmpfs:
                    b.row(f"its peak RSS / file size, {how}", spread(rss), "≤ 2.2", m(rss) <= 2.2)
            if big is None:
                big = b.tmp + "/big.onnx"
                shutil.copy(src, big)
    load = [VENV, "-c", "import sys, onnx; onnx.load(sys.argv[1])", big]
    ratio, a, p = [], [], []
    b.timed([b.aipc, "inspect", big])
    for _ in range(b.pairs):
        a.append(b.timed([b.aipc, "inspect", big]))
        p.append(b.timed(load))
        ratio.append(a[-1] / p[-1])
    m = statistics.median
    b.row("`aipc inspect` of it against Python `onnx.load`, wall", f"{spread(ratio)}; {m(a):.3f} s : {m(p):.3f} s", "≤ 0.3",
          m(ratio) <= 0.3)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")


def table(b):
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout
    lines = [f"# Benchmark, {datetime.date.today().isoformat()}", "",
             f"{cpu_name()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, commit {commit.strip()}, "
             f"load average when done {os.getloadavg()[0]:.1f}. Median (least … most) of {b.pairs} runs; ratios are aipc / "
             "Python of interleaved pairs. Model: YOLOv8n at 320x320, target htp:sm8650.", "",
             "| what | value | target | met |", "|---|---|---|---|"]
    lines += [f"| {w} | {v} | {t} | {m} |" for w, v, t, m in b.rows]
    lines += [""] + [f"- {n}" for n in b.notes]
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True), p.add_argument("--pairs", type=int, default=5)
    o = p.parse_args()
    b = Bench(o.build, o.pairs)
    try:
        ours(b)
        against_python(b, False)
        against_python(b, True)
        graph_room(b)
    finally:
        shutil.rmtree(b.tmp, ignore_errors=True)
    text = table(b).replace(ROOT + os.sep, "")  # no path of one machine
    out = os.path.join(ROOT, "bench/results", datetime.date.today().isoformat() + ".md")
    with open(out, "w") as f:
        f.write(text)
    print(text)
    print(f"saved: {os.path.relpath(out)}", file=sys.stderr)


if __name__ == "__main__":
    main()
