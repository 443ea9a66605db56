# SPDX-License-Identifier: Apache-2.0
"""What recording costs a call, beyond the copies of samples: record.py AIPC [PYTHON]. Prints a table, one line a case.

Each program runs under `aipc record` and calls one model: first 70 times, so that the eight samples are taken, then in
many short blocks by turns with the hook and past it. The least processor time of a block counts, so that start-up and
other processes do not. What the hook costs modules inside of the model (it looks, and goes on) is in both; the last column
tells it."""
import os
import subprocess
import sys
import tempfile

APP = """
import sys, time, torch
torch.set_num_threads(1)
%s
local = sys.modules["aipc.hook"].local
inner = torch.nn.Identity()
def least(so_far, f, n):
    start = time.thread_time_ns()
    for _ in range(n): f(x)
    return min(so_far, (time.thread_time_ns() - start) / n / 1000)
with torch.no_grad():
    for _ in range(70): m(x)
    past = recorded = hooked = bare = 1e9
    for _ in range(300):
        recorded = least(recorded, m, %d)
        local.busy = True
        past, hooked, bare = least(past, m, %d), least(hooked, inner, 20), least(bare, inner._call_impl, 20)
        local.busy = False
print(past, recorded, (hooked - bare) * (len(list(m.modules())) - 1))
"""
CASES = {
    "three layers, 512 to 2048, a batch of 16": (2, """
m = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 512)).eval()
x = torch.rand(16, 512)"""),
    "100 layers of 128, a batch of 16": (2, """
m = torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(100)]).eval()
x = torch.rand(16, 128)"""),
    "a picture of 640 x 640, two convolutions": (1, """
m = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3, 2), torch.nn.Conv2d(32, 32, 3, 2)).eval()
x = torch.rand(1, 3, 640, 640)"""),
}


def main():
    aipc, python = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else sys.executable
    print("| model | a call | recorded | cost | share | modules inside |\n|---|---|---|---|---|---|")
    for name, (calls, text) in CASES.items():
        with tempfile.TemporaryDirectory() as tmp:
            app = os.path.join(tmp, "app.py")
            with open(app, "w") as f:
                f.write(APP % (text, calls, calls))
            out = subprocess.run([aipc, "record", "-q", "-o", os.path.join(tmp, "rec"), "--", python, app], check=True,
                                 stdout=subprocess.PIPE, text=True, env=dict(os.environ, OMP_NUM_THREADS="1")).stdout
            past, recorded, inside = map(float, out.split())
            print("| %s | %.0f us | %.0f us | %.1f us | %.1f %% | %.1f us |" % (
                name, past, recorded, recorded - past, 100 * (recorded - past) / past, inside), flush=True)


main()
