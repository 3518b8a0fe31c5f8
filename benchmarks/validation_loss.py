"""Does a run with every acceleration end where an exact one ends? Validation loss after 2,000 steps.

    python benchmarks/validation_loss.py [--steps 2000] [--seeds 1] [--device cpu|cuda] [--json FILE]

`etude train` twice for each seed on the same episodes: "exact" (LeRobot's own losses bit by bit: float32, nothing
accelerated) and "auto" (bfloat16, compiling and whatever else is measured to be faster). The validation loss of each is
the mean of the run's last three validations.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import options
import policies
import sets
from children import console_script, run

COLUMNS = ["policy", "seed", "exact", "auto", "difference", "demanded", "met", "exact_s", "auto_s"]
DEMANDED = 0.01
EXACT = ["--precision=no", "--compile=off", "--channels_last=off", "--fused_optimizer=off", "--fast_matmul=off"]
AUTO = ["--precision=auto", "--compile=auto"]
VALIDATIONS = 3


def trained(flags: list[str]) -> tuple[float, float]:
    """The validation loss at the end of a run, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "run")
        seconds = run(console_script("etude", "train", *flags, f"--output_dir={root}"))
        records = [json.loads(line)["metrics"] for line in (root / "metrics.jsonl").read_text().splitlines()]
        losses = [metrics["val/loss"] for metrics in records if "val/loss" in metrics]
        return statistics.mean(losses[-VALIDATIONS:]), seconds


def measure(policy: str, seed: int, arguments: Any) -> dict[str, Any]:
    """One row."""
    steps = 40 if arguments.quick else arguments.steps
    data = sets.find("pusht")
    common = [
        f"--dataset.repo_id={data.repo_id}",
        f"--dataset.root={data.root}",
        *policies.flags(policy, arguments.device),
        f"--steps={steps}",
        f"--eval_steps={max(1, steps // 20)}",
        "--max_eval_samples=256",
        f"--seed={seed}",
        "--save_checkpoint=false",
        "--mlflow.enable=false",
    ]
    (exact, exact_s), (auto, auto_s) = trained([*common, *EXACT]), trained([*common, *AUTO])
    difference = abs(auto - exact) / exact
    return {
        "policy": policy,
        "seed": seed,
        "exact": exact,
        "auto": auto,
        "difference": difference,
        "demanded": DEMANDED,
        "met": difference <= DEMANDED,
        "exact_s": exact_s,
        "auto_s": auto_s,
    }


def main() -> int:
    """Train and compare; exit code 1 when a loss differs by more than 1 %."""
    parser = options.parser(__doc__, choose_sets=False)
    parser.add_argument("--policy", default="act-small", choices=sorted(policies.POLICIES))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each kind")
    arguments = parser.parse_args()
    rows = [measure(arguments.policy, 1000 + number, arguments) for number in range(arguments.seeds)]
    options.print_table(rows, COLUMNS)
    options.write_json(arguments.json, arguments.device, rows)
    return 0 if all(row["met"] for row in rows) or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
