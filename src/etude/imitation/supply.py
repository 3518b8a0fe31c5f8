"""Where a run's samples come from: a dataset that is here, or one that is streamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from etude.config.options import TrainOptions
from etude.data.batches import Source
from etude.data.demonstrations import Demonstrations, PictureSettings
from etude.data.order import Position, SampleOrder
from etude.data.sources import StreamLocation
from etude.data.split import EpisodeSplit, choose_episodes, split_episodes
from etude.data.streaming import StreamedDemonstrations
from etude.data.table import Rows
from etude.errors import DatasetError
from etude.imitation.checkpoint import TrainingState
from etude.imitation.processes import Processes

__all__ = ["Supply", "make_order", "open_supply", "training_frames"]


class Supply(Protocol):
    """An opened dataset: `Demonstrations`, or `StreamedDemonstrations`."""

    meta: Any
    split: EpisodeSplit
    notes: list[str]

    def open_pictures(self, keys: Sequence[str], settings: PictureSettings, progress: Any = None) -> None:
        """Make ready to read these cameras, and no others."""
        ...

    def rows_of(self, episodes: Sequence[int], drop_last: int = 0) -> Rows:
        """Rows that may start a sample of these episodes, leaving out the last `drop_last` frames of each."""
        ...

    def order(self, drop_last: int = 0, **how: Any) -> SampleOrder:
        """The order of the training samples."""
        ...

    def source(self, delta_indices: Mapping[str, Sequence[int]] | None) -> Source:
        """Batches of any rows, with these windows."""
        ...


def split_of(config: Any, options: TrainOptions, meta: Any) -> EpisodeSplit:
    """The episodes to train on and those held out."""
    episodes = choose_episodes(meta.total_episodes, config.dataset.episodes, options.exclude_episodes)
    return split_episodes(episodes, meta.episodes["tasks"], config.dataset.eval_split)


def training_frames(config: Any, options: TrainOptions, meta: Any) -> int:
    """Frames of the episodes to train on."""
    lengths = meta.episodes["length"]
    return sum(lengths[episode] for episode in split_of(config, options, meta).train)


def open_supply(config: Any, options: TrainOptions, meta: Any, stream: StreamLocation | None = None) -> Supply:
    """Split the episodes and settle what to normalise with; of a dataset that is here, read the tables.

    Args:
        stream: stream it from there; None reads a dataset that is here.
    """
    split = split_of(config, options, meta)
    how: dict[str, Any] = {
        "restrict_statistics": bool(split.val or options.exclude_episodes),
        "imagenet": config.dataset.use_imagenet_stats,
        "depth_unit": config.dataset.depth_output_unit,
    }
    if stream is not None:
        return StreamedDemonstrations.open(meta, split, stream, **how)
    return Demonstrations.open(meta, split, **how)


def make_order(
    config: Any, options: TrainOptions, supply: Supply, processes: Processes, state: TrainingState, seed: int
) -> SampleOrder:
    """The order of samples, from where the run stands; `state` learns the size of its batches.

    Raises:
        DatasetError: no frame is left to train on.
    """
    drop = getattr(config.policy, "drop_n_last_frames", 0)
    shares = processes.world * options.gradient_accumulation_steps
    global_batch = shares * config.batch_size

    def order(share_size: int, **how: Any) -> SampleOrder:
        return supply.order(drop, seed=seed, share_size=share_size, **how)

    samples = order(1).num_samples
    if samples == 0:
        raise DatasetError(
            f"no frame is left to train on: policy {config.policy.type} leaves out the last {drop} of each episode"
        )
    start = state.position
    if start.epoch < 0:  # a checkpoint of LeRobot's: its position follows from its step
        start = order(state.global_batch or global_batch).position(state.step)
    if start.sample >= samples:
        start = Position(start.epoch + 1, 0)
    changed = state.step > 0 and state.world != processes.world and start.sample > 0
    if changed and isinstance(supply, StreamedDemonstrations):
        supply.notes.append(
            f"{processes.world} processes where there were {state.world}: each reads its own part of the stream, so "
            "this epoch goes on in another order, and some of its frames come twice or not at all"
        )
    state.global_batch, state.world = global_batch, processes.world
    return order(config.batch_size, shares=shares, readers=processes.world, start=start, first_step=state.step)
