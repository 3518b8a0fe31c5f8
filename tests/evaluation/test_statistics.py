"""Intervals and tests, against published values and their own properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.evaluation.statistics import mcnemar_exact, mean_interval, paired_difference, success_interval

counts = st.integers(0, 60)


def test_wilson_against_published_values() -> None:
    # Newcombe 1998 (two-sample comparison of single proportions), table I, method 3.
    interval = success_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    interval = success_interval(15, 148)
    assert (interval.low, interval.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert success_interval(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert success_interval(1, 29).low == pytest.approx(0.0061, abs=5e-5)


def test_all_successes_still_leave_doubt() -> None:
    interval = success_interval(50, 50)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.9287, abs=5e-5)


@given(counts, counts)
def test_wilson_holds_the_rate_and_mirrors(successes: int, failures: int) -> None:
    if successes + failures == 0:
        return
    interval = success_interval(successes, successes + failures)
    mirrored = success_interval(failures, successes + failures)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        success_interval(successes, trials)


def test_the_paired_interval_against_published_values() -> None:
    # Fagerland, Lydersen and Laake 2013: airway hyper-responsiveness before and after transplantation.
    interval = paired_difference(1, 1, 7, 12)
    assert interval.value == pytest.approx(6 / 21)
    assert (interval.low, interval.high) == pytest.approx((0.026, 0.507), abs=5e-4)


@given(counts, counts, counts, counts)
def test_the_paired_interval_holds_the_difference_and_turns_around(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    forth, back = paired_difference(a, b, c, d), paired_difference(a, c, b, d)
    assert -1 <= forth.low <= forth.value <= forth.high <= 1
    assert forth.low == pytest.approx(-back.high, abs=1e-9)


def test_the_paired_interval_covers_as_often_as_it_says() -> None:
    generator, covered, repeats = random.Random(3), 0, 1500
    for _ in range(repeats):
        drawn = generator.choices(range(4), weights=[6, 1, 2, 1], k=50)
        interval = paired_difference(*(drawn.count(kind) for kind in range(4)))
        covered += interval.low <= 0.1 <= interval.high
    assert 0.93 < covered / repeats < 0.98


def test_mcnemar_against_hand_counts() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_exact(1, 7) == pytest.approx(2 * (1 + 8) / 256)


@given(counts, counts)
def test_mcnemar_does_not_care_who_is_first(only_first: int, only_second: int) -> None:
    p = mcnemar_exact(only_first, only_second)
    assert 0 < p <= 1
    assert p == mcnemar_exact(only_second, only_first)


def test_the_bootstrap_repeats_and_leaves_global_randomness_alone() -> None:
    values = [float(value) for value in range(30)]
    random.seed(5)
    state = random.getstate()
    interval = mean_interval(values)
    assert random.getstate() == state
    assert interval == mean_interval(values)
    assert interval.low < interval.value == 14.5 < interval.high
    # The interval of a normal approximation is 14.5 ± 3.1.
    assert (interval.low, interval.high) == pytest.approx((11.4, 17.6), abs=0.5)


def test_a_constant_has_no_spread() -> None:
    interval = mean_interval([2.0] * 10)
    assert (interval.low, interval.value, interval.high) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
