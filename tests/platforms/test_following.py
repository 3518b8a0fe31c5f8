"""Reading a log that grows, in pieces of any size, over a connection that breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import PlatformError
from etude.platforms.following import LogReader, follow
from etude.platforms.handles import Handle
from etude.platforms.seam import RemoteFile
from etude.platforms.states import JobState, JobStatus

HANDLE = Handle("test", "job")


@dataclass
class Growing:
    """A job whose log grows by a piece at every look; it has ended when nothing is left."""

    pieces: list[bytes]
    fails: Iterator[bool]
    file: str = "std_log.txt"
    log: bytes = b""
    told: list[str] = field(default_factory=list)

    def status(self, _: Handle) -> JobStatus:
        self._break()
        if self.pieces:
            self.log += self.pieces.pop(0)
            return JobStatus(str(HANDLE), JobState.RUNNING)
        return JobStatus(str(HANDLE), JobState.SUCCEEDED)

    def log_files(self, _: Handle) -> Sequence[RemoteFile]:
        self._break()
        return [RemoteFile(self.file, len(self.log))]

    def read_log(self, _: Handle, path: str, offset: int) -> bytes:
        self._break()
        return self.log[offset : offset + 7]

    def _break(self) -> None:
        if next(self.fails, False):
            raise PlatformError("reset")


@given(st.lists(st.binary(max_size=20), max_size=10), st.lists(st.booleans(), max_size=40))
def test_every_line_once(pieces: list[bytes], fails: list[bool]) -> None:
    platform = Growing(list(pieces), iter(fails))
    reader = LogReader(platform, HANDLE)  # type: ignore[arg-type]
    lines = list(follow(reader, tell=platform.told.append, sleep=lambda _: None))
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert lines == [line.decode(errors="replace").rstrip("\r") for line in expected]


def test_it_gives_up_in_the_end() -> None:
    platform = Growing([b"a\n"], iter([True] * 1000))
    reader = LogReader(platform, HANDLE)  # type: ignore[arg-type]
    with pytest.raises(PlatformError, match="reset"):
        list(follow(reader, tell=platform.told.append, give_up_s=60, sleep=lambda _: None))
    assert platform.told == ["reset; trying again"]


def test_a_log_that_begins_anew_is_read_from_its_start() -> None:
    platform = Growing([], iter([]), log=b"first attempt, line 1\nline 2\n")
    reader = LogReader(platform, HANDLE)  # type: ignore[arg-type]
    assert list(reader.new_lines()) == ["first attempt, line 1", "line 2"]
    platform.log = b"second\n"
    assert list(reader.new_lines()) == ["second"]
