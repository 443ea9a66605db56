# SPDX-License-Identifier: Apache-2.0
"""Every program of `aipc new`, from the app to the verified artifact, with no question asked (bench/apps.sh calls this).

For each: the program alone, record, deploy, exec, verify; wall seconds of each, of the deployments the share that is
aipc's own, the vendor's and the golden run's, and the verdicts. The paper's minutes stand beside them (wall clock of an
agent with the vendor's tools on a laptop with the real chip, arXiv 2604.14661, its tables; the best of each model).
A row is kept as APPS/NAME.json when it is done; the table holds the rows there are."""
import datetime
import glob
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
LIMIT = float(os.environ.get("SECONDS_EACH", "3600"))
PYTHON = os.environ.get("PYTHON", os.path.join(ROOT, ".deps", "venv", "bin", "python"))
PAPER = {"realesrgan": 7, "yolov8s": 6, "yolov8n": 6, "lprnet": 8, "yolo26n": 12, "yolo-world": 25}
# Arguments of one step alone, that make a row affordable on an emulator or show more.
MORE = {"lprnet": {"exec": ["--count", "20"], "verify": ["--count", os.environ.get("PLATES", "300")]},
        "whisper-tiny.en": {"verify": ["--librivox"]}, "whisper-base": {"verify": ["--librivox"]}}
COLUMNS = ("app", "weights", "plain", "record", "deploy", "export", "ours", "vendor", "golden", "emulator", "artifacts", "to artifact", "each", "CPU",
           "paper", "exec", "served", "verify", "task", "verdict")
PARTS = (("export", "export_s"), ("ours", "ours_s"), ("vendor", "vendor_s"), ("golden", "golden_s"), ("emulator", "runs_s"))
ABOUT = """`bench/apps.sh`: for every program of `aipc new`: itself, `aipc record`, `aipc deploy` of the recording, `aipc exec`, `aipc verify`;
wall time on two processor cores shared with other work; CPU is what record and deploy used of them, which others cannot change.
export, ours, vendor, golden: seconds inside deploy (what the framework exports, aipc, the vendor's library, the golden runs), workers side by side counted each.
emulator: of the wall, when artifacts ran on the vendor's emulator and nothing else happened: a device does it in milliseconds. to artifact: record and deploy without
that, all artifacts of the row together (one for each model and shape of its input); each: by their number, the paper's minutes are for one.
served: calls answered by the artifact. verify: with --repair, which deploys again when the program does not do the same. task: what the program printed and wrote, plain against served (by the task named when it was recorded), and its
value. paper: the best wall clock the paper gives for that model, with the device at hand (arXiv 2604.14661).
Weights: real, or seeded random where none can be had. No intervention, no question, no cost of an API.""".replace("\n", " ")


def used():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def call(command, folder, out, log):
    """(exit code, seconds, CPU seconds) of one command; its result goes to `out`, what else it says to the log."""
    log.write(f"\n$ {' '.join(command)}\n")
    log.flush()
    start, before = time.monotonic(), used()
    try:
        code = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                              timeout=LIMIT).returncode
    except subprocess.TimeoutExpired:
        code = "time-out"
    return code, time.monotonic() - start, used() - before


def served(path):
    """"12/12": what exec's line on stderr says; "-" when it says nothing."""
    for line in reversed(open(path, errors="replace").read().splitlines()):
        words = line.replace(",", " ").split()
        if "served" in words and "of" in words[words.index("served"):]:
            at = words.index("of", words.index("served"))
            return f"{words[at - 1]}/{words[at + 1]}"
    return "-"


def verified(path):
    """("psnr_db 58.1", the gates that failed, what was mended) of a document of verify: the worst gate at the program's end."""
    try:
        doc = json.load(open(path))
    except ValueError:
        return "-", [], None
    end = [g for g in doc.get("end", []) if g["what"] != "exit code"]
    # What failed first, then what a task of its own measured, then texts that are equal.
    end.sort(key=lambda g: (g["verdict"] != "fail", g["metric"] == "difference", g["value"] if isinstance(g["value"], (int, float)) else 1e9))
    gates = [dict(g, what=f"{c['name']} {o['name']}") for c in doc.get("calls", []) for o in c["outputs"] for g in o["gates"]]
    bad = [f"{g['what']}: {g['metric']} {g['value']} {g['op']} {g['threshold']}" for g in gates + end if g["verdict"] == "fail"]
    value = end[0]["value"] if end else 0
    repair = doc.get("repair") or {}
    first = [f"{g['what']}: {g['note']}" for g in repair.get("first", {}).get("end", []) if g["verdict"] == "fail"]
    mended = f"deployed again by verify --repair, before that {'; '.join(first)}" if repair.get("deployed") else None
    return f"{end[0]['metric']} {round(value, 3) if isinstance(value, float) else value}" if end else "-", bad, mended


def one(example, top):
    folder = os.path.join(top, example["name"])
    shutil.rmtree(folder, ignore_errors=True)
    cells = {"app": example["name"], "weights": example["weights"]}
    if example["name"] in PAPER:
        cells["paper"] = f"{PAPER[example['name']]} min"
    given = example.get("given", [])
    if given:
        mine = os.environ.get("LPRNET_DATA")  # a folder with lprnet.pth, classes.txt, plates/
        if not mine:
            print(f"skipped: data not here: {example['name']}: LPRNET_DATA", flush=True)
            return None
        given = ["--weights", f"{mine}/lprnet.pth", "--classes", f"{mine}/classes.txt", "--plates", f"{mine}/plates"]
    program = [PYTHON, "-W", "ignore", "app.py", *example["args"], *given]
    steps = [("new", [AIPC, "new", example["name"], "-o", folder]), ("plain", program),
             ("record", [AIPC, "record", "--task", example["task"], "-o", "rec", "--", *program]),
             ("deploy", [AIPC, "deploy", "rec", "--target", TARGET, "-o", "out", "--no-trace", "--fresh", "-q"]),
             ("exec", [AIPC, "exec", "--target", TARGET, "--artifacts", "out", "--", *program]),
             ("verify", [AIPC, "verify", "--target", TARGET, "--artifacts", "out", "--repair", "--json", "--", *program])]
    os.makedirs(top, exist_ok=True)
    if example["name"] in MORE:
        cells["more"] = "; ".join(f"{step} {' '.join(args)}" for step, args in MORE[example["name"]].items())
    cells["verdict"] = "pass"
    spent = dict.fromkeys(("record", "deploy"), (0.0, 0.0))
    for name, command in steps:
        path = os.path.join(top, f"{example['name']}.{name}.log")
        with open(path, "w") as log, open(path[:-4] + ".out", "w") as out:
            code, *spent[name] = call([*command, *MORE.get(example["name"], {}).get(name, [])], folder if os.path.isdir(folder) else top, out, log)
        seconds = spent[name][0]
        if name != "new":
            cells[name] = f"{seconds:.1f} s"
        if name == "deploy" and code == 0:
            took = json.load(open(os.path.join(folder, "out", "index.json")))["time"]
            made = len(glob.glob(os.path.join(folder, "out", "**", "manifest.json"), recursive=True))
            rest = spent["record"][0] + seconds - took["runs_s"]
            cells.update({part: f"{took[k]:.1f} s" for part, k in PARTS})
            cells.update({"artifacts": str(made), "to artifact": f"{rest:.1f} s", "each": f"{rest / made:.1f} s"})
            cells["CPU"] = f"{spent['record'][1] + spent['deploy'][1]:.1f} s"
        if name == "exec":
            cells["served"] = served(path)
        if name == "verify":
            cells["task"], bad, mended = verified(path[:-4] + ".out")
            if mended:
                cells["note"] = mended
        if code != 0:
            cells["verdict"] = f"{name}: {code}"
            with open(path, errors="replace") as log:
                tail = [line for line in log.read().splitlines() if line.strip() and not line.startswith("$ ")][-6:]
            cells["note"] = "; ".join(([cells["note"]] if "note" in cells else []) + (bad if name == "verify" and bad else tail))[:500]
            break
    return cells


def write_table(table, rows):
    day = datetime.date.today().isoformat()
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines = [f"# From the app to the device: {TARGET}, {day}, commit {commit or '-'}", "", ABOUT, "",
             "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(r.get(c, "-") for c in COLUMNS) + " |" for r in rows]
    said = {r["app"]: "; ".join(p for p in r.get("note", "").split("; ") if not p.startswith("$ ")) for r in rows}
    lines += [""] + [f"- {app}: {text}" for app, text in said.items() if text]
    fewer = "; ".join(f"{r['app']} {r['more']}" for r in rows if "more" in r)
    lines += ["", f"One step alone got: {fewer}."] if fewer else []
    missing = [e["name"] for e in table if e["name"] not in {r["app"] for r in rows}]
    lines += ["", f"Not measured: {', '.join(missing)}."] if missing else []
    older = [r["app"] for r in rows if "export" not in r and "emulator" in r]
    if older:
        lines += ["", f"Measured before deployments kept that account: {', '.join(older)}. Their emulator is the sum of runs side by side, their time to the "
                      "artifact the sum of all other stages, of which some ran side by side; beside other work on the machine."]
    lines += ["", f"Load of the machine at the end: {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores."]
    path = os.path.join(HERE, "results", f"apps-{day}.md")
    with open(path, "w") as f:
        f.write("\n".join(lines).rstrip() + "\n")
    print(path)


def main(names):
    table = json.load(open(os.path.join(ROOT, "data", "examples.json")))["examples"]
    only_table = names == ["--table"]
    unknown = set() if only_table else set(names) - {e["name"] for e in table}
    if unknown:
        print(f"no example is named {sorted(unknown)[0]}; 'aipc new' lists them", file=sys.stderr)
        return 2
    top = os.path.join(os.environ["AIPC_CACHE"], "apps")
    for example in table if not only_table else ():
        if names and example["name"] not in names:
            continue
        cells = one(example, top)
        if cells:
            with open(os.path.join(top, f"{example['name']}.json"), "w") as f:
                json.dump(cells, f)
            print(" | ".join(cells.get(c, "-") for c in COLUMNS) + ("  " + cells["note"] if "note" in cells else ""), flush=True)
    rows = []
    for example in table:
        path = os.path.join(top, f"{example['name']}.json")
        if os.path.exists(path):
            rows.append(json.load(open(path)))
    if rows:
        write_table(table, rows)
    return 1 if any(r["verdict"] != "pass" for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
