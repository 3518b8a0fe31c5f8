"""Are the statistics that normalisation uses there, and are they those of the data?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etude.data.checks.blocks import RowBlock, signal_columns
from etude.data.checks.findings import Finding, error, info, numbered, warning
from etude.data.sources.info import V30, Feature, UnreadableError, read_json, well_formed
from etude.data.sources.layout import DatasetLayout, read_lines
from etude.data.sources.tables import open_parquet, read_columns
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Statistics", "check_statistics_file"]

NEEDED = ("mean", "std", "min", "max")
QUANTILES = ("q01", "q99")
RECOMPUTE = "compute the statistics anew: lerobot-edit-dataset --help (recompute_stats)"


def check_statistics_file(layout: DatasetLayout) -> Iterator[Finding]:
    """Keys, shapes and finiteness of `meta/stats.json`."""
    if layout.info.version != V30:
        return
    path = layout.root / "meta" / "stats.json"
    if not path.exists():
        yield error(
            "stats-missing",
            f"{path} is missing: observations and actions would not be normalised",
            fix=RECOMPUTE,
        )
        return
    try:
        stored = read_json(path, "stats-unreadable")
    except UnreadableError as problem:
        yield error(problem.code, problem.message, fix=RECOMPUTE)
        return
    if not isinstance(stored, dict):
        yield error("stats-unreadable", f"{path} must hold an object, found {type(stored).__name__}", fix=RECOMPUTE)
        return
    normalised = [*layout.info.signals, *layout.info.video_features, *layout.info.image_features]
    without_quantiles = []
    for feature in normalised:
        entry = stored.get(feature.name)
        entry = entry if isinstance(entry, dict) else {}
        absent = [key for key in NEEDED if key not in entry]
        if absent:
            yield _missing_keys(feature, absent)
        yield from _entry(feature, {key: entry[key] for key in (*NEEDED, *QUANTILES) if key in entry})
        if not feature.is_camera and any(key not in entry for key in QUANTILES):
            without_quantiles.append(feature.name)
    if without_quantiles:
        yield info(
            "stats-quantiles-missing",
            f"no quantiles ({', '.join(QUANTILES)}) for {numbered(without_quantiles)}: policies that "
            "normalise with "
            "them (pi05, molmoact2) cannot train on this dataset",
            fix="python -m lerobot.scripts.augment_dataset_quantile_stats --help",
        )


def _missing_keys(feature: Feature, absent: list[str]) -> Finding:
    message = f"meta/stats.json has no {', '.join(absent)} for {feature.name}"
    used = feature.is_camera or feature.name.startswith(("action", "observation"))
    return (error if used else info)("stats-missing", message, fix=RECOMPUTE)


def _entry(feature: Feature, entry: dict[str, Any]) -> Iterator[Finding]:
    numpy = require("numpy", "imitation")
    for key, value in entry.items():
        try:
            array = numpy.asarray(value, dtype=numpy.float64)
        except (TypeError, ValueError):
            yield error("stats-shape", f"{key} of {feature.name} in meta/stats.json is not numbers", fix=RECOMPUTE)
            continue
        if not numpy.isfinite(array).all():
            yield error(
                "stats-not-finite",
                f"{key} of {feature.name} in meta/stats.json is NaN or infinite",
                fix=RECOMPUTE,
            )
        if not feature.is_camera and not _applies(array.shape, feature.shape):
            yield error(
                "stats-shape",
                f"{key} of {feature.name} in meta/stats.json has {array.size} numbers, the feature has {feature.size}",
                fix=RECOMPUTE,
            )


def _applies(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether statistics of this shape can be subtracted from a frame; LeRobot has fewer axes for 2-D features."""
    numpy = require("numpy", "imitation")
    try:
        return bool(numpy.broadcast_shapes(shape, to) == to)
    except ValueError:
        return False


class Statistics:
    """Statistics of the rows, episode by episode, to hold against those that are stored."""

    def __init__(self, layout: DatasetLayout) -> None:
        self.layout = layout
        self.episodes: dict[str, dict[int, _Moments]] = {}

    def see(self, block: RowBlock) -> None:
        numpy = require("numpy", "imitation")
        for feature, values in signal_columns(self.layout, block):
            kept = self.episodes.setdefault(feature.name, {})
            for record, start, end in block.spans:
                part = values[start:end]
                if end > start and numpy.isfinite(part).all():
                    kept[record.index] = _Moments.of(part)

    def findings(self, whole: bool) -> Iterator[Finding]:
        """Disagreements, of the episodes' statistics and, where `whole`, of the dataset's."""
        try:
            yield from self._against_episodes()
        except UnreadableError as problem:
            yield warning(problem.code, problem.message, fix=RECOMPUTE)
        path = self.layout.root / "meta" / "stats.json"
        if not whole or self.layout.info.version != V30 or not path.is_file():
            return
        try:
            stored = read_json(path, "stats-unreadable")
        except UnreadableError:
            return  # told by check_statistics_file
        for name, parts in self.episodes.items():
            if len(parts) == len(self.layout.episodes) and parts and isinstance(stored, dict):
                yield from _compare(
                    self.layout.info.features[name], _Moments.merged(list(parts.values())), stored.get(name)
                )

    def _against_episodes(self) -> Iterator[Finding]:
        numpy = require("numpy", "imitation")
        for name, stored in _stored_episode_statistics(self.layout, list(self.episodes)).items():
            computed = self.episodes[name]
            if not computed:
                continue
            overall = _Moments.merged(list(computed.values()))
            scale = overall.scale()
            off = []
            for episode, (mean, low, high) in stored.items():
                if episode not in computed or not all(len(part) == len(scale) for part in (mean, low, high)):
                    continue
                own = computed[episode]
                worst = max(
                    numpy.max(abs(a - b) / scale) for a, b in ((mean, own.mean), (low, own.low), (high, own.high))
                )
                if not worst <= SLIGHT:
                    off.append(episode)
            if off:
                yield warning(
                    "episode-stats-disagree",
                    f"the stored statistics of {name} are not those of the rows in episode {numbered(off)}",
                    episode=off[0],
                    fix=RECOMPUTE,
                )


SLIGHT = 0.05
"""In standard deviations of the dimension: less than this is the arithmetic of another library."""


class _Moments:
    """Count, mean, standard deviation, minimum and maximum of rows, per dimension."""

    def __init__(self, count: int, mean: Any, std: Any, low: Any, high: Any) -> None:
        self.count, self.mean, self.std, self.low, self.high = count, mean, std, low, high

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> _Moments:
        return cls(len(values), values.mean(axis=0), values.std(axis=0), values.min(axis=0), values.max(axis=0))

    @classmethod
    def merged(cls, parts: list[_Moments]) -> _Moments:
        """The moments of all rows together (Chan, Golub and LeVeque 1979)."""
        numpy = require("numpy", "imitation")
        weights = numpy.array([part.count for part in parts], dtype=numpy.float64)[:, None]
        means = numpy.stack([part.mean for part in parts])
        mean = (weights * means).sum(axis=0) / weights.sum()
        squares = weights * (numpy.stack([part.std for part in parts]) ** 2 + (means - mean) ** 2)
        std = numpy.sqrt(squares.sum(axis=0) / weights.sum())
        low = numpy.min([part.low for part in parts], axis=0)
        high = numpy.max([part.high for part in parts], axis=0)
        return cls(int(weights.sum()), mean, std, low, high)

    def scale(self) -> Any:
        """The standard deviation, and what single precision loses when it adds up values far from zero."""
        return self.std + 1e-3 * abs(self.mean) + 1e-6


def _compare(feature: Feature, true: _Moments, stored: Any) -> Iterator[Finding]:
    numpy = require("numpy", "imitation")
    try:
        mean, std, low, high = (numpy.asarray(stored[key], numpy.float64).reshape(-1) for key in NEEDED)
    except (KeyError, TypeError, ValueError):
        return  # told by check_statistics_file
    if not all(len(part) == feature.size for part in (mean, std, low, high)):
        return
    scale = true.scale()
    slack = scale - true.std
    spread = (true.high - true.low) + slack
    ratio = (std + slack) / scale
    shift = abs(mean - true.mean) / scale
    reach = numpy.maximum(abs(low - true.low), abs(high - true.high)) / spread
    gross = (shift > 1) | (ratio < 0.5) | (ratio > 2) | (reach > 0.5)
    slight = (shift > SLIGHT) | (ratio < 0.9) | (ratio > 1.1) | (reach > SLIGHT)
    dimensions = numpy.flatnonzero(gross if gross.any() else slight)
    if dimensions.size:
        first = int(dimensions[0])
        yield (error if gross.any() else warning)(
            "stats-disagree",
            "meta/stats.json does not describe the data: "
            f"{numbered(feature.label(int(item)) for item in dimensions)}; "
            f"of {feature.label(first)} it says mean {mean[first]:.4g}, std {std[first]:.4g}, "
            f"the rows have {true.mean[first]:.4g}, {true.std[first]:.4g}",
            fix=RECOMPUTE,
        )


def _stored_episode_statistics(layout: DatasetLayout, names: list[str]) -> dict[str, dict[int, tuple[Any, Any, Any]]]:
    """Feature to episode to stored mean, minimum and maximum; what is not stored is left out."""
    read = _from_tables if layout.info.version == V30 else _from_lines
    numpy = require("numpy", "imitation")
    found: dict[str, dict[int, tuple[Any, Any, Any]]] = {}
    for name, episode, values in read(layout, names):
        if any(value is None for value in values):
            continue
        try:
            arrays = tuple(numpy.asarray(value, numpy.float64).reshape(-1) for value in values)
        except (TypeError, ValueError):
            continue
        found.setdefault(name, {})[episode] = arrays  # type: ignore[assignment]
    return found


_COMPARED = ("mean", "min", "max")


def _from_tables(layout: DatasetLayout, names: list[str]) -> Iterator[tuple[str, int, tuple[Any, ...]]]:
    for file in sorted((layout.root / "meta" / "episodes").glob("*/*.parquet")):
        present = set(open_parquet(file, "episodes-unreadable").schema_arrow.names)
        columns = {name: [f"stats/{name}/{key}" for key in _COMPARED] for name in names}
        columns = {name: wanted for name, wanted in columns.items() if present.issuperset(wanted)}
        table = read_columns(file, ["episode_index", *(column for wanted in columns.values() for column in wanted)])
        episodes = table["episode_index"].to_pylist()
        for name, wanted in columns.items():
            for episode, *values in zip(episodes, *(table[column].to_pylist() for column in wanted), strict=True):
                yield name, int(episode), tuple(values)


def _from_lines(layout: DatasetLayout, names: list[str]) -> Iterator[tuple[str, int, tuple[Any, ...]]]:
    path = layout.root / "meta" / "episodes_stats.jsonl"
    if not path.is_file():
        return
    for line in read_lines(path, "stats-unreadable", ("episode_index", "stats")):
        with well_formed(path, "stats-unreadable"):
            found = [(name, int(line["episode_index"]), line["stats"].get(name) or {}) for name in names]
            values = [tuple(entry.get(key) for key in _COMPARED) for *_, entry in found]
        for (name, episode, _), compared in zip(found, values, strict=True):
            yield name, episode, compared
