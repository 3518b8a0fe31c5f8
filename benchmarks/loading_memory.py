"""Peak memory of a short training run, page cache apart: `etude train` against `lerobot-train`.

    python benchmarks/loading_memory.py [--set cr5] [--steps 5] [--device cuda] [--json FILE]

Both train a small ACT with the same flags, the store of ours present; LeRobot with the number of workers that loads
fastest. Memory is anonymous and shared memory of the process and all its children; "proportional" splits what
several of them share. "first run" is ours while it builds the store. The systems take turns.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from typing import Any

import lerobot_settings
import options
import policies
import sets
from children import console_script, started
from lerobot_settings import Setting
from process_memory import MemoryWatch, Peak

COLUMNS = ["set", "system", "peak_mib", "proportional_mib", "processes", "ratio", "met"]


def peak_of(command: list[str]) -> Peak:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory() as folder, started([*command, f"--output_dir={folder}/run"]) as process:
        with MemoryWatch(process.pid) as watch:
            process.communicate()
        if process.returncode != 0:
            sys.exit(f"exit code {process.returncode}: {' '.join(command[:2])} …")
    return watch.peak


def measure(name: str, arguments: Any) -> list[dict[str, Any]]:
    """A row for each system."""
    common = [
        *sets.find(name).flags,
        *policies.flags("act-small", arguments.device),
        f"--steps={2 if arguments.quick else arguments.steps}",
        f"--batch_size={2 if arguments.quick else arguments.batch_size}",
        "--save_checkpoint=false",
    ]
    # So short a run would not choose a store by itself; and lerobot-train tracks nothing either.
    etude = console_script("etude", "train", *common, f"--frames.store={arguments.store}", "--mlflow.enable=false")
    best: Setting | None = arguments.lerobot
    if best is None:
        print(f"{name}: LeRobot's best setting", file=sys.stderr, flush=True)
        best = lerobot_settings.best(lerobot_settings.sweep(common, 3.0, quick=arguments.quick))
    lerobot = console_script("lerobot-train", *common, *best.flags)
    shutil.rmtree(sets.CACHE / "frames", ignore_errors=True)
    found: dict[str, list[Peak]] = {"etude, first run": [peak_of(etude)], "etude": [], f"lerobot {best}": []}
    for number in range(1 if arguments.quick else arguments.rounds):
        print(f"{name}: round {number + 1}", file=sys.stderr, flush=True)
        found["etude"].append(peak_of(etude))
        found[f"lerobot {best}"].append(peak_of(lerobot))
    return _rows(name, found, f"lerobot {best}")


def _rows(name: str, found: dict[str, list[Peak]], lerobot: str) -> list[dict[str, Any]]:
    rows = []
    theirs = statistics.median(peak.proportional for peak in found[lerobot])
    for system, peaks in found.items():
        proportional = statistics.median(peak.proportional for peak in peaks)
        row: dict[str, Any] = {
            "set": name,
            "system": system,
            "peak_mib": statistics.median(peak.resident for peak in peaks),
            "proportional_mib": proportional,
            "processes": max(peak.processes for peak in peaks),
        }
        if system != lerobot:
            row |= {"ratio": proportional / theirs, "met": proportional <= theirs}
        rows.append(row)
    return rows


def main() -> int:
    """Measure; exit code 1 when ours takes more than LeRobot's."""
    parser = options.parser(__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", default="raw", help="form of the frame store (raw)")
    arguments = parser.parse_args()
    rows = [row for name in arguments.set or sets.NAMES for row in measure(name, arguments)]
    options.print_table(rows, COLUMNS)
    options.write_json(arguments.json, arguments.device, rows)
    return int(not all(row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
