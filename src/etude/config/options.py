"""What `etude train` can do beyond LeRobot's trainer. Every other key is LeRobot's (`TrainPipelineConfig`).

Keys here never clash with LeRobot's, so that one flat namespace of dotted flags serves both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["TrainOptions"]


@dataclass
class EarlyStopping:
    """Stop when the watched metric no longer improves. Off while `patience` is null.

    Attributes:
        patience: validations in a row without improvement after which to stop.
        min_delta: what counts as an improvement, in the metric's unit.
    """

    patience: int | None = None
    min_delta: float = 0.0


@dataclass
class Ema:
    """Exponential moving average of the weights, saved beside them and validated instead of them.

    Attributes:
        enable: keep an average.
        decay: the average's memory; after step s it is min(decay, (1 + s) / (10 + s)).
    """

    enable: bool = False
    decay: float = 0.999


@dataclass
class CheckpointOptions:
    """Which checkpoints stay on the disk.

    Attributes:
        keep_last: how many of the newest to keep (`last` and `best` always stay); null keeps all.
        best_by: what decides `best`: auto (success rate where there are rollouts, else validation loss),
            val_loss or success_rate.
    """

    keep_last: int | None = None
    best_by: Literal["auto", "val_loss", "success_rate"] = "auto"


@dataclass
class MlflowOptions:
    """MLflow tracking.

    Attributes:
        enable: log to MLflow.
        tracking_uri: null means MLFLOW_TRACKING_URI, else the SQLite file `mlflow.db` beside `outputs/`.
        experiment: experiment name; null means "etude".
        tags: extra tags on the run.
    """

    enable: bool = True
    tracking_uri: str | None = None
    experiment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class FramesOptions:
    """How camera frames reach the batches: decoded once into a store on the disk, or read from the videos.

    Attributes:
        store: raw (exact), zstd (exact, compressed), jpeg (10 to 20 times smaller, lossy), video (no store: the videos
            are decoded as batches need them), off (nothing on the disk: into memory where it fits), or auto.
        quality: of jpeg, 1 to 100.
        width, height: store frames in this size, and make the policy for it; null keeps the dataset's.
        path: folder of the stores; null means $ETUDE_CACHE/frames, else ~/.cache/etude/frames.
        memory_gib: most memory that frames may take; null means half of what is free for a store's pages,
            a quarter for frames that are kept nowhere else.
        disk_gib: most that this run's stores may take; null means half of what is free for auto, which always
            leaves 10 GiB.
    """

    store: Literal["auto", "raw", "zstd", "jpeg", "video", "off"] = "auto"
    quality: int = 95
    width: int | None = None
    height: int | None = None
    path: str | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None


@dataclass
class TrainOptions:
    """Options of `etude train` that LeRobot's config does not have.

    Attributes:
        num_epochs: passes over the training frames, instead of `steps` (also `--policy.num_epochs`).
        action_dim: how many numbers an action has; checked against the dataset (also `--policy.action_dim`).
        plugins: packages to import, that register policies or environments with LeRobot.
        exclude_episodes: episodes left out (also `--dataset.exclude_episodes`).
        precision: no | bf16 | fp16 | policy (what the policy's own config asks for) | auto (also bf16 where it is
            measured to be faster).
        compile: torch.compile: on | off | auto (where it is measured to be faster and the run is long enough).
        channels_last: convolutions read pictures pixel by pixel: on | off | auto (where it is measured to be faster).
        fused_optimizer: one kernel for all weights: on | off | auto (where it is measured to be faster).
        fast_matmul: float32 matrix products by oneDNN, on a CPU: on | off | auto (where it is measured to be faster).
        gradient_accumulation_steps: batches summed up before each optimizer update.
        grad_clip_norm: overrides the policy preset's clipping norm; 0 turns it off, null keeps the preset.
        lr_schedule: null keeps the policy's preset; constant | linear | cosine, with `lr_warmup_steps`.
        lr_warmup_steps: warm-up of `lr_schedule`, in optimizer updates; null means 5 % of the steps.
        checkpoint_mode: from-scratch | from-trained (weights only, from `--policy.path`).
        data_check: fast (metadata and tables, the default) | full (decodes every video) | off.
        deterministic: bit-equal runs on the same machine, at some speed.
        profile: trace some steps, and say what bounds the run and what to change.
        wandb_tags: tags of the W&B run (also `--wandb.tags`).
        tracking_interval_s: how often points are sent to the tracking servers, seconds.
        system_metrics_interval_s: how often CPU, GPU and memory are sampled, seconds; 0 turns it off.
    """

    num_epochs: float | None = None
    action_dim: int | None = None
    plugins: list[str] = field(default_factory=list)
    exclude_episodes: list[int] = field(default_factory=list)
    precision: Literal["no", "bf16", "fp16", "policy", "auto"] = "policy"
    compile: Literal["auto", "on", "off"] = "auto"
    channels_last: Literal["auto", "on", "off"] = "auto"
    fused_optimizer: Literal["auto", "on", "off"] = "auto"
    fast_matmul: Literal["auto", "on", "off"] = "auto"
    gradient_accumulation_steps: int = 1
    grad_clip_norm: float | None = None
    lr_schedule: Literal["constant", "linear", "cosine"] | None = None
    lr_warmup_steps: int | None = None
    checkpoint_mode: Literal["from-scratch", "from-trained"] = "from-scratch"
    data_check: Literal["fast", "full", "off"] = "fast"
    deterministic: bool = False
    profile: bool = False
    wandb_tags: list[str] = field(default_factory=list)
    tracking_interval_s: float = 2.0
    system_metrics_interval_s: float = 10.0
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    ema: Ema = field(default_factory=Ema)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    mlflow: MlflowOptions = field(default_factory=MlflowOptions)
    frames: FramesOptions = field(default_factory=FramesOptions)
