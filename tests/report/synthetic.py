"""Run folders that look like real ones, made without training."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from etude.runs.checkpoints import CheckpointStore
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, MetricsFile
from etude.runs.results import (
    ComparisonResult,
    EpisodeResult,
    Interval,
    JointError,
    ReplayResult,
    RolloutResult,
)

START = 1_767_000_000.0


def make_run(
    root: Path,
    *,
    steps: int = 2000,
    log_every: int = 10,
    seed: int = 0,
    status: str = "finished",
    lr: float = 1e-4,
    evaluated: bool = True,
    checkpoints: bool = True,
    **changes: Any,
) -> RunFolder:
    """A finished ACT run; `changes` replace fields of its manifest."""
    folder = RunFolder.create(root)
    manifest = _manifest(root, steps, status, lr)
    for name, value in changes.items():
        setattr(manifest, name, value)
    manifest.save(folder.manifest_path)
    write_metrics(folder, steps, log_every, seed, lr)
    if checkpoints:
        write_checkpoints(folder, steps)
    if evaluated:
        write_rollouts(folder, steps, seed)
        write_replay(folder, steps)
    return folder


def _manifest(root: Path, steps: int, status: str, lr: float) -> RunManifest:
    return RunManifest(
        kind="imitation",
        name=root.name,
        command=[
            "etude",
            "train",
            "--policy.type=act",
            "--dataset.root=data/button-press",
            f"--steps={steps}",
            f"--policy.optimizer_lr={lr}",
            f"--job_name={root.name}",
        ],
        config={
            "policy": {"type": "act", "chunk_size": 50, "optimizer_lr": lr, "device": "cpu"},
            "dataset": {"repo_id": "etude/button-press-topdown", "root": "data/button-press"},
            "batch_size": 8,
            "steps": steps,
            "seed": 1000,
        },
        status=status,
        steps={"planned": max(steps, 2000), "done": steps},
        dataset={
            "repo_id": "etude/button-press-topdown",
            "root": "data/button-press",
            "episodes": 30,
            "frames": 2140,
            "fps": 20,
            "fingerprint": "sha256:9b1c6f4c2f5b8f60",
            "val_episodes": [3, 17, 21],
            "train_episodes": [index for index in range(30) if index not in (3, 17, 21)],
        },
        policy={"type": "act", "parameters": 12_345_678},
        tracking={"mlflow": {"uri": "sqlite:///mlflow.db", "run_id": "4bf2c0"}},
        git={"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": True},
    )


def write_metrics(folder: RunFolder, steps: int, log_every: int, seed: int, lr: float) -> None:
    """Losses that fall noisily, as they do."""
    rng = random.Random(seed)
    file = MetricsFile(folder.metrics_path)
    for step in range(log_every, steps + 1, log_every):
        share = step / max(steps, 1)
        l1 = 0.9 * math.exp(-6 * share * lr / 1e-4) + 0.06 + rng.gauss(0, 0.012)
        metrics = {
            "train/loss": l1 + 0.4 * math.exp(-9 * share) + 0.01,
            "train/l1_loss": l1,
            "train/kld_loss": 2.4 * math.exp(-8 * share) + abs(rng.gauss(0, 0.01)),
            "train/grad_norm": 4 * math.exp(-3 * share) + abs(rng.gauss(0, 0.7)) + 0.6,
            "train/lr": lr * min(1, step / 100) * (0.5 + 0.5 * math.cos(math.pi * share)),
            "train/samples_per_s": 61 + rng.gauss(0, 2),
            "train/data_wait_share": max(0.0, rng.gauss(0.02, 0.008)),
            "system/cpu_percent": 95 + rng.gauss(0, 2),
            "system/memory_gib": 3.1 + share * 0.1,
        }
        if step % max(log_every, steps // 20) == 0:
            metrics["val/loss"] = 0.8 * math.exp(-6 * share) + 0.12 + 0.05 * share + rng.gauss(0, 0.006)
        file.append(MetricRecord(step, START + step * 0.12, metrics))
    file.close()


def write_checkpoints(folder: RunFolder, steps: int) -> None:
    """Sealed checkpoints with a small file inside."""

    def fill(target: Path) -> None:
        model = target / "pretrained_model"
        model.mkdir()
        (model / "config.json").write_text(json.dumps({"type": "act"}))
        (model / "model.safetensors").write_bytes(b"0" * 48_213)

    store = CheckpointStore(folder.root / "checkpoints")
    for share in (0.5, 0.75, 1.0):
        checkpoint = store.write(int(steps * share), fill)
        if share == 0.75:
            store.mark_best(checkpoint)


def write_rollouts(folder: RunFolder, steps: int, seed: int, count: int = 50, name: str = "metaworld") -> Path:
    """Rollouts with one real video."""
    rng = random.Random(seed + 7)
    target = folder.evaluations / name
    target.mkdir(parents=True)
    episodes = []
    for index in range(count):
        success = rng.random() < 0.92
        video = f"videos/episode_{index}.mp4" if index < 3 else None
        if video:
            write_video(target / video, index)
        length = rng.randint(48, 90) if success else 200
        episodes.append(EpisodeResult(index, 1000 + index, success, 140 + rng.gauss(0, 12), length, video))
    hits = sum(episode.success for episode in episodes)
    RolloutResult(
        policy={"path": str(folder.root), "type": "act", "checkpoint_step": steps},
        environment={"type": "metaworld", "task": "button-press-topdown-v3"},
        episodes=episodes,
        success_rate=wilson(hits, count),
        mean_reward=Interval(139.8, 136.1, 143.2, "bootstrap"),
        timing={"wall_s": 61.0, "env_steps_per_s": 212.0, "policy_ms": 8.4},
        videos=[episode.video for episode in episodes if episode.video],
        command=[
            "etude",
            "evaluate",
            f"--policy.path={folder.root}",
            "--env.type=metaworld",
            "--episodes=50",
        ],
    ).save(target)
    return target


def write_comparison(folder: RunFolder) -> Path:
    """Two policies on the same 50 seeds."""
    target = folder.evaluations / "comparison"
    ComparisonResult(
        policies=[
            {"path": "outputs/train/baseline", "checkpoint_step": 1000},
            {"path": str(folder.root), "checkpoint_step": 2000},
        ],
        environment={"type": "metaworld", "task": "button-press-topdown-v3"},
        first=wilson(38, 50),
        second=wilson(46, 50),
        difference=Interval(0.16, 0.03, 0.29, "paired"),
        p_value=0.0215,
        table={"both": 36, "only_first": 2, "only_second": 10, "neither": 2},
        seeds=list(range(1000, 1050)),
    ).save(target)
    return target


def write_replay(folder: RunFolder, steps: int) -> Path:
    """A replay whose plots are simple drawings."""
    target = folder.evaluations / "replay"
    names = ["episode_000003_actions.svg", "episode_000003_errors.svg", "latency.svg"]
    for name in names:
        file = target / "plots" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 120"><path d="M0 60L400 20" stroke="#a40"/></svg>'
        )
    joints = [JointError(name, 0.001 * (i + 1), 0.02 * (i + 1)) for i, name in enumerate("xyz")]
    ReplayResult(
        policy={"path": str(folder.root), "type": "act", "checkpoint_step": steps},
        dataset={"repo_id": "etude/button-press-topdown", "episodes": [3, 17, 21], "frames": 214},
        joints=[*joints, JointError("gripper", 0.0004, 0.011)],
        mse=0.0016,
        mae=0.03275,
        episodes=[{"index": 3, "frames": 71, "mse": 0.0016, "mae": 0.03}],
        latency_ms={
            "mean": 1.2,
            "p50": 0.4,
            "p95": 8.1,
            "max": 14.2,
            "control_period": 50.0,
            "within_budget": 1.0,
            "plan_mean": 8.6,
            "plan_p95": 12.0,
            "plans": 9,
            "frames": 214,
        },
        plots=[f"plots/{name}" for name in names],
        command=["etude", "evaluate", f"--policy.path={folder.root}", "--dataset.root=data/button-press"],
    ).save(target)
    return target


def wilson(hits: int, count: int) -> Interval:
    """Wilson's interval of a proportion."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, middle - half, middle + half, "wilson")


def write_video(file: Path, hue: int = 0, frames: int = 12) -> None:
    """A few frames of a moving square."""
    import av
    import numpy as np

    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.full((96, 96, 3), (38, 44 + 20 * hue, 58), dtype=np.uint8)
            picture[30:54, 6 * index : 6 * index + 20] = (226, 148, 92)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
