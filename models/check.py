# SPDX-License-Identifier: Apache-2.0
"""Deploys every model that is there and writes a table (models/check.sh calls this)."""
import datetime
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
AIPC = os.path.abspath(os.environ.get("AIPC", os.path.join(ROOT, "build", "aipc")))
TARGET = os.environ.get("TARGET", "htp:sm8650")
LIMIT = float(os.environ.get("SECONDS_EACH", "1800"))


def deploy(name, folder):
    """(exit code, seconds, report or None) of the model's one command."""
    meta = json.load(open(os.path.join(folder, "meta.json")))
    out = os.path.join(os.environ["AIPC_CACHE"], "models-check", name)
    command = [AIPC, "deploy", "model.onnx", "-t", TARGET, "-q", "-o", out, *meta["deploy"]]
    command += ["--fresh"] * ("FRESH" in os.environ) + ["--no-trace"] * ("TRACE" not in os.environ)
    if os.path.exists(os.path.join(out, "report.json")):
        os.unlink(os.path.join(out, "report.json"))  # another run's
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        code, said = done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        code, said = None, f"not finished after {LIMIT:.0f} s"
    seconds = time.monotonic() - start
    try:
        report = json.load(open(os.path.join(out, "report.json")))
    except FileNotFoundError:
        report = None
    return code, seconds, report, said.strip().splitlines()


def replay(name, folder):
    """What became of the plan when it was applied to the model again: "same", "-" without one, or what differs."""
    out = os.path.join(os.environ["AIPC_CACHE"], "models-check", name)
    plans = glob.glob(os.path.join(out, "*", "plan.json"))
    if not plans:
        return "-"
    again = os.path.join(out, "again")
    os.makedirs(again, exist_ok=True)
    made = os.path.join(again, "model.onnx")
    done = subprocess.run([AIPC, "apply", os.path.join(folder, "model.onnx"), plans[0], "-o", made],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[0]
    digest = hashlib.sha256()
    with open(made, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    shutil.rmtree(again)
    return "same" if digest.hexdigest() == json.load(open(plans[0]))["result"]["sha256"] else "other bytes"


def row(name, weights, code, seconds, report, said, plan):
    cells = {"model": name, "weights": weights, "verdict": "pass" if code == 0 else "time-out" if code is None else f"fail ({code})",
             "wall": f"{seconds:.1f} s", "plan": plan if plan in ("same", "-") else "differs"}
    notes = [f"its plan: {plan}"] if cells["plan"] == "differs" else []
    if report and report["targets"]:
        t = report["targets"][0]
        place = t["placement"]
        if place:
            cells["nodes"] = f"{place['on_target']}/{place['total']}"
        repairs = t.get("repairs") or {}
        needs = repairs.get("needs") or []
        if not needs and place:  # no repair was looked for
            needs = [dict(r, verdict="refused") for r in place["refused"]]
        for verdict in ("refused", "wrong"):
            cells[verdict] = str(sum(1 for n in needs if (n.get("verdict") == "refused") == (verdict == "refused")))
        done = repairs.get("repairs") or []
        cells["repairs"] = "; ".join(f"{'+'.join(r['rules'])} x{len(r['nodes'])}" for r in done) or "-"
        failed = [g for g in t["gates"] or [] if g["verdict"] == "fail"]
        cells["gates"] = f"{sum(1 for g in t['gates'] or [] if g['verdict'] == 'pass')} pass" + (f", {len(failed)} fail" if failed else "")
        sqnr = [m["sqnr_db"] for m in (t["metrics"] or {}).values()]
        cells["SQNR dB"] = " ".join(f"{s:.1f}" if isinstance(s, float) else str(s) for s in sqnr) or "-"
        spent = report["time"]
        whole = spent["ours_s"] + spent["vendor_s"] + spent["golden_s"]
        cells["vendor"] = f"{100 * spent['vendor_s'] / whole:.0f} %" if whole else "-"
        notes += [f"{g['output'] or TARGET}: {g['metric']} {g['value']:.4g}, wanted {g['op']} {g['threshold']}" for g in failed]
        notes += [f"left: {n['node']} ({n['op']}): {n['reason']}" for n in repairs.get("left") or []]
    if code != 0 and not notes:
        notes = said[:3]
    return cells, notes


COLUMNS = ("model", "weights", "nodes", "refused", "wrong", "repairs", "gates", "SQNR dB", "plan", "wall", "vendor", "verdict")


def table(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for cells, _ in rows:
        lines.append("| " + " | ".join(cells.get(c, "-") for c in COLUMNS) + " |")
    notes = [f"- {cells['model']}: {n}" for cells, some in rows for n in some]
    return "\n".join(lines + ([""] + notes if notes else []))


def main(args):
    top = os.path.join(os.environ["AIPC_DATA"], "models")
    known = {e["name"]: e for e in json.load(open(os.path.join(HERE, "models.json")))["models"]}
    unknown = [a for a in args if a not in known]
    if unknown:
        print(f"no model is named {unknown[0]}; there are {' '.join(known)}", file=sys.stderr)
        return 2
    rows, absent = [], []
    for name in args or known:
        folder = os.path.join(top, name)
        if not os.path.exists(os.path.join(folder, "meta.json")):
            absent.append(name)
            print(f"skipped: data not here: {name}: models/fetch.sh {name}", flush=True)
            continue
        rows.append(row(name, known[name]["weights"], *deploy(name, folder), replay(name, folder)))
        print(" | ".join(rows[-1][0].get(c, "-") for c in COLUMNS), flush=True)
    day = datetime.date.today().isoformat()
    path = os.path.join(ROOT, "bench", "results", f"models-{day}.md")
    if rows:
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        head = [f"# Real graphs on {TARGET}, {day}, commit {commit or '-'}", "",
                "Each by one `aipc deploy` with the options of its meta.json" + (", nothing from the store" if "FRESH" in os.environ else "")
                + ". refused, wrong: nodes before repair. plan: what surgery recorded, applied to the model again. vendor: share of the time that is the vendor's library.", ""]
        text = "\n".join(head) + table(rows) + "\n"
        if absent:
            text += "\nNot here: " + ", ".join(absent) + ".\n"
        with open(path, "w") as f:
            f.write(text)
        print(path)
    return 1 if any(cells["verdict"] != "pass" or cells["plan"] == "differs" for cells, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
