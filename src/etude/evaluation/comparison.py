"""Two policies on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence

from etude.errors import UsageError
from etude.evaluation.statistics import mcnemar_exact, paired_difference
from etude.runs.results import ComparisonResult, RolloutResult

__all__ = ["compare"]


def compare(first: RolloutResult, second: RolloutResult, command: Sequence[str] = ()) -> ComparisonResult:
    """Compare two rollouts that started from the same initial states.

    Pairing removes the luck of the draw: an episode that is hard is hard for both.

    Raises:
        UsageError: their environments or seeds differ.
    """
    for key in ("type", "task", "max_steps"):
        if first.environment.get(key) != second.environment.get(key):
            raise UsageError(
                f"the two evaluations differ in {key}: {first.environment.get(key)} and {second.environment.get(key)}",
                hint="evaluate both again with the same --env.type, --env.task and --seed",
            )
    seeds = [episode.seed for episode in first.episodes]
    if seeds != [episode.seed for episode in second.episodes]:
        raise UsageError("the two evaluations have different seeds", hint="evaluate both with the same --seed")
    pairs = [(a.success, b.success) for a, b in zip(first.episodes, second.episodes, strict=True)]
    table = {
        "both": pairs.count((True, True)),
        "only_first": pairs.count((True, False)),
        "only_second": pairs.count((False, True)),
        "neither": pairs.count((False, False)),
    }
    return ComparisonResult(
        policies=[first.policy, second.policy],
        environment=first.environment,
        first=first.success_rate,
        second=second.success_rate,
        difference=paired_difference(**table),
        p_value=mcnemar_exact(table["only_first"], table["only_second"]),
        table=table,
        seeds=seeds,
        command=list(command),
    )
