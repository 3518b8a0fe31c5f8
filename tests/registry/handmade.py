"""Run folders with checkpoints made by hand: the files of a policy, no training, no torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from etude.runs.checkpoints import Checkpoint
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.results import EpisodeResult, Interval, RolloutResult

__all__ = ["COMMIT", "FINGERPRINT", "make_run", "save_rollouts", "write_policy", "write_tensors"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FINGERPRINT = "f" * 32


def write_tensors(file: Path, tensors: dict[str, bytes]) -> None:
    """A safetensors file of 32-bit vectors."""
    header, end = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors.values()))


def write_policy(folder: Path, seed: int = 0, size: int = 400) -> None:
    """What LeRobot leaves in `pretrained_model`, as far as its files go."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"type": "act", "seed": seed}))
    write_tensors(folder / "model.safetensors", {"weight": bytes([seed % 256]) * size, "bias": b"\0" * 8})
    state = "policy_preprocessor_step_3_normalizer_processor.safetensors"
    steps: list[dict[str, Any]] = [{"registry_name": "device_processor", "config": {}}]
    steps.append({"registry_name": "normalizer_processor", "config": {}, "state_file": state})
    (folder / "policy_preprocessor.json").write_text(json.dumps({"name": "policy_preprocessor", "steps": steps}))
    (folder / "policy_postprocessor.json").write_text(json.dumps({"name": "policy_postprocessor", "steps": []}))
    write_tensors(folder / state, {"mean": b"\1" * 16})
    (folder / "train_config.json").write_text(json.dumps({"dataset": {"repo_id": "lab/drawer", "revision": "v3.0"}}))


def make_run(root: Path, steps: tuple[int, ...] = (100, 200), best: int | None = 100, **settings: Any) -> RunFolder:
    """A finished run with sealed checkpoints."""
    run = RunFolder.create(root)
    manifest = RunManifest(
        "imitation",
        root.name,
        ["etude", "train"],
        {"dataset": {"repo_id": "lab/drawer", "revision": "v3.0"}, "policy": {"type": "act"}, "steps": 200},
        status="finished",
        steps={"planned": 200, "done": 200},
        dataset={"repo_id": "lab/drawer", "fingerprint": FINGERPRINT, "episodes": 10, "frames": 900, "fps": 20},
        git={"commit": COMMIT, "dirty": False},
        packages={"etude": "0.1.0", "lerobot": "0.6.1"},
        **settings,
    )
    manifest.save(run.manifest_path)
    for step in steps:
        checkpoint = run.checkpoints.write(step, lambda folder, step=step: _fill(folder, step))
        if step == best:
            run.checkpoints.mark_best(checkpoint)
    return run


def save_rollouts(run: RunFolder, step: int, rate: float, name: str = "rollouts", when: str = "") -> Path:
    """The result of 10 rollouts of one checkpoint; returns its file."""
    policy = {"path": str(Checkpoint(run.root / f"checkpoints/{step:06d}").pretrained_model), "type": "act"}
    result = RolloutResult(
        policy={**policy, "checkpoint_step": step},
        environment={"type": "metaworld", "task": "drawer-open-v3"},
        episodes=[EpisodeResult(index, index, index < rate * 10, 1.0, 50) for index in range(10)],
        success_rate=Interval(rate, rate - 0.2, rate + 0.2, "wilson"),
        mean_reward=Interval(1.0, 0.9, 1.1, "bootstrap"),
        **({"created_at": when} if when else {}),  # type: ignore[arg-type]
    )
    return result.save(run.new_evaluation(name))


def _fill(folder: Path, step: int) -> None:
    write_policy(folder / "pretrained_model", seed=step)
    (folder / "training_state").mkdir()
    (folder / "training_state" / "step.json").write_text(json.dumps({"step": step}))
