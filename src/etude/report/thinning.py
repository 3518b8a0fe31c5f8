"""Fewer points, the same picture: what a chart of a few hundred pixels needs of a long curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["smooth", "thin"]

Points = Sequence[tuple[int, float]]


def thin(points: Points, buckets: int = 250) -> list[tuple[int, float]]:
    """At most four points a bucket: the first, lowest, highest and last, in order. No spike is lost.

    A point that is not finite is a gap in the line and is kept, one a bucket. A short curve is kept whole.
    """
    if len(points) <= 4 * buckets:
        return list(points)
    kept: list[tuple[int, float]] = []
    for bucket in range(buckets):
        start, end = bucket * len(points) // buckets, (bucket + 1) * len(points) // buckets
        finite = [index for index in range(start, end) if math.isfinite(points[index][1])]
        chosen = {start, end - 1}
        if len(finite) < end - start:
            chosen.add(next(index for index in range(start, end) if not math.isfinite(points[index][1])))
        if finite:
            chosen.add(min(finite, key=lambda index: points[index][1]))
            chosen.add(max(finite, key=lambda index: points[index][1]))
        kept.extend(points[index] for index in sorted(chosen))
    return kept


def smooth(points: Points, span: int) -> list[tuple[int, float]]:
    """Mean of about `span` points around each one: centred, so that a falling curve is not drawn too high.

    Towards the ends the window narrows, to a quarter at most; points that are not finite are passed over.
    """
    good = [(step, value) for step, value in points if math.isfinite(value)]
    sums = list(accumulate((value for _, value in good), initial=0.0))
    smoothed = []
    for index, (step, _) in enumerate(good):
        reach = max(min(span // 2, index, len(good) - 1 - index), span // 8)
        start, end = max(0, index - reach), min(len(good), index + reach + 1)
        smoothed.append((step, (sums[end] - sums[start]) / (end - start)))
    return smoothed
