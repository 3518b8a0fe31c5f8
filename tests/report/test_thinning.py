"""Thinned and smoothed curves."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from etude.report.thinning import smooth, thin

values = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(values, min_size=1, max_size=400), st.integers(1, 20))
def test_thinning_keeps_the_ends_and_the_extremes_in_order(ys: list[float], buckets: int) -> None:
    points = list(enumerate(ys))
    kept = thin(points, buckets)
    steps = [step for step, _ in kept]
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == len(ys) - 1
    finite = [y for y in ys if math.isfinite(y)]
    if finite:
        assert min(finite) == min(y for _, y in kept if math.isfinite(y))
        assert max(finite) == max(y for _, y in kept if math.isfinite(y))
    assert any(not math.isfinite(y) for y in ys) == any(not math.isfinite(y) for _, y in kept)
    assert len(kept) <= max(5 * buckets, 4)


def test_a_single_spike_in_a_long_curve_is_seen() -> None:
    points = [(step, 0.0) for step in range(100_000)]
    points[54_321] = (54_321, 9.0)
    assert (54_321, 9.0) in thin(points)


def test_smoothing_does_not_move_a_straight_line() -> None:
    line = [(step, 2.0 * step) for step in range(200)]
    smoothed = smooth(line, 20)
    assert all(abs(value - 2.0 * step) < 1e-9 for step, value in smoothed[10:-10])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(2, 40))
def test_smoothed_values_stay_between_the_extremes(ys: list[float], span: int) -> None:
    smoothed = smooth(list(enumerate(ys)), span)
    assert len(smoothed) == len(ys)
    assert all(min(ys) - 1e-3 <= value <= max(ys) + 1e-3 for _, value in smoothed)
