"""`metrics.jsonl`: nothing lost but the line that was being written."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from etude.runs.metrics import MetricRecord, MetricsFile, read_metrics, series, truncate_after

names = st.sampled_from(["train/loss", "val/loss", "eval/success_rate"])
records = st.lists(
    st.builds(
        MetricRecord,
        step=st.integers(0, 1000),
        time=st.floats(0, 2e9),
        metrics=st.dictionaries(names, st.floats(), max_size=3),
    ),
    max_size=10,
)


def same(a: MetricRecord, b: MetricRecord) -> bool:
    return (a.step, a.time, a.metrics.keys()) == (b.step, b.time, b.metrics.keys()) and all(
        (math.isnan(a.metrics[name]) and math.isnan(b.metrics[name])) or a.metrics[name] == b.metrics[name]
        for name in a.metrics
    )


def write(path: Path, points: list[MetricRecord]) -> None:
    file = MetricsFile(path)
    for point in points:
        file.append(point)
    file.close()


@given(points=records, cut=st.integers(1, 30))
def test_what_was_written_is_read_and_a_torn_line_is_left_out(
    tmp_path_factory, points: list[MetricRecord], cut: int
) -> None:
    path = tmp_path_factory.mktemp("m") / "metrics.jsonl"
    write(path, points)
    read = list(read_metrics(path))
    assert all(same(a, b) for a, b in zip(read, points, strict=True))
    if points:
        data = path.read_bytes()
        last = len(data.splitlines()[-1])
        path.write_bytes(data[: -min(cut, last)])
        assert len(list(read_metrics(path))) == len(points) - 1


@given(points=records, step=st.integers(0, 1000))
def test_truncation_drops_exactly_the_later_points(tmp_path_factory, points: list[MetricRecord], step: int) -> None:
    path = tmp_path_factory.mktemp("m") / "metrics.jsonl"
    write(path, points)
    dropped = truncate_after(path, step)
    kept = list(read_metrics(path))
    assert dropped + len(kept) == len(points)
    assert [record.step for record in kept] == [record.step for record in points if record.step <= step]


def test_curves() -> None:
    points = [MetricRecord(1, 0.0, {"a": 1.0, "b": 2.0}), MetricRecord(2, 0.0, {"a": 3.0})]
    assert series(points) == {"a": [(1, 1.0), (2, 3.0)], "b": [(1, 2.0)]}
