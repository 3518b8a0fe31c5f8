"""The order of a stream: every frame once an epoch, continued anywhere, dealt to processes, read forwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data.order import Position
from etude.data.streaming import EpisodeIndex, StreamOrder


def make_index(lengths: list[int], per_file: int) -> EpisodeIndex:
    ends = np.cumsum(lengths)
    files = np.arange(len(lengths)) // per_file
    return EpisodeIndex(ends - lengths, np.asarray(lengths), files, tuple(str(n) for n in range(files[-1] + 1)))


@st.composite
def streams(draw: st.DrawFn) -> tuple[EpisodeIndex, dict[str, Any]]:
    index = make_index(draw(st.lists(st.integers(1, 20), min_size=1, max_size=8)), draw(st.integers(1, 4)))
    readers = draw(st.integers(1, 3))
    return index, {
        "episodes": list(range(len(index.start))),
        "seed": draw(st.integers(0, 5)),
        "readers": readers,
        "shares": readers * draw(st.integers(1, 3)),
        "share_size": draw(st.integers(1, 5)),
        "lanes": draw(st.integers(1, 4)),
        "lane_frames": draw(st.integers(1, 6)),
    }


@settings(max_examples=100, deadline=None)
@given(streams())
def test_an_epoch_is_every_frame_once(stream: tuple[EpisodeIndex, dict[str, Any]]) -> None:
    index, how = stream
    order = StreamOrder(index, **how)
    steps = -(-order.num_samples // order.global_batch)
    for epoch in range(2):
        first = epoch * steps
        assert order.position(first) == Position(epoch, 0)
        rows = np.concatenate([order.rows_of(step) for step in range(first, first + steps)])
        assert sorted(rows.tolist()) == list(range(order.num_samples))


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 40))
def test_continued_anywhere_it_is_the_same(stream: tuple[EpisodeIndex, dict[str, Any]], stop: int) -> None:
    index, how = stream
    whole = StreamOrder(index, **how)
    continued = StreamOrder(index, **how, start=whole.position(stop), first_step=stop)
    for step in range(stop, stop + 9):
        assert continued.rows_of(step).tolist() == whole.rows_of(step).tolist()


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 30))
def test_shares_are_the_global_batch_and_average_to_its_mean(
    stream: tuple[EpisodeIndex, dict[str, Any]], step: int
) -> None:
    index, how = stream
    order = StreamOrder(index, **how)
    parts = [order.share(step, number) for number in range(order.shares)]
    assert all(len(part.rows) > 0 for part in parts)
    real = np.concatenate([part.rows for part in parts if part.weight > 0])
    assert sorted(real.tolist()) == sorted(order.rows_of(step).tolist())
    losses = np.random.default_rng(0).random(order.num_samples)
    mean_of_shares = np.mean([part.weight * losses[part.rows].mean() for part in parts])
    np.testing.assert_allclose(mean_of_shares, losses[order.rows_of(step)].mean())


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(0, 3))
def test_left_out_episodes_and_last_frames(stream: tuple[EpisodeIndex, dict[str, Any]], drop: int) -> None:
    index, how = stream
    how["episodes"] = how["episodes"][::2]
    order = StreamOrder(index, **how, drop_last=drop)
    expected = index.rows_of(how["episodes"], drop)
    assert order.num_samples == len(expected)
    steps = -(-order.num_samples // order.global_batch)
    rows = [row for step in range(steps) for row in order.rows_of(step).tolist()]
    assert sorted(rows) == expected.tolist()


def test_epochs_and_seeds_differ_and_blocks_are_mixed() -> None:
    index = make_index([50] * 40, 4)
    how = {"episodes": list(range(40)), "share_size": 32}

    def samples(seed: int, steps: range) -> list[int]:
        order = StreamOrder(index, seed=seed, **how)
        return [row for step in steps for row in order.rows_of(step).tolist()]

    epoch = -(-2000 // 32)
    assert samples(1, range(4)) == samples(1, range(4))
    assert samples(1, range(4)) != samples(2, range(4))
    assert samples(1, range(4)) != samples(1, range(epoch, epoch + 4))
    episodes = {row // 50 for row in samples(1, range(1))}
    assert len(episodes) >= 8  # a batch is drawn from all lanes


def test_few_files_are_needed_at_a_time_and_processes_share_hardly_any() -> None:
    index = make_index([100] * 400, 4)  # 100 files of 400 frames
    order = StreamOrder(index, list(range(400)), seed=0, share_size=16, shares=2, readers=2, lanes=4, lane_frames=50)
    steps = order.num_samples // order.global_batch

    def files(step: int, reader: int) -> set[int]:
        return set(index.file[index.episode_of(order.share(step, reader).rows)].tolist())

    for reader in range(2):
        for step in range(0, steps - 12, 37):
            window = set.union(*(files(near, reader) for near in range(step, step + 12)))  # about a block
            assert len(window) <= 4 * 2
    everything = [set.union(*(files(step, reader) for step in range(steps))) for reader in range(2)]
    assert len(everything[0] & everything[1]) <= 1


def test_a_dataset_of_a_hundred_million_frames_costs_nothing_to_continue() -> None:
    lengths = [500] * 200_000
    index = make_index(lengths, 1000)
    order = StreamOrder(
        index,
        list(range(len(lengths))),
        seed=0,
        share_size=64,
        start=Position(3, 64 * 900_000),
        first_step=5_000_000,
    )
    rows = order.rows_of(5_000_000)
    assert len(set(rows.tolist())) == 64
