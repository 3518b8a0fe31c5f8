"""Batches made ahead: in order, errors where they belong, no thread left."""

from __future__ import annotations

import threading

import pytest

from etude.data.prefetch import Prefetcher


def test_in_order() -> None:
    with Prefetcher(lambda index: index * index, 3, 50) as results:
        assert list(results) == [index * index for index in range(3, 50)]


def test_an_error_comes_out_where_its_result_would_have() -> None:
    def make(index: int) -> int:
        if index == 4:
            raise ValueError("frame 4")
        return index

    with Prefetcher(make, 0, 10) as results:
        iterator = iter(results)
        assert [next(iterator) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="frame 4"):
            next(iterator)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    with Prefetcher(lambda index: index, 0, 10**9) as results:
        for value in results:
            if value == 5:
                break
    assert threading.active_count() == before
