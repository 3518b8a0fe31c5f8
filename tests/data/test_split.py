"""Which episodes are held out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.data.split import choose_episodes, split_episodes
from etude.errors import UsageError


@given(
    tasks=st.lists(st.sampled_from(["push", "pull", "lift"]), min_size=1, max_size=30),
    fraction=st.floats(0.01, 0.9),
)
def test_every_task_is_split_and_nothing_is_lost(tasks: list[str], fraction: float) -> None:
    episodes = list(range(len(tasks)))
    split = split_episodes(episodes, [[task] for task in tasks], fraction)
    assert sorted(split.train + split.val) == episodes
    for task in set(tasks):
        members = [episode for episode in episodes if tasks[episode] == task]
        trained = [episode for episode in members if episode in split.train]
        assert trained, "a task must be trained on"
        assert trained == members[: len(trained)], "the last episodes are held out"
        assert len(trained) < len(members) or len(members) == 1


def test_zero_holds_nothing_out() -> None:
    assert split_episodes([3, 1], [["a"]] * 4, 0.0).val == []


def test_include_and_exclude() -> None:
    assert choose_episodes(6, None, [2, 4]) == [0, 1, 3, 5]
    assert choose_episodes(6, [5, 2, 0], [2]) == [5, 0]


@pytest.mark.parametrize(("include", "exclude"), [([6], []), (None, [-1]), (None, [99])])
def test_episodes_outside_the_dataset_are_named(include: list[int] | None, exclude: list[int]) -> None:
    with pytest.raises(UsageError, match=r"numbered 0 to 5"):
        choose_episodes(6, include, exclude)


def test_nothing_left() -> None:
    with pytest.raises(UsageError, match="no episode is left"):
        choose_episodes(2, None, [0, 1])
