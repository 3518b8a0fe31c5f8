"""Seconds until the first training step is done: `etude train`, its frame store present, against `lerobot-train`.

    python benchmarks/first_step.py [--set three-cameras] [--rounds 3] [--device cuda] [--json FILE]

Two measures. "whole": from the start of the process. "set-up": the same without the time in which the main process
imports modules, which both systems spend on much the same libraries; what LeRobot's worker processes import counts,
because the main process waits for them. LeRobot runs with the number of workers that loads fastest, with its default
(4), and with none; ratios are to the first. The systems take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from typing import Any

import lerobot_settings
import options
import policies
import sets
from children import script, started
from lerobot_settings import Setting

COLUMNS = ["set", "system", "whole_s", "set-up_s", "whole ratio", "set-up ratio", "demanded", "met"]
DEMANDED = 2.0  # etude takes at most half the time
DEFAULT_WORKERS = 4  # LeRobot's
STEPS = 100_000


def first_step(trainer: str, flags: list[str]) -> tuple[float, float]:
    """Seconds to the first step of a new process: all of them, and those without imports."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        with started(script("first_step_probe.py", trainer, *flags, f"--output_dir={folder}/run")) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                sys.exit(f"{trainer} took no step")
            found = json.loads(line)
    whole_s = found["done"] - began
    return whole_s, whole_s - found["imports_s"]


def measure(name: str, arguments: Any) -> list[dict[str, Any]]:
    """A row for ours and for each of LeRobot's settings."""
    common = [
        *sets.find(name).flags,
        *policies.flags("act-small", arguments.device),
        f"--batch_size={2 if arguments.quick else arguments.batch_size}",
        f"--steps={STEPS}",
    ]
    best = arguments.lerobot
    if best is None:
        print(f"{name}: LeRobot's best setting", file=sys.stderr, flush=True)
        best = lerobot_settings.best(lerobot_settings.sweep(common, 3.0, quick=arguments.quick))
    systems = _systems(common, best, quick=arguments.quick)
    print(f"{name}: etude once, so that its store is there", file=sys.stderr, flush=True)
    first_step("etude", systems["etude"])
    found: dict[str, list[tuple[float, float]]] = {system: [] for system in systems}
    for number in range(1 if arguments.quick else arguments.rounds):
        for system, flags in systems.items():
            print(f"{name}: round {number + 1}, {system}", file=sys.stderr, flush=True)
            found[system].append(first_step(system.partition(" ")[0], flags))
    return _rows(name, found, f"lerobot {best}")


def _systems(common: list[str], best: Setting, *, quick: bool) -> dict[str, list[str]]:
    """The flags of each command; the first word of its name is the trainer."""
    ours = [*common, "--mlflow.enable=false"]  # lerobot-train tracks nothing either
    systems = {"etude": ours, f"lerobot {best}": [*common, *best.flags]}
    if quick:
        return systems
    for setting in [Setting(best.backend, count) for count in (DEFAULT_WORKERS, 0) if count != best.workers]:
        systems[f"lerobot {setting}"] = [*common, *setting.flags]
    return systems


def _rows(name: str, found: dict[str, list[tuple[float, float]]], best: str) -> list[dict[str, Any]]:
    medians = {
        system: [statistics.median(part) for part in zip(*times, strict=True)] for system, times in found.items()
    }
    rows: list[dict[str, Any]] = []
    for system, (whole_s, setup_s) in medians.items():
        row: dict[str, Any] = {"set": name, "system": system, "whole_s": whole_s, "set-up_s": setup_s}
        if system.startswith("etude"):
            row["whole ratio"] = medians[best][0] / whole_s
            row["set-up ratio"] = medians[best][1] / setup_s
        if system == "etude":
            row |= {"demanded": DEMANDED, "met": row["whole ratio"] >= DEMANDED}
        rows.append({**row, "rounds": found[system]})
    return rows


def main() -> int:
    """Measure; exit code 1 when a first step takes more than half of LeRobot's time."""
    parser = options.parser(__doc__)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = [row for name in arguments.set or sets.NAMES for row in measure(name, arguments)]
    options.print_table(rows, COLUMNS)
    options.write_json(arguments.json, arguments.device, rows)
    return int(not all(row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
