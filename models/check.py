# SPDX-License-Identifier: Apache-2.0
"""Deploys every model that is there and writes a table (models/check.sh calls this)."""
import datetime
import glob
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
AIPC = os.path.abspath(os.environ.get("AIPC", os.path.join(ROOT, "build", "aipc")))
TARGET = os.environ.get("TARGET", "htp:sm8650")
LARGE = 200 << 20
LIMIT = float(os.environ.get("SECONDS_EACH", "1800"))
KEPT = os.path.join(os.environ["AIPC_CACHE"], "models-check")
DAY = datetime.date.today().isoformat()
COMMIT = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "-"


def cpu_seconds():
    """Of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def deploy(name, folder):
    """(exit code, (seconds, seconds of processors), report or None, what it said) of the model's one command."""
    meta = json.load(open(os.path.join(folder, "meta.json")))
    out = os.path.join(KEPT, name)
    command = [AIPC, "deploy", "model.onnx", "-t", TARGET, "-q", "-o", out, *meta["deploy"]]
    command += ["--fresh"] * ("FRESH" in os.environ) + ["--no-trace"] * ("TRACE" not in os.environ)
    if os.path.exists(os.path.join(out, "report.json")):
        os.unlink(os.path.join(out, "report.json"))  # another run's
    start, before = time.monotonic(), cpu_seconds()
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        code, said = done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        code, said = None, f"not finished after {LIMIT:.0f} s"
    seconds = time.monotonic() - start, cpu_seconds() - before
    try:
        report = json.load(open(os.path.join(out, "report.json")))
    except FileNotFoundError:
        report = None
    return code, seconds, report, said.strip().splitlines()


def replay(name, folder):
    """What became of the plan when it was applied to the model again: "same", "-" without one, or what differs."""
    out = os.path.join(KEPT, name)
    plans = glob.glob(os.path.join(out, "*", "plan.json"))
    if not plans:
        return "-"
    again = os.path.join(out, "again")
    os.makedirs(again, exist_ok=True)
    made = os.path.join(again, "model.onnx")
    done = subprocess.run([AIPC, "--json", "apply", os.path.join(folder, "model.onnx"), plans[0], "-o", made],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[0]
    digest = hashlib.sha256()
    with open(made, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    size = os.path.getsize(made)
    shutil.rmtree(again)
    want, said = json.load(open(plans[0]))["result"]["sha256"], json.loads(done.stdout)["sha256"]
    # The hash is of the model as it was worked on; large ones have their weights beside them then.
    return "same" if said == want and (digest.hexdigest() == want or size > LARGE) else "other bytes"


def seconds_of(spent, key):
    return f"{spent[key]:.1f} s" if spent else "-"


def row(name, weights, code, seconds, report, said, plan):
    """What is kept of one deployment: {model, verdict, ...} for the table, notes for below it."""
    spent = report["time"] if report else None
    cells = {"model": name, "weights": weights, "verdict": "pass" if code == 0 else "time-out" if code is None else f"fail ({code})",
             "wall": f"{seconds[0]:.1f} s", "cpu": f"{seconds[1]:.1f} s", "aipc": seconds_of(spent, "ours_s"), "vendor": seconds_of(spent, "vendor_s"),
             "oracle": seconds_of(spent, "golden_s"), "plan": plan if plan in ("same", "-") else "differs"}
    notes = [f"its plan: {plan}"] if cells["plan"] == "differs" else []
    if report and report["targets"]:
        t = report["targets"][0]
        place, surgery = t["placement"], t["repairs"] or {}
        if place:
            cells["on the NPU"] = f"{place['on_target']}/{place['total']}"
        cells["on the CPU"] = str(len(surgery.get("cpu") or []))
        needs = surgery.get("needs") or [dict(r, verdict="refused") for r in (place or {}).get("refused") or []]
        for verdict in ("refused", "wrong"):
            cells[verdict] = str(sum(1 for n in needs if (n["verdict"] == "refused") == (verdict == "refused")))
        kinds = {}
        for r in surgery.get("repairs") or []:
            kinds.setdefault((r["op"], "+".join(r["rules"])), []).extend(r["nodes"])
        cells["repairs"] = "; ".join(f"{op}: {rules} ×{len(nodes)}" for (op, rules), nodes in kinds.items()) or "-"
        failed = [g for g in t["gates"] or [] if g["verdict"] == "fail"]
        cells["gates"] = f"{sum(1 for g in t['gates'] or [] if g['verdict'] == 'pass')} pass" + (f", {len(failed)} fail" if failed else "")
        sqnr = [m["sqnr_db"] for m in (t["metrics"] or {}).values()]
        cells["SQNR dB"] = " ".join(f"{s:.1f}" if isinstance(s, float) else str(s) for s in sqnr) or "-"
        notes += [f"{g['output'] or TARGET}: {g['metric']} {g['value']:.4g}, wanted {g['op']} {g['threshold']}" for g in failed]
        notes += [f"{n['op']} {n['node']}: {n['verdict']}: {n['why_not'] or n['reason']}" for n in surgery.get("left") or []]
        notes += [s for s in t["proved"] if "picks rows" in s]
    if code != 0 and not notes:
        notes = said[:3]
    return {"cells": cells, "notes": notes, "when": time.strftime("%H:%M"), "day": DAY, "commit": COMMIT, "load": os.getloadavg()[0]}


COLUMNS = ("model", "weights", "on the NPU", "on the CPU", "refused", "wrong", "repairs", "gates", "SQNR dB", "plan", "wall", "cpu", "aipc", "vendor",
           "oracle", "verdict")
HEAD = """# Real graphs on {target}, {day}

Each by one `aipc deploy` with the options of its meta.json, nothing in the store{fresh}. on the NPU: nodes of the graph that was built;
refused, wrong: nodes before repair. plan: what surgery recorded, applied to the model again. wall: the whole command; cpu: of all its processes, which
other work on the machine changes little. aipc: the part of it in which neither the vendor's library (its emulator)
nor the oracle was at work. vendor, oracle: their calls added up; they overlap. The machine: {cores} processors, load {load}.
"""


def table(rows):
    lines = ["| " + " | ".join(COLUMNS) + " | at |", "|" + "---|" * (len(COLUMNS) + 1)]
    lines += ["| " + " | ".join(r["cells"].get(c, "-") for c in COLUMNS) + f" | {r['when']} {r['commit']} |" for r in rows]
    notes = [f"- {r['cells']['model']}: {n}" for r in rows for n in r["notes"]]
    return "\n".join(lines + ([""] + notes if notes else [])) + "\n"


def write_table(known):
    """The table of all that was measured today."""
    rows = []
    for name in known:
        try:
            r = json.load(open(os.path.join(KEPT, name, "row.json")))
        except FileNotFoundError:
            continue
        if r["day"] == DAY:
            rows.append(r)
    path = os.path.join(ROOT, "bench", "results", f"models-{DAY}.md")
    loads = [r["load"] for r in rows]
    with open(path, "w") as f:
        f.write(HEAD.format(target=TARGET, day=DAY, fresh="" if "FRESH" in os.environ else " unless an earlier run put it there",
                            cores=os.cpu_count(), load=f"{min(loads):.0f} to {max(loads):.0f}") + "\n" + table(rows))
        absent = [n for n in known if n not in [r["cells"]["model"] for r in rows]]
        if absent:
            f.write("\nNot measured: " + ", ".join(absent) + ".\n")
    return path


def main(args):
    top = os.path.join(os.environ["AIPC_DATA"], "models")
    known = {e["name"]: e for e in json.load(open(os.path.join(HERE, "models.json")))["models"]}
    unknown = [a for a in args if a not in known]
    if unknown:
        print(f"no model is named {unknown[0]}; there are {' '.join(known)}", file=sys.stderr)
        return 2
    failed = 0
    for name in args or known:
        folder = os.path.join(top, name)
        if not os.path.exists(os.path.join(folder, "meta.json")):
            print(f"skipped: data not here: {name}: models/fetch.sh {name}", flush=True)
            continue
        r = row(name, known[name]["weights"], *deploy(name, folder), replay(name, folder))
        os.makedirs(os.path.join(KEPT, name), exist_ok=True)
        with open(os.path.join(KEPT, name, "row.json"), "w") as f:
            json.dump(r, f)
        failed += r["cells"]["verdict"] != "pass" or r["cells"]["plan"] == "differs"
        print(" | ".join(r["cells"].get(c, "-") for c in COLUMNS), *r["notes"], sep="\n  ", flush=True)
        print(write_table(known), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
