"""Is a run that was killed again and again the same run in the end?

    python benchmarks/kill_and_resume.py [--kills 20] [--set recorded|pusht] [--seed 0] [--json FILE]

Trains once without a stop. Trains again with the same flags, killing the process with SIGKILL at a random moment
(anywhere between its start and its end, also while it loads data or writes a checkpoint) and resuming it, until it
has been killed `--kills` times; then lets it finish. Compares the weights byte for byte and the metric curves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("ETUDE_TEST_DATA", HERE.parents[1] / "shared" / "data"))

POLICY = [
    "--policy.type=act",
    "--policy.device=cpu",
    "--policy.chunk_size=10",
    "--policy.n_action_steps=10",
    "--policy.dim_model=32",
    "--policy.n_heads=2",
    "--policy.dim_feedforward=64",
    "--policy.n_encoder_layers=1",
    "--policy.n_vae_encoder_layers=1",
    "--policy.latent_dim=4",
    "--policy.optimizer_lr=1e-3",
    "--batch_size=8",
    "--checkpoint.keep_last=3",
    "--mlflow.enable=false",
]
# (flags, steps): demonstrations recorded here, without cameras; or PushT, with its camera, at some ten times the cost.
SETS = {
    "recorded": (["--save_freq=100", "--eval_steps=330", "--max_eval_samples=64", "--log_freq=33"], 3000),
    "pusht": (
        [
            f"--dataset.root={DATA / 'pusht-human'}",
            "--dataset.episodes=[0,1,2,3,4,5]",
            "--policy.pretrained_backbone_weights=null",
            "--save_freq=15",
            "--eval_steps=50",
            "--max_eval_samples=16",
            "--log_freq=7",
        ],
        300,
    ),
}
TIMED = ("samples_per_s", "data_wait_share", "device_busy_share")


def command(run: Path, flags: list[str]) -> list[str]:
    """Start the run, or continue it where its folder holds one."""
    start = [sys.executable, "-m", "etude.cli", "train"]
    if (run / "run.json").exists():
        return [*start, "--resume", str(run)]
    return [*start, *flags, f"--output_dir={run}"]


def record(folder: Path) -> list[str]:
    """Record demonstrations to train on; returns the flag that names them."""
    root = folder / "data"
    task = ["--env.type=metaworld", "--env.task=drawer-open-v3", "--episodes=6", "--no-camera"]
    subprocess.run(
        [sys.executable, "-m", "etude.cli", "data", "record", *task, f"--root={root}"],
        check=True,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    return [f"--dataset.root={root}"]


def run_to_end(run: Path, flags: list[str]) -> tuple[float, float]:
    """Let the run finish; returns the seconds until its first point was logged, and those until its end."""
    began, first = time.monotonic(), 0.0
    with open(run.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(command(run, flags), stdout=log, stderr=log, env=environment())
        while process.poll() is None:
            time.sleep(0.1)
            if not first and (run / "metrics.jsonl").exists():
                first = time.monotonic() - began
    if process.returncode != 0:
        sys.exit(f"the run failed:\n{tail(run.with_suffix('.log'))}")
    return first, time.monotonic() - began


def run_and_kill(run: Path, flags: list[str], after_s: float) -> bool:
    """Kill the run `after_s` seconds after its start; False when it had ended by itself."""
    log = open(run.with_suffix(".log"), "ab")  # noqa: SIM115  handed to the child
    process = subprocess.Popen(command(run, flags), stdout=log, stderr=log, env=environment())
    try:
        if process.wait(timeout=after_s) != 0:
            sys.exit(f"the run failed by itself; see {run.with_suffix('.log')}:\n{tail(run.with_suffix('.log'))}")
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    finally:
        log.close()


def tail(path: Path) -> str:
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-30:])


def environment() -> dict[str, str]:
    """One thread, so that sums are done in the same order; no network."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def weights(run: Path) -> str:
    """Hash of the final weights."""
    file = run / "checkpoints" / "last" / "pretrained_model" / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def curves(run: Path) -> list[tuple[int, dict[str, float]]]:
    """Every logged point, without what a clock measured."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        (record["step"], {k: v for k, v in record["metrics"].items() if not k.endswith(TIMED)})
        for record in records
        if not any(name.startswith("system/") for name in record["metrics"])
    ]


def main() -> int:
    """Run the experiment; exit code 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--set", choices=sorted(SETS), default="recorded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        extra, steps = SETS[arguments.set]
        data = record(Path(folder)) if arguments.set == "recorded" else []
        flags = [*POLICY, *extra, *data, f"--steps={steps}"]
        start_s, length_s = run_to_end(whole, flags)
        print(f"without a stop: {length_s:.0f} s, of which {start_s:.0f} s to the first point", flush=True)
        longest_s = start_s + 3 * (length_s - start_s) / arguments.kills
        kills, same = 0, True
        while kills < arguments.kills:
            after_s = chance.uniform(0.15, 1.0) * longest_s
            if run_and_kill(killed, flags, after_s):
                kills += 1
                steps = sorted(path.name for path in (killed / "checkpoints").glob("[0-9]*"))
                print(f"kill {kills} after {after_s:.1f} s; checkpoints: {', '.join(steps) or 'none'}", flush=True)
            else:  # it came to its end between two kills: compare, and kill a new one
                same = compare(whole, killed) and same
                shutil.rmtree(killed)
        run_to_end(killed, flags)
        same = compare(whole, killed) and same
    print(f"{kills} kills: {'all identical' if same else 'DIFFERENT'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"kills": kills, "identical": same, "run_s": length_s}))
    return int(not same)


def compare(whole: Path, killed: Path) -> bool:
    """Whether the two runs ended in the same weights, by the same curves."""
    same_weights, same_curves = weights(whole) == weights(killed), curves(whole) == curves(killed)
    print(
        f"weights {'identical' if same_weights else 'DIFFER'}, "
        f"metric curves {'identical' if same_curves else 'DIFFER'}",
        flush=True,
    )
    return same_weights and same_curves


if __name__ == "__main__":
    sys.exit(main())
