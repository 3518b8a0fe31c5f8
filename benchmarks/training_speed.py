"""Training steps a second of `etude train` against `lerobot-train` at its best number of workers.

    python benchmarks/training_speed.py [--policy NAME] [--auto] [--device cpu|cuda] [--quick] [--json FILE]

Both trainers run at the same time and are let go in turns, some steps each. Without --auto nothing but rounding may
differ: float32 weights, activations and products, no compiling; the first losses are compared. With --auto, `etude`
chooses by its own measurements, bfloat16 and torch.compile among them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import options
import policies
import sets
from lerobot_settings import Setting, worker_counts
from stepping import SteppingTrainer

WARM_STEPS = 3
ROUNDS = 6
COLUMNS = (
    "policy", "set", "batch", "lerobot", "lerobot step s", "etude step s", "ratio", "demanded",
    "losses differ at 20", "losses differ at 50",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        demanded: the ratio to reach, without and with --auto, on a CPU.
        steps: taken in a turn.
        compared: first losses that are compared.
    """

    policy: str
    set_name: str
    batch: int
    demanded: tuple[float, float]
    steps: int
    compared: int = 50


ON_CPU = (
    Case("act-small", "pusht", 8, (1.15, 1.6), 12),
    Case("act", "three-cameras", 2, (1.1, 1.6), 2, compared=20),
    Case("diffusion", "pusht", 8, (1.3, 1.6), 2, compared=20),
)
ON_CUDA = tuple(
    Case(policy, name, batch, (2.0, 4.0), 40)
    for policy, name in (("act-small", "pusht"), ("act", "three-cameras"), ("diffusion", "pusht"))
    for batch in (8, 64)
)
OWN = ["--mlflow.enable=false", "--data_check=off"]
EXACT = ["--precision=no", "--compile=off"]
EVERYTHING = ["--precision=auto", "--compile=auto"]


def main() -> None:
    """Measure every case and print the table."""
    parser = options.parser(__doc__, choose_sets=False)
    parser.add_argument("--policy", action="append", choices=sorted({case.policy for case in ON_CPU}))
    parser.add_argument("--auto", action="store_true", help="let etude use bfloat16 and torch.compile, too")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each trainer")
    args = parser.parse_args()
    rows = []
    for case in ON_CUDA if args.device == "cuda" else ON_CPU:
        if not args.policy or case.policy in args.policy:
            rows.append(measure(case, args))
            options.print_table(rows[-1:], COLUMNS)
    print()
    options.print_table(rows, COLUMNS)
    options.write_json(args.json, args.device, rows)


def measure(case: Case, args: Any) -> dict[str, Any]:
    """One row of the table."""
    rounds = 1 if args.quick else args.rounds
    setting = args.lerobot or best_setting(case, args)
    with tempfile.TemporaryDirectory() as folder:
        theirs_flags = [*common(case, args.device, Path(folder, "lerobot")), *setting.flags]
        ours_flags = [*common(case, args.device, Path(folder, "etude")), *OWN, *(EVERYTHING if args.auto else EXACT)]
        with SteppingTrainer("lerobot", theirs_flags) as theirs, SteppingTrainer("etude", ours_flags) as ours:
            for trainer in (theirs, ours):
                trainer.advance(WARM_STEPS)
            seconds: dict[str, list[float]] = {"lerobot": [], "etude": []}
            for _ in range(rounds):
                seconds["lerobot"] += theirs.advance(case.steps)
                seconds["etude"] += ours.advance(case.steps)
            if not args.quick:
                for trainer in (theirs, ours):
                    trainer.advance(max(0, case.compared - trainer.steps))
    lerobot_s, etude_s = (statistics.median(seconds[name]) for name in ("lerobot", "etude"))
    return {
        "policy": case.policy,
        "set": case.set_name,
        "batch": case.batch,
        "lerobot": str(setting),
        "lerobot step s": lerobot_s,
        "etude step s": etude_s,
        "ratio": lerobot_s / etude_s,
        "demanded": case.demanded[1 if args.auto else 0],
        "losses differ at 20": difference(theirs.losses[:20], ours.losses[:20]),
        "losses differ at 50": difference(theirs.losses, ours.losses) if case.compared == 50 else None,
        "accelerations": ours.about,
        "seconds": seconds,
    }


def best_setting(case: Case, args: Any) -> Setting:
    """LeRobot's fastest number of workers for this training, found by training."""
    found: dict[Setting, float] = {}
    for workers in worker_counts(quick=args.quick or case.steps < 10):
        setting = Setting("torchcodec", workers)
        with tempfile.TemporaryDirectory() as folder:
            flags = [*common(case, args.device, Path(folder, "lerobot")), *setting.flags]
            try:
                with SteppingTrainer("lerobot", flags) as trainer:
                    trainer.advance(WARM_STEPS)
                    found[setting] = statistics.median(trainer.advance(2 * case.steps))
            except ChildProcessError:
                print(f"  lerobot {setting}: fails", file=sys.stderr, flush=True)
                continue
        print(f"  lerobot {setting}: {found[setting]:.3g} s a step", file=sys.stderr, flush=True)
    return min(found, key=lambda setting: found[setting])


def common(case: Case, device: str, folder: Path) -> list[str]:
    """Flags that both trainers take."""
    return [
        *sets.find(case.set_name).flags,
        *policies.flags(case.policy, device),
        f"--batch_size={case.batch}",
        f"--output_dir={folder}",
        "--steps=100000",
        "--save_checkpoint=false",
        "--seed=1000",
    ]


def difference(theirs: list[float], ours: list[float]) -> float | None:
    """The largest relative difference of two lists of losses."""
    pairs = list(zip(theirs, ours, strict=False))
    return max(abs(one - other) / abs(one) for one, other in pairs) if pairs else None


if __name__ == "__main__":
    main()
