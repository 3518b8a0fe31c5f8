"""States and actions: numbers that are none, dimensions that never change, and jumps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etude.data.checks.blocks import RowBlock, signal_columns
from etude.data.checks.findings import Finding, error, info, numbered, warning
from etude.data.sources.info import Feature
from etude.data.sources.layout import DatasetLayout
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ConstantDimensions", "check_finite", "check_jumps"]


def check_finite(layout: DatasetLayout, block: RowBlock) -> Iterator[Finding]:
    """NaN, infinity and missing values, by feature and episode."""
    numpy = require("numpy", "imitation")
    for feature, values in signal_columns(layout, block):
        bad = ~numpy.isfinite(values)
        if not bad.any():
            continue
        for record, start, end in block.spans:
            rows, dimensions = numpy.nonzero(bad[start:end])
            if rows.size:
                labels = [feature.label(int(dimension)) for dimension in numpy.unique(dimensions)]
                yield error(
                    "not-finite",
                    f"episode {record.index}: {rows.size} values of {numbered(labels)} are NaN or infinite "
                    f"(first at frame {int(rows[0])})",
                    episode=record.index,
                    fix=f"leave the episode out: --dataset.exclude_episodes='[{record.index}]', or record it again",
                )


class ConstantDimensions:
    """Dimensions that have one value in all rows."""

    def __init__(self, layout: DatasetLayout) -> None:
        self.layout = layout
        self.ranges: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}

    def see(self, block: RowBlock) -> None:
        numpy = require("numpy", "imitation")
        for feature, values in signal_columns(self.layout, block):
            if not len(values):
                continue
            low, high = numpy.nanmin(values, axis=0), numpy.nanmax(values, axis=0)
            known = self.ranges.get(feature.name, (low, high))
            self.ranges[feature.name] = (numpy.minimum(low, known[0]), numpy.maximum(high, known[1]))

    def findings(self) -> Iterator[Finding]:
        for name, (low, high) in self.ranges.items():
            feature = self.layout.info.features[name]
            constant = [dimension for dimension in range(feature.size) if low[dimension] == high[dimension]]
            if not constant:
                continue
            values = [f"{feature.label(dimension)} = {low[dimension]:.4g}" for dimension in constant]
            if name.startswith("action") and len(constant) == feature.size:
                yield error(
                    "action-constant",
                    f"the action never changes ({numbered(values)}): there is nothing to learn",
                    fix="look at how actions were recorded",
                )
            elif name.startswith(("action", "observation")):
                yield warning(
                    "dimension-constant",
                    f"constant in every frame, so its variance is zero: {numbered(values)}",
                    fix="fine where the robot does not use it; a value that differs later is blown up by normalisation",
                )
            else:
                yield info("dimension-constant", f"constant in every frame: {numbered(values)}")


HABIT_EPISODES, HABIT_SHARE = 8, 0.75
"""A dimension that jumps in more than this share of at least so many episodes does so by habit."""
JUMP_SHARE = 0.5
"""A step over this share of the dimension's range (1st to 99th percentile) ..."""
JUMP_FACTOR = 20.0
"""... that is this many times the typical (95th percentile) step of the dimension ..."""
ISOLATION = 3.0
"""... and this many times the steps two and three frames before and after it is a jump."""
SWITCH_VALUES = 16
"""A dimension with no more distinct values is a switch (a gripper, a mode): its steps are no jumps."""
STILL_SHARE = 0.01
"""A dimension whose range is below this share of its neighbours' only shows noise."""


def check_jumps(layout: DatasetLayout, block: RowBlock) -> Iterator[Finding]:
    """Actions and states that leap from one frame to the next, against the dimension's own habits.

    A step counts when it crosses half the dimension's usual range, is 20 times its 95th percentile step, and
    stands alone: a fast movement has fast frames around it. Dimensions that switch are left alone.
    """
    numpy = require("numpy", "imitation")
    for feature, values in signal_columns(layout, block):
        if not feature.name.startswith(("action", "observation.state")) or len(values) < 3:
            continue
        steps = numpy.full((len(values) - 1, feature.size), numpy.nan)
        for _, start, end in block.spans:
            steps[start : max(end - 1, start)] = numpy.diff(values[start:end], axis=0)
        jumps = numpy.abs(steps) > _limits(values, numpy.abs(steps))
        if jumps.any():
            jumps &= _isolated(steps)
            yield from _habits(feature, block, jumps)
            yield from _jump_findings(feature, block, steps, jumps)


def _limits(values: Any, steps: Any) -> Any:
    """Per dimension the step above which it jumps; infinite for one that switches or does not move."""
    numpy = require("numpy", "imitation")
    limits = numpy.full(values.shape[1], numpy.inf)
    ranges = numpy.zeros(values.shape[1])
    for dimension in range(values.shape[1]):
        finite = values[numpy.isfinite(values[:, dimension]), dimension]
        moves = steps[numpy.isfinite(steps[:, dimension]), dimension]
        if len(moves) < 20 or len(numpy.unique(finite[:10_000])) <= SWITCH_VALUES:
            continue
        ranges[dimension] = numpy.subtract(*numpy.percentile(finite, [99, 1]))
        limits[dimension] = max(JUMP_SHARE * ranges[dimension], JUMP_FACTOR * numpy.percentile(moves, 95))
    still = ranges < STILL_SHARE * numpy.median(ranges)
    return numpy.where(still, numpy.inf, limits)


def _isolated(steps: Any) -> Any:
    """Steps with none of their size near: a fast movement has some, a glitch goes up and straight back."""
    numpy = require("numpy", "imitation")
    rows = len(steps)
    padded = numpy.pad(numpy.nan_to_num(steps, posinf=0, neginf=0), ((3, 3), (0, 0)))
    shifted = {offset: padded[3 + offset : 3 + offset + rows] for offset in (-3, -2, -1, 1, 2, 3)}
    onward = [numpy.where(numpy.sign(shifted[side]) == numpy.sign(steps), abs(shifted[side]), 0) for side in (-1, 1)]
    around = numpy.max([*onward, *(abs(shifted[offset]) for offset in (-3, -2, 2, 3))], axis=0)
    return abs(steps) > ISOLATION * around


def _habits(feature: Feature, block: RowBlock, jumps: Any) -> Iterator[Finding]:
    """Dimensions that jump in nearly every episode: told once, and taken out of `jumps`."""
    numpy = require("numpy", "imitation")
    if len(block.spans) < HABIT_EPISODES:
        return
    within = [jumps[start : max(end - 1, start)] for _, start, end in block.spans]
    episodes = numpy.array([part.any(axis=0) for part in within]).sum(axis=0)
    at_start = numpy.array([part[0] if len(part) else jumps[0] & False for part in within]).sum(axis=0)
    for dimension in numpy.flatnonzero(episodes > HABIT_SHARE * len(within)):
        stale = at_start[dimension] > HABIT_SHARE * len(within)
        jumps[:, dimension] = False
        code = "action-jump" if feature.name.startswith("action") else "state-jump"
        where = " from frame 0 to 1" if stale else ""
        message = f"{feature.label(int(dimension))} jumps{where} in {episodes[dimension]} of {len(within)} episodes"
        if stale:
            yield warning(code, message, fix="the first frame seems to hold a stale reading: record it after a new one")
        else:
            yield info(code, f"{message}: the demonstrator's own way, or a fault of the recorder")


def _jump_findings(feature: Feature, block: RowBlock, steps: Any, jumps: Any) -> Iterator[Finding]:
    numpy = require("numpy", "imitation")
    code = "action-jump" if feature.name.startswith("action") else "state-jump"
    for record, start, end in block.spans:
        rows, dimensions = numpy.nonzero(jumps[start : max(end - 1, start)])
        if not rows.size:
            continue
        row, dimension = int(rows[0]), int(dimensions[0])
        others = f", and {rows.size - 1} more" if rows.size > 1 else ""
        cause = "the first frame holds a stale reading" if row == 0 else "a lost message, or an angle that wraps around"
        yield warning(
            code,
            f"episode {record.index}: {feature.label(dimension)} jumps by "
            f"{abs(steps[start + row, dimension]):.4g} "
            f"from frame {row} to {row + 1}{others}",
            episode=record.index,
            fix=f"{cause}? look at the episode, or leave it out: --dataset.exclude_episodes='[{record.index}]'",
        )
