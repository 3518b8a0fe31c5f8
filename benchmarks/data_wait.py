"""Share of the step's time spent waiting for data: three cameras 480x640, batch 64.

    python benchmarks/data_wait.py [--policy act] [--steps 12] [--device cuda] [--json FILE]

Ours is `train/data_wait_share`, the run's own metric, with the frame store that it chooses by itself; LeRobot's is
measured around its `next(batch)`, with the number of workers that loads fastest. The first steps, in which both fill
their queues, are left out. On a CPU the policy is a small diffusion policy that crops first: its step is short, so
the data must be quick; a step of ACT there takes minutes and would hide any wait. On a GPU it is ACT as it comes.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import lerobot_settings
import options
import policies
import sets
from children import console_script, run, script
from lerobot_settings import Setting

COLUMNS = ["policy", "batch", "system", "wait share", "step_s", "demanded", "met"]
DEMANDED = 0.02
SKIPPED = 2  # first steps
POLICY = {"cpu": "diffusion-small", "cuda": "act"}


def etude_shares(flags: list[str], store: str, folder: Path) -> tuple[float, float]:
    """Share of waiting, and seconds a step, of `etude train`."""
    target = folder / "etude"
    ours = [f"--frames.store={store}", "--mlflow.enable=false", "--log_freq=1", f"--output_dir={target}"]
    run(console_script("etude", "train", *flags, *ours))
    batch_size = next(int(flag.partition("=")[2]) for flag in flags if flag.startswith("--batch_size="))
    points = [json.loads(line)["metrics"] for line in (target / "metrics.jsonl").read_text().splitlines()]
    points = [point for point in points if "train/data_wait_share" in point][SKIPPED:]
    seconds = [batch_size / point["train/samples_per_s"] for point in points]
    waited = [point["train/data_wait_share"] * step_s for point, step_s in zip(points, seconds, strict=True)]
    return sum(waited) / sum(seconds), statistics.median(seconds)


def lerobot_shares(flags: list[str], setting: Setting, folder: Path) -> tuple[float, float]:
    """Share of waiting, and seconds a step, of `lerobot-train`."""
    out = folder / "lerobot.json"
    run(script("lerobot_waits.py", str(out), *flags, *setting.flags, f"--output_dir={folder / 'lerobot'}"))
    found = json.loads(out.read_text())
    waited, seconds = found["waited_s"][SKIPPED:], found["step_s"][SKIPPED:]
    return sum(waited) / sum(seconds), statistics.median(seconds)


def measure(arguments: Any) -> list[dict[str, Any]]:
    """A row for each system."""
    policy = arguments.policy or POLICY[arguments.device]
    batch_size = 4 if arguments.quick else arguments.batch_size
    common = [
        *sets.find("three-cameras").flags,
        *policies.flags(policy, arguments.device),
        f"--steps={SKIPPED + (2 if arguments.quick else arguments.steps)}",
        f"--batch_size={batch_size}",
        "--save_checkpoint=false",
    ]
    setting = arguments.lerobot
    if setting is None:
        print("LeRobot's best setting", file=sys.stderr, flush=True)
        setting = lerobot_settings.best(lerobot_settings.sweep(common, 3.0, quick=arguments.quick))
    found: dict[str, list[tuple[float, float]]] = {f"etude, {arguments.store}": [], f"lerobot {setting}": []}
    for number in range(1 if arguments.quick else arguments.rounds):
        print(f"round {number + 1}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found[f"lerobot {setting}"].append(lerobot_shares(common, setting, Path(folder)))
            found[f"etude, {arguments.store}"].append(etude_shares(common, arguments.store, Path(folder)))
    rows: list[dict[str, Any]] = []
    for system, pairs in found.items():
        share, step_s = (statistics.median(part) for part in zip(*pairs, strict=True))
        row: dict[str, Any] = {"policy": policy, "batch": batch_size, "system": system, "rounds": pairs}
        row |= {"wait share": share, "step_s": step_s}
        if system.startswith("etude"):
            row |= {"demanded": DEMANDED, "met": share < DEMANDED}
        rows.append(row)
    return rows


def main() -> int:
    """Measure; exit code 1 when ours waits for more than 2 % of a step."""
    parser = options.parser(__doc__, choose_sets=False)
    parser.add_argument("--policy", choices=sorted(policies.POLICIES))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", default="auto", help="form of the frame store (auto)")
    arguments = parser.parse_args()
    rows = measure(arguments)
    options.print_table(rows, COLUMNS)
    options.write_json(arguments.json, arguments.device, rows)
    return int(not all(row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
