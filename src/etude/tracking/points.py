"""The unit that is sent: one value of one metric at one step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from etude.runs.metrics import MetricRecord

__all__ = ["Point", "flatten", "points_of"]


class Point(NamedTuple):
    key: str
    step: int
    time: float  # seconds since the epoch
    value: float


def points_of(records: Iterable[MetricRecord]) -> list[Point]:
    """The points of records, each `(key, step)` once: the first measured counts."""
    seen: set[tuple[str, int]] = set()
    points = []
    for record in records:
        for name, value in record.metrics.items():
            key = clean(name)
            if (key, record.step) not in seen:
                seen.add((key, record.step))
                points.append(Point(key, record.step, record.time, value))
    return points


def clean(name: str) -> str:
    """A name that every tracker accepts."""
    return re.sub(r"[^\w\-. /:]", "_", name)[:250]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; values as text, null left out."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        key = clean(f"{prefix}{name}")
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{key}."))
        elif value is not None:
            flat[key] = str(value)
    return flat
