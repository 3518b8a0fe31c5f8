"""A remote file reads like a local one, and fetches each block once."""

from __future__ import annotations

import io
import os
from collections import Counter

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.data.streaming import remote
from etude.data.streaming.remote import RemoteFile

operations = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 40), st.just(0)),
        st.tuples(st.just("seek"), st.integers(0, 60), st.just(os.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(0, 9), st.just(os.SEEK_CUR)),
        st.tuples(st.just("seek"), st.integers(-9, 3), st.just(os.SEEK_END)),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(content=st.binary(min_size=10, max_size=50), block=st.integers(1, 16), wanted=operations)
def test_any_reading(content: bytes, block: int, wanted: list[tuple[str, int, int]]) -> None:
    fsspec.filesystem("memory").pipe("/some/file", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "BLOCK_BYTES", block)
        ours, expected = RemoteFile("memory://some/file"), io.BytesIO(content)
        fetched: Counter[int] = Counter()
        read = ours._file.read

        def count(size: int) -> bytes:
            fetched[ours._file.tell()] += 1
            found: bytes = read(size)
            return found

        patch.setattr(ours._file, "read", count)
        for name, number, whence in wanted:
            if name == "read":
                assert ours.read(number) == expected.read(number)
            else:
                assert ours.seek(number, whence) == expected.seek(number, whence)
    if len(content) <= block * remote.BLOCKS:
        assert all(times == 1 for times in fetched.values())


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        RemoteFile("memory://no/such/file")
