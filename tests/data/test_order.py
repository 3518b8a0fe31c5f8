"""The order of samples: LeRobot's permutations, and a pure function of the step."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data.order import BatchOrder, Position

sizes = st.integers(1, 60)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    batch=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_batches_are_lerobots(frames: list[int], batch: int, seed: int) -> None:
    from lerobot.datasets.sampler import EpisodeAwareSampler

    ends = np.cumsum(frames)
    sampler = EpisodeAwareSampler(ends - frames, ends, shuffle=True, seed=seed)
    order = BatchOrder(np.arange(ends[-1]), seed=seed, share_size=batch)
    step = 0
    for _epoch in range(3):
        expected = list(sampler)
        for start in range(0, len(expected), batch):
            assert order.rows_of(step).tolist() == expected[start : start + batch]
            assert order.starts_epoch(step) == (start == 0)
            step += 1


@settings(max_examples=80, deadline=None)
@given(samples=sizes, shares=st.integers(1, 4), size=st.integers(1, 6), stop=st.integers(0, 50))
def test_an_order_continued_anywhere_is_the_same_order(samples: int, shares: int, size: int, stop: int) -> None:
    whole = BatchOrder(np.arange(samples), seed=3, share_size=size, shares=shares)
    continued = BatchOrder(
        np.arange(samples),
        seed=3,
        share_size=size,
        shares=shares,
        start=whole.position(stop),
        first_step=stop,
    )
    for step in range(stop, stop + 12):
        assert continued.position(step) == whole.position(step)
        assert continued.rows_of(step).tolist() == whole.rows_of(step).tolist()


@settings(max_examples=80, deadline=None)
@given(samples=sizes, shares=st.integers(1, 4), size=st.integers(1, 6), step=st.integers(0, 40))
def test_weighted_shares_average_to_the_global_batch(samples: int, shares: int, size: int, step: int) -> None:
    """The mean over shares of weight times mean loss is the mean loss over the samples of the global batch."""
    order = BatchOrder(np.arange(samples), seed=1, share_size=size, shares=shares)
    losses = np.random.default_rng(0).random(samples)
    parts = [order.share(step, index) for index in range(shares)]
    assert all(len(part.rows) > 0 for part in parts)
    mean_of_shares = np.mean([part.weight * losses[part.rows].mean() for part in parts])
    np.testing.assert_allclose(mean_of_shares, losses[order.rows_of(step)].mean())


def test_a_different_batch_size_continues_at_the_same_sample() -> None:
    first = BatchOrder(np.arange(100), seed=0, share_size=8)
    place = first.position(5)
    assert place == Position(0, 40)
    second = BatchOrder(np.arange(100), seed=0, share_size=16, start=place, first_step=5)
    seen = [row for step in range(5) for row in first.rows_of(step)]
    seen += [row for step in range(5, 9) for row in second.rows_of(step)]
    assert sorted(seen) == list(range(100))
    assert second.position(9) == Position(1, 0)
