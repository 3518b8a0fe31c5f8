"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from etude.report.numbers import compact_ranges, duration, percent, significant, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.042134, "0.04213"), (1234.5, "1,234"), (0.0000123, "1.23e-05"), (0, "0"), (2.0, "2"), (-0.5, "-0.5"),
     (math.nan, "NaN"), (math.inf, "∞"), (None, "–"), (20000, "20,000")],
)  # fmt: skip
def test_significant(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_durations_and_sizes() -> None:
    assert duration(47.4) == "47 s"
    assert duration(372) == "6 min 12 s"
    assert duration(11_100) == "3 h 05 min"
    assert size(812) == "812 B"
    assert size(4_200_000) == "4.2 MB"
    assert percent(0.925, 1) == "92.5 %"


@pytest.mark.parametrize(
    ("numbers", "text"), [([0, 1, 2, 4, 7, 8], "0–2, 4, 7–8"), ([5], "5"), ([], "none"), ([3, 3, 4], "3–4")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert compact_ranges(numbers) == text
