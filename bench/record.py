# SPDX-License-Identifier: Apache-2.0
"""What recording costs: record.py AIPC [PYTHON]. Prints one line a case, from the hook's own clocks and from outside.

The same program runs with and without recording, three times each; the best counts. `copies` is the writing of the samples
that are kept, `beside` all else the hook does in a call; both are also given as a share of the time in the model."""
import json
import os
import subprocess
import sys
import tempfile
import time

CASES = {
    "torch, 1 ms a call, 2000 calls": """
import torch
m = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 512)).eval()
x = torch.rand(16, 512)
with torch.no_grad():
    for i in range(2000): m(x)
""",
    "torch, 100 small layers, 500 calls": """
import torch
m = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(100)]).eval()
x = torch.rand(1, 32)
with torch.no_grad():
    for i in range(500): m(x)
""",
    "torch, a picture of 4.9 MB, 40 calls": """
import torch
m = torch.nn.Conv2d(3, 32, 3, 2).eval(); m = torch.nn.Sequential(m, torch.nn.Conv2d(32, 32, 3, 2)).eval()
x = torch.rand(1, 3, 640, 640)
with torch.no_grad():
    for i in range(40): m(x + i)
""",
}


def run(command, env=None):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    return time.perf_counter() - start


def main():
    aipc, python = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else sys.executable
    env = dict(os.environ, OMP_NUM_THREADS="1")
    print("| case | plain s | recorded s | in models s | copies | beside | beside a call |\n|---|---|---|---|---|---|---|")
    for name, text in CASES.items():
        with tempfile.TemporaryDirectory() as tmp:
            app, rec = os.path.join(tmp, "app.py"), os.path.join(tmp, "rec")
            with open(app, "w") as f:
                f.write("import torch\ntorch.set_num_threads(1)\n" + text)
            plain = min(run([python, app], env) for _ in range(3))
            recorded, best = 1e9, None
            for _ in range(3):
                took = run([aipc, "record", "-q", "-o", rec, "--", python, app], env)
                if took < recorded:
                    recorded, best = took, json.load(open(os.path.join(rec, "recording.json")))
            calls, inside = sum(m["calls"] for m in best["models"]), best["recorded_s"]
            print("| %s | %.2f | %.2f | %.3f | %.1f %% | %.1f %% | %.1f us |" % (
                name, plain, recorded, inside, 100 * best["copies_s"] / inside, 100 * best["overhead_s"] / inside,
                1e6 * best["overhead_s"] / calls))


main()
