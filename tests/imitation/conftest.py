"""A small robot: twelve short episodes without cameras, and a policy that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

STATE, ENVIRONMENT, ACTION = 4, 3, 2
LENGTHS = (20, 26, 23, 31, 18, 22, 25, 19, 28, 24, 21, 30)

ACT = (
    "--policy.type=act",
    "--policy.device=cpu",
    "--policy.dim_model=32",
    "--policy.n_heads=2",
    "--policy.dim_feedforward=32",
    "--policy.n_encoder_layers=1",
    "--policy.n_vae_encoder_layers=1",
    "--policy.latent_dim=4",
    "--policy.chunk_size=8",
    "--policy.n_action_steps=8",
    "--policy.optimizer_lr=1e-3",
    "--batch_size=8",
    "--mlflow.enable=false",
    "--system_metrics_interval_s=0",
)


def make_dataset(root: Path, state_size: int = STATE, action_size: int = ACTION) -> Path:
    """Write the episodes: actions follow from states, so there is something to learn."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = {
        "observation.state": {"dtype": "float32", "shape": (state_size,), "names": None},
        "observation.environment_state": {"dtype": "float32", "shape": (ENVIRONMENT,), "names": None},
        "action": {"dtype": "float32", "shape": (action_size,), "names": list("xyz")[:action_size]},
    }
    dataset = LeRobotDataset.create("small/robot", fps=10, root=root, features=features, use_videos=False)
    random = np.random.default_rng(0)
    for number, length in enumerate(LENGTHS):
        goal = random.uniform(-1, 1, ENVIRONMENT)
        state = random.uniform(-1, 1, state_size)
        for _ in range(length):
            action = np.tanh(0.1 * goal[:action_size] - state[:action_size])
            dataset.add_frame(
                {
                    "observation.state": state.astype(np.float32),
                    "observation.environment_state": goal.astype(np.float32),
                    "action": action.astype(np.float32),
                    "task": "reach" if number % 2 else "push",
                }
            )
            state = state + 0.2 * np.concatenate([action, random.normal(size=state_size - action_size)])
        dataset.save_episode()
    dataset.finalize()
    return root


@pytest.fixture(scope="session")
def small_robot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "small-robot")


@pytest.fixture
def flags(small_robot: Path) -> list[str]:
    return [f"--dataset.root={small_robot}", *ACT]


class Recorder:
    """A display that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.points: list[tuple[int, dict[str, float]]] = []
        self.on_step: Any = None

    def started(self, total_steps: int, start_step: int) -> None:
        self.start = start_step

    def step(self, step: int) -> None:
        if self.on_step is not None:
            self.on_step(step)

    def log(self, record: Any) -> None:
        self.points.append((record.step, record.metrics))

    def note(self, line: str) -> None:
        self.notes.append(line)

    def preparing(self, what: str, done: int, total: int) -> None:
        pass

    def finished(self) -> None:
        pass

    def curve(self, name: str) -> list[tuple[int, float]]:
        return [(step, metrics[name]) for step, metrics in self.points if name in metrics]


def run(argv: list[str], *, on_step: Any = None, make_rollout: Any = None) -> tuple[Any, Recorder]:
    """`etude train ARGV` in this process: its result and what was shown."""
    from etude.config import resolve
    from etude.imitation.run import train
    from etude.imitation.settings import decode

    resolved = resolve(argv)
    recorder = Recorder()
    recorder.on_step = on_step
    result = train(
        decode(resolved),
        command=["etude", "train", *argv],
        display=recorder,
        resume=resolved.request.resume is not None,
        resume_step=resolved.request.resume_step,
        make_rollout=make_rollout,
    )
    return result, recorder


def weights(run_root: Path, checkpoint: str = "last") -> bytes:
    return (run_root / "checkpoints" / checkpoint / "pretrained_model" / "model.safetensors").read_bytes()
