"""`metrics.jsonl`: every logged point, one JSON object a line.

The file is the source of truth. Trackers send what it holds; a tracking server that died can be fed from it
later.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["MetricRecord", "MetricsFile", "read_metrics"]


@dataclass(frozen=True)
class MetricRecord:
    """Metrics measured at one step.

    Attributes:
        step: number of finished optimizer updates.
        time: seconds since the epoch.
        metrics: names as `train/loss`, `val/loss`, `eval/success_rate`, `system/cpu_percent`.
    """

    step: int
    time: float
    metrics: dict[str, float] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON; NaN and infinity become strings, which JSON has."""
        items = self.metrics.items()
        metrics = {name: value if math.isfinite(value) else str(value) for name, value in items}
        # Written out: `dataclasses.asdict` copies deeply, which costs five times as much as the rest.
        return json.dumps({"step": self.step, "time": self.time, "metrics": metrics}) + "\n"

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> MetricRecord:
        """The record that `to_line` wrote."""
        metrics = {name: float(value) for name, value in payload["metrics"].items()}
        return cls(step=int(payload["step"]), time=float(payload["time"]), metrics=metrics)


class MetricsFile:
    """Appends records, one write each, so that a killed process loses at most the record it was writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115  it lives as long as the run

    def append(self, record: MetricRecord) -> None:
        """Write one record and hand it to the operating system."""
        self._file.write(record.to_line())
        self._file.flush()

    def close(self) -> None:
        """Flush to the disk and close."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def read_metrics(path: Path) -> Iterator[MetricRecord]:
    """The records of a metrics file; a last line cut short by a crash is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            if line.strip():
                yield MetricRecord.from_json(json.loads(line))


def truncate_after(path: Path, step: int) -> int:
    """Drop the points later than `step`, which a resumed run will measure again.

    Returns:
        The number of records dropped.
    """
    if not path.exists():
        return 0
    from etude.runs.atomic import write_text

    records = list(read_metrics(path))
    kept = [record for record in records if record.step <= step]
    write_text(path, "".join(record.to_line() for record in kept))
    return len(records) - len(kept)


def series(records: Iterable[MetricRecord]) -> dict[str, list[tuple[int, float]]]:
    """Records turned into curves: metric name to `(step, value)` in the order written."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, value in record.metrics.items():
            curves.setdefault(name, []).append((record.step, value))
    return curves
