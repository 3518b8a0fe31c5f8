"""Estimates with their uncertainty. Standard library only; nothing here touches global random state."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist

from etude.runs.results import Interval

__all__ = ["mcnemar_exact", "mean_interval", "paired_difference", "success_interval"]

RESAMPLES = 2000


def success_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Success rate with Wilson's score interval, which keeps its coverage at 0 % and 100 % too.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    low, high = _wilson(successes, trials, confidence)
    return Interval(successes / trials, low, high, "wilson", confidence)


def _wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    # Rounding must not move the ends that are exactly 0 and 1.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def mean_interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean with the percentile bootstrap interval, from `RESAMPLES` resamples of a generator of its own.

    Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    generator = random.Random(seed)
    count = len(values)
    means = sorted(math.fsum(generator.choices(values, k=count)) / count for _ in range(RESAMPLES))
    tail = (1 - confidence) / 2
    low = means[int(tail * (RESAMPLES - 1))]
    high = means[math.ceil((1 - tail) * (RESAMPLES - 1))]
    return Interval(math.fsum(values) / count, low, high, "bootstrap", confidence)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test on paired successes.

    Under the hypothesis that both policies are equally good, each pair that differs is a fair coin flip.

    Source: A. Agresti, "Categorical data analysis", 2013, section 11.1.4.
    """
    differing = only_first + only_second
    tail = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2.0 * tail / float(2**differing))


def paired_difference(both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95) -> Interval:
    """Difference of two success rates on the same episodes, second minus first.

    Newcombe's square-and-add interval from the two Wilson intervals, with the correlation of the pairs and
    its continuity correction.

    Source: R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17, 1998, method 10.
    """
    pairs = both + only_first + only_second + neither
    first, second = (both + only_first) / pairs, (both + only_second) / pairs
    low1, high1 = _wilson(both + only_first, pairs, confidence)
    low2, high2 = _wilson(both + only_second, pairs, confidence)
    phi = _correlation(both, only_first, only_second, neither)
    below = _square_and_add(second - low2, high1 - first, phi)
    above = _square_and_add(high2 - second, first - low1, phi)
    value = second - first
    return Interval(value, max(-1.0, value - below), min(1.0, value + above), "newcombe-paired", confidence)


def _square_and_add(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Newcombe's phi: the pairs' correlation, a positive one reduced by the continuity correction."""
    pairs = both + only_first + only_second + neither
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    product = both * neither - only_first * only_second
    corrected = max(product - pairs / 2, 0.0) if product > 0 else float(product)
    return corrected / math.sqrt(margins)
