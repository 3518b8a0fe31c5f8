"""Everything a run needs, made once: data, policy, optimizer, validation, and where the run stands."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from etude.config.options import TrainOptions
from etude.data.batches import Source
from etude.data.demonstrations import PictureSettings
from etude.data.order import SampleOrder
from etude.data.sources import StreamLocation
from etude.errors import DatasetError
from etude.imitation import randomness
from etude.imitation.augmentation import Augmentation, make_augmentation
from etude.imitation.checkpoint import TrainingState, load_learner, read_state
from etude.imitation.ema import NoAverage, WeightAverage
from etude.imitation.frame_size import frame_size, resizing_processors, seen_resized
from etude.imitation.learner import Learner
from etude.imitation.meters import Meters
from etude.imitation.policy import make_policy, make_processors
from etude.imitation.processes import Processes
from etude.imitation.shares import MeanOverFrames, MeanOverSamples, loss_weights
from etude.imitation.supply import Supply, make_order, open_supply, training_frames
from etude.imitation.validation import Validation, spread
from etude.policies.pictures import without_resize
from etude.runs.checkpoints import Checkpoint

__all__ = ["Session", "open_session", "training_frames"]

Progress = Callable[[str, int, int], None]


@dataclass
class Session:
    """A run that is ready to take its next step."""

    config: Any
    options: TrainOptions
    processes: Processes
    demonstrations: Supply
    source: Source
    order: SampleOrder
    learner: Learner
    loss_weights: MeanOverSamples | MeanOverFrames
    processors: tuple[Any, Any]
    validation: Validation | None
    augmentation: Augmentation | None
    meters: Meters
    state: TrainingState
    checkpoint: Checkpoint | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def parts(self) -> range:
        """The shares of a global batch that this process computes."""
        count = self.options.gradient_accumulation_steps
        return range(self.processes.rank * count, (self.processes.rank + 1) * count)


def open_session(
    config: Any,
    options: TrainOptions,
    meta: Any,
    processes: Processes,
    checkpoint: Checkpoint | None,
    progress: Progress | None = None,
    *,
    fingerprint: str | None = None,
    tell: Callable[[str], None] | None = None,
    stream: StreamLocation | None = None,
) -> Session:
    """Make everything, in the order in which LeRobot's trainer draws random numbers.

    Args:
        config: LeRobot's `TrainPipelineConfig`.
        meta: LeRobot's dataset metadata.
        checkpoint: continue from here; None starts at step 0.
        fingerprint: the dataset's, if it is known already.
        tell: where a sentence for the user goes at once; None keeps it in the session's notes.
        stream: where the dataset is streamed from; None reads one that is here.
    """
    seed = config.seed if config.seed is not None else 0
    _set_backends(config, options)
    if config.seed is not None:
        randomness.seed_everything(config.seed)
    demonstrations = open_supply(config, options, meta, stream)
    size, weights = frame_size(options.frames), checkpoint.pretrained_model if checkpoint else None
    policy = make_policy(config, seen_resized(meta, size), weights)
    processors = make_processors(config, policy, meta, processes.device.type, weights)
    processors = resizing_processors(processors, policy, meta, size, config.rename_map)
    learner = _make_learner(config, options, processes, policy, without_resize(processors[0]))
    randomness.seed_rank(seed, processes.rank)

    state = read_state(checkpoint) if checkpoint else TrainingState()
    order = make_order(config, options, demonstrations, processes, state, seed)
    if checkpoint is not None:
        load_learner(checkpoint, learner, state, processes.rank)
    meters = Meters(processes.device)
    if state.meters:
        meters.load(state.meters)

    wanted = [key for key in meta.camera_keys if key in camera_names(policy.config, config.rename_map)]
    steps_left = max(0, config.steps - state.step)
    windows = _delta_indices(policy.config, meta)
    reads = (
        steps_left * order.global_batch // processes.world * max((len(windows.get(k, [0])) for k in wanted), default=0)
    )
    settings = _picture_settings(config, options, processes)
    settings = replace(settings, expected_reads=reads, fingerprint=fingerprint, tell=tell)
    demonstrations.open_pictures(wanted, settings, progress)
    source = demonstrations.source(windows)
    return Session(
        config=config,
        options=options,
        processes=processes,
        demonstrations=demonstrations,
        source=source,
        order=order,
        learner=learner,
        loss_weights=loss_weights(policy, order, source),
        processors=processors,
        validation=_make_validation(config, demonstrations, windows, policy, processes, seed),
        augmentation=make_augmentation(config, meta, seed),
        meters=meters,
        state=state,
        checkpoint=checkpoint,
        notes=list(demonstrations.notes),
    )


def camera_names(policy_config: Any, rename_map: dict[str, str]) -> set[str]:
    """The dataset's names of the cameras that the policy looks at."""
    wanted = set(policy_config.image_features)
    return wanted | {given for given, renamed in rename_map.items() if renamed in wanted}


def _make_learner(config: Any, options: TrainOptions, processes: Processes, policy: Any, preprocessor: Any) -> Learner:
    from lerobot.optim.factory import make_optimizer_and_scheduler

    optimizer, schedule = make_optimizer_and_scheduler(config, policy)
    if isinstance(optimizer, dict):
        raise DatasetError(
            f"policy {config.policy.type} needs several optimizers and is not trained from demonstrations"
        )
    average = WeightAverage(policy, options.ema.decay) if options.ema.enable else NoAverage()
    model, optimizer = processes.accelerator.prepare(policy, optimizer)
    return Learner(
        processes.accelerator,
        policy,
        model,
        optimizer,
        schedule,
        preprocessor,
        clip_norm=config.optimizer.grad_clip_norm,
        average=average,
    )


def _make_validation(
    config: Any,
    demonstrations: Supply,
    windows: dict[str, list[int]],
    policy: Any,
    processes: Processes,
    seed: int,
) -> Validation | None:
    if not demonstrations.split.val or config.eval_steps <= 0:
        return None
    drop = getattr(policy.config, "drop_n_last_frames", 0)
    rows = demonstrations.rows_of(demonstrations.split.val, drop)
    if len(rows) == 0:
        return None
    return Validation(
        demonstrations.source(windows),  # a source of a stream serves one thread
        spread(rows, config.max_eval_samples),
        batch_size=config.batch_size,
        seed=seed + 1,
        rank=processes.rank,
        world=processes.world,
        reduce=processes.sum,
    )


def _picture_settings(config: Any, options: TrainOptions, processes: Processes) -> PictureSettings:
    return PictureSettings(
        options.frames,
        threads=max(1, config.num_workers),
        backend=config.dataset.video_backend,
        tolerance_s=config.tolerance_s,
        depth_unit=config.dataset.depth_output_unit,
        processes=int(os.environ.get("LOCAL_WORLD_SIZE", processes.world)),
        is_builder=processes.accelerator.is_local_main_process,
        agree=processes.gather,
    )


def _delta_indices(policy_config: Any, meta: Any) -> dict[str, list[int]]:
    """Frame offsets of each feature's window, as LeRobot's `resolve_delta_timestamps` finds them."""
    from lerobot.datasets.factory import resolve_delta_timestamps

    seconds = resolve_delta_timestamps(policy_config, meta) or {}
    return {key: [round(offset * meta.fps) for offset in offsets] for key, offsets in seconds.items()}


def _set_backends(config: Any, options: TrainOptions) -> None:
    exact = config.cudnn_deterministic or options.deterministic
    torch.backends.cudnn.deterministic = exact
    torch.backends.cudnn.benchmark = not exact
    torch.backends.cuda.matmul.allow_tf32 = True
    if options.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
