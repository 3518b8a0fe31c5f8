"""Which curves share a chart, in which order, under which title."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.report.gather import RunView
from etude.report.numbers import percent, significant
from etude.report.thinning import smooth, thin

__all__ = ["Chart", "build_charts", "finite", "lowest"]


@dataclass(frozen=True)
class _Known:
    title: str
    about: str = ""
    unit: str = ""


# Metric names without their first part ("train/", "val/"); the order is the order on the page.
_KNOWN = {
    "loss": _Known("Loss", "What training minimises; held-out episodes dashed."),
    "success_rate": _Known("Success rate", "Rollouts during training.", "%"),
    "mean_reward": _Known("Mean reward", "Rollouts during training."),
    "lr": _Known("Learning rate"),
    "grad_norm": _Known("Gradient norm", "Before clipping."),
    "samples_per_s": _Known("Throughput", "Samples a second."),
    "data_wait_share": _Known("Waiting for data", "Share of the time.", "%"),
    "device_busy_share": _Known("Device busy", "Share of the time.", "%"),
}
_PART_TITLES = {"l1_loss": "L1 loss", "kld_loss": "KL divergence"}
_NOT_DRAWN = {"epoch"}  # a straight line; it stays in the table
SMOOTH_FROM = 100  # points from which a smoothed line helps


@dataclass
class Chart:
    """A chart as the page draws it.

    Attributes:
        series: label, run (its number), color, dash, points, smoothed points.
        summary: the chart in words, for those who do not see it.
    """

    key: str
    title: str
    about: str
    unit: str
    group: str
    log: bool
    series: list[dict[str, Any]]
    summary: str


def build_charts(runs: Sequence[RunView]) -> list[Chart]:
    """Charts of all metrics of all runs; training and validation of one quantity share a chart."""
    keys: dict[str, list[str]] = {}
    for run in runs:
        for name in run.curves:
            names = keys.setdefault(_key(name), [])
            if name not in names:
                names.append(name)
    order = list(_KNOWN)
    loss_parts = [key for key in keys if key not in {*_KNOWN, *_NOT_DRAWN} and not key.startswith("system/")]
    system = sorted(key for key in keys if key.startswith("system/"))
    wanted = [key for key in order[:1] if key in keys] + sorted(loss_parts)
    wanted += [key for key in order[1:] if key in keys] + system
    return [_chart(key, sorted(keys[key], key=_train_first), runs) for key in wanted]


def lowest(points: Sequence[tuple[int, float]]) -> tuple[int, float] | None:
    """The point with the lowest finite value."""
    return min(finite(points), key=lambda point: point[1], default=None)


def finite(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points that are numbers."""
    return [point for point in points if math.isfinite(point[1])]


def _key(name: str) -> str:
    first, _, rest = name.partition("/")
    return rest if rest and first in ("train", "val", "eval") else name


def _train_first(name: str) -> tuple[int, str]:
    return (0 if name.startswith("train/") else 1, name)


def _chart(key: str, names: list[str], runs: Sequence[RunView]) -> Chart:
    known = _KNOWN.get(key, _Known(_PART_TITLES.get(key, _title(key)), unit="%" if key.endswith("percent") else ""))
    scale = 100.0 if known.unit == "%" and not key.endswith("percent") else 1.0
    series: list[dict[str, Any]] = []
    for number, run in enumerate(runs):
        for name in names:
            if name in run.curves:
                series.append(_series(name, run.curves[name], number, run, len(runs), scale))
    positive = [y for item in series for _, y in item["points"] if y is not None]
    spread = bool(positive) and min(positive) > 0 and max(positive) / min(positive) > 30
    return Chart(
        key=key,
        title=known.title,
        about=known.about,
        unit=known.unit,
        group="system" if key.startswith("system/") else "training",
        log=spread and key not in ("lr",) and known.unit != "%",
        series=series,
        summary="; ".join(_in_words(item, known.unit) for item in series),
    )


def _series(
    name: str, points: list[tuple[int, float]], number: int, run: RunView, runs: int, scale: float
) -> dict[str, Any]:
    scaled = [(step, value * scale) for step, value in points]
    kind = "validation" if name.startswith("val/") else "training" if name.startswith("train/") else ""
    label = kind if runs == 1 else f"{run.name}, {kind}" if kind == "validation" else run.name
    is_noisy = len(points) >= SMOOTH_FROM and name.startswith("train/") and not name.endswith("/lr")
    return {
        "label": label or _title(name.partition("/")[2] or name),
        "run": number,
        "color": 1 if runs == 1 and kind == "validation" else number,
        "dash": kind == "validation",
        "points": _plain(thin(scaled)),
        "smooth": _plain(thin(smooth(scaled, max(10, len(points) // 40)))) if is_noisy else None,
        "total": len(points),
        "gaps": len(points) - len(finite(points)),
        "final": finite(scaled)[-1][1] if finite(scaled) else None,
    }


def _plain(points: list[tuple[int, float]]) -> list[list[float | None]]:
    """JSON has no NaN: a gap is null. Six digits are more than a screen shows."""
    return [[step, float(f"{value:.6g}") if math.isfinite(value) else None] for step, value in points]


def _in_words(item: dict[str, Any], unit: str) -> str:
    values = [point for point in item["points"] if point[1] is not None]
    if not values:
        return f"{item['label']}: no finite value"
    (_, first), (end, last) = values[0], values[-1]
    low = min(values, key=lambda point: point[1])

    def shown(value: float) -> str:
        return percent(value / 100, 1) if unit == "%" else significant(value)

    return (
        f"{item['label']}: from {shown(first)} to {shown(last)} at step {end}, lowest {shown(low[1])} at step {low[0]}"
    )


def _title(name: str) -> str:
    words = name.removeprefix("system/").replace("/", " ").replace("_", " ").strip()
    words = words.replace("cpu", "CPU").replace("gpu", "GPU").replace(" gib", ", GiB").replace(" percent", ", %")
    return words[:1].upper() + words[1:]
