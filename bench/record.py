# SPDX-License-Identifier: Apache-2.0
"""What recording costs: record.py AIPC [PYTHON]. Prints a table, one line a case.

Each program calls one model, 70 times so that the eight samples are taken, and then tells the processor time of its own
thread around more calls: start, import, copies and other processes do not count. It runs alone and recorded, three times
each, interleaved, and the least counts."""
import os
import subprocess
import sys
import tempfile

SETUP = """
import time, torch
torch.set_num_threads(1)
%s
with torch.no_grad():
    for _ in range(70): m(x)  # the samples are taken here
    least = 1e9
    for _ in range(10):
        start = time.thread_time()
        for i in range(%d): m(x)
        least = min(least, time.thread_time() - start)
print(least / %d * 1e6)
"""
CASES = {
    "three layers of 512 to 2048, a batch of 16": (20, """
m = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 512)).eval()
x = torch.rand(16, 512)"""),
    "100 small layers": (20, """
m = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(100)]).eval()
x = torch.rand(1, 32)"""),
    "a picture of 4.9 MB through two convolutions": (2, """
m = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3, 2), torch.nn.Conv2d(32, 32, 3, 2)).eval()
x = torch.rand(1, 3, 640, 640)"""),
}


def run(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    return float(out.stdout.split()[-1])


def main():
    aipc, python = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else sys.executable
    print("| case | a call alone | recorded | cost of a call | share |\n|---|---|---|---|---|")
    for name, (calls, text) in CASES.items():
        with tempfile.TemporaryDirectory() as tmp:
            app, rec = os.path.join(tmp, "app.py"), os.path.join(tmp, "rec")
            with open(app, "w") as f:
                f.write(SETUP % (text, calls, calls))
            times = [(run([python, app]), run([aipc, "record", "-q", "-o", rec, "--", python, app])) for _ in range(3)]
            plain, recorded = (min(t[i] for t in times) for i in (0, 1))
            print("| %s | %.0f us | %.0f us | %.1f us | %.1f %% |" % (
                name, plain, recorded, recorded - plain, 100 * (recorded - plain) / plain), flush=True)


main()
