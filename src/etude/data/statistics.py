"""Normalisation statistics of some episodes, from the per-episode statistics that LeRobot records."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

__all__ = ["episode_statistics", "settle_statistics"]

logger = logging.getLogger(__name__)

Statistics = dict[str, dict[str, Any]]


def episode_statistics(root: Path, episodes: Sequence[int], features: dict[str, Any], whole: Statistics) -> Statistics:
    """Statistics over these episodes only, so that held-out ones do not leak into the normalisation.

    Args:
        features: the `features` of `info.json`.
        whole: the dataset's own statistics; a feature whose episodes record none keeps these.

    Returns:
        Feature name to `mean`, `std`, `min`, `max`, `count` and the quantiles the dataset has.
    """
    from lerobot.datasets.compute_stats import aggregate_stats

    wanted = set(episodes)
    collected: list[Statistics] = []
    for file in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        names = [name for name in pq.read_schema(file).names if name.startswith("stats/")]
        for row in pq.read_table(file, columns=["episode_index", *names]).to_pylist():
            if row["episode_index"] in wanted:
                collected.append(_unflatten(row, names, features))
    if len(collected) < len(wanted):
        logger.warning("some episodes record no statistics: normalising with those of the whole dataset")
        return whole
    shared = set.intersection(*(set(stats) for stats in collected))
    aggregated = aggregate_stats([{key: stats[key] for key in shared} for stats in collected])
    return {**whole, **aggregated}


def settle_statistics(meta: Any, *, only: Sequence[int] | None, imagenet: bool, depth_unit: str) -> None:
    """Make `meta.stats` those to normalise with.

    Args:
        meta: LeRobot's metadata.
        only: take these episodes' statistics; None keeps the whole dataset's.
        imagenet: normalise pictures with ImageNet's mean and deviation, as LeRobot does by default.
        depth_unit: what depth is handed out in, and so its statistics too: mm | m.
    """
    if only is not None:
        meta.stats = episode_statistics(Path(meta.root), only, meta.features, meta.stats or {})
    if meta.stats:
        meta.rescale_depth_stats(depth_unit)
    if imagenet:
        _use_imagenet_statistics(meta)


def _use_imagenet_statistics(meta: Any) -> None:
    import torch
    from lerobot.utils.constants import IMAGENET_STATS

    for key in meta.camera_keys:
        if key in meta.depth_keys:
            continue
        for name, values in IMAGENET_STATS.items():
            meta.stats.setdefault(key, {})[name] = torch.tensor(values, dtype=torch.float32)


def _unflatten(row: dict[str, Any], names: list[str], features: dict[str, Any]) -> Statistics:
    stats: Statistics = {}
    for name in names:
        _, feature, statistic = name.split("/", 1)[0], *name.removeprefix("stats/").rsplit("/", 1)
        if row[name] is None or feature not in features:
            continue
        value = np.atleast_1d(np.asarray(_numbers(row[name])))
        if features[feature]["dtype"] in ("image", "video") and statistic != "count":
            value = value.reshape(-1, 1, 1)
        stats.setdefault(feature, {})[statistic] = value
    return {
        feature: values for feature, values in stats.items() if {"mean", "std", "min", "max", "count"} <= values.keys()
    }


def _numbers(value: Any) -> Any:
    # Nested lists come back from parquet as object arrays of arrays.
    return [_numbers(item) for item in value] if isinstance(value, (list, np.ndarray)) else value
