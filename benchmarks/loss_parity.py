"""Do the first losses of `etude train` equal those of `lerobot-train`?

    python benchmarks/loss_parity.py [--policy act] [--policy diffusion] [--steps 50] [--json FILE]

Both trainers run as commands, with the same flags, on the CPU. Prints each policy's largest relative difference.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("ETUDE_TEST_DATA", HERE.parents[1] / "shared" / "data"))
LIMIT = 1e-4

POLICIES = {
    "act": [
        "--policy.type=act",
        "--policy.chunk_size=20",
        "--policy.n_action_steps=20",
        "--policy.dim_model=128",
        "--policy.n_heads=4",
        "--policy.dim_feedforward=256",
        "--policy.n_encoder_layers=2",
        "--policy.n_vae_encoder_layers=2",
        "--policy.optimizer_lr=1e-4",
    ],
    "diffusion": [
        "--policy.type=diffusion",
        "--policy.down_dims=[64,128]",
        "--policy.diffusion_step_embed_dim=64",
        "--policy.spatial_softmax_num_keypoints=16",
    ],
}


def common_flags(steps: int, batch_size: int) -> list[str]:
    """Flags that both trainers take."""
    return [
        "--dataset.repo_id=pusht/human",
        f"--dataset.root={DATA / 'pusht-human'}",
        "--dataset.eval_split=0",
        "--policy.device=cpu",
        "--policy.push_to_hub=false",
        "--policy.pretrained_backbone_weights=null",
        "--num_workers=0",
        "--seed=1000",
        "--log_freq=1",
        f"--steps={steps}",
        f"--batch_size={batch_size}",
    ]


def lerobot_losses(flags: list[str], folder: Path) -> list[float]:
    """Losses of LeRobot's trainer."""
    out = folder / "losses.json"
    command = [sys.executable, str(HERE / "lerobot_losses.py"), str(out), *flags, "--save_checkpoint=false"]
    _run([*command, f"--output_dir={folder / 'lerobot'}"])
    losses: list[float] = json.loads(out.read_text())
    return losses


def etude_losses(flags: list[str], folder: Path) -> list[float]:
    """Losses of ours, from `metrics.jsonl`."""
    run = folder / "etude"
    command = [
        sys.executable,
        "-m",
        "etude.cli",
        "train",
        *flags,
        "--save_checkpoint=false",
        "--mlflow.enable=false",
    ]
    _run([*command, f"--output_dir={run}"])
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record["metrics"]["train/loss"] for record in records if "train/loss" in record["metrics"]]


def _run(command: list[str]) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def compare(policy: str, steps: int, batch_size: int) -> dict[str, float | int | str]:
    """Run both trainers on one policy."""
    flags = [*POLICIES[policy], *common_flags(steps, batch_size)]
    with tempfile.TemporaryDirectory() as folder:
        theirs = lerobot_losses(flags, Path(folder))
        ours = etude_losses(flags, Path(folder))
    assert len(theirs) == len(ours) == steps, (len(theirs), len(ours))
    differences = [abs(a - b) / abs(a) for a, b in zip(theirs, ours, strict=True)]
    return {
        "policy": policy,
        "steps": steps,
        "first_loss": theirs[0],
        "last_loss": theirs[-1],
        "equal": sum(a == b for a, b in zip(theirs, ours, strict=True)),
        "largest_relative_difference": max(differences),
    }


def main() -> int:
    """Compare the policies asked for; exit code 1 when one differs by more than 1e-4."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", action="append", choices=sorted(POLICIES))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [compare(name, arguments.steps, arguments.batch_size) for name in arguments.policy or sorted(POLICIES)]
    for row in rows:
        print(
            f"{row['policy']}: {row['equal']} of {row['steps']} losses bitwise equal; "
            f"largest relative difference {row['largest_relative_difference']:.1e} (limit {LIMIT:.0e})"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))
    return int(any(float(row["largest_relative_difference"]) > LIMIT for row in rows))


if __name__ == "__main__":
    sys.exit(main())
