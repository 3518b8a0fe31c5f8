"""A job's log as it grows: no line twice, none lost, whatever happens to the connection in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from etude.errors import PlatformError
from etude.platforms.handles import Handle
from etude.platforms.seam import Platform
from etude.platforms.states import JobStatus

__all__ = ["LogReader", "follow"]

LONGEST_PAUSE_S = 30.0


@dataclass
class LogReader:
    """Reads what is new in a job's logs, by the byte where it stopped.

    Attributes:
        offsets: bytes read of each file; give them back to go on from there.
    """

    platform: Platform
    handle: Handle
    offsets: dict[str, int] = field(default_factory=dict)
    _tails: dict[str, bytes] = field(default_factory=dict)

    def new_lines(self, *, to_the_end: bool = False) -> Iterator[str]:
        """Complete lines that came since the last call.

        Args:
            to_the_end: nothing more will come, so an unfinished line counts too.

        Raises:
            PlatformError: the platform does not answer. What was given out is not given out again.
        """
        files = self.platform.log_files(self.handle)
        several = len(files) > 1
        for file in files:
            if 0 < file.bytes < self.offsets.get(file.path, 0):  # a new attempt began its log anew
                self.offsets[file.path] = 0
                self._tails.pop(file.path, None)
            while data := self.platform.read_log(self.handle, file.path, self.offsets.get(file.path, 0)):
                self.offsets[file.path] = self.offsets.get(file.path, 0) + len(data)
                *lines, tail = (self._tails.pop(file.path, b"") + data).split(b"\n")
                if tail:
                    self._tails[file.path] = tail
                yield from (_shown(line, file.path, several) for line in lines)
        if to_the_end:
            for path in list(self._tails):
                yield _shown(self._tails.pop(path), path, several)


def follow(
    reader: LogReader,
    *,
    every_s: float = 1.0,
    give_up_s: float = 600.0,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Lines until the job has ended and its log is read to the end.

    Args:
        give_up_s: seconds without an answer after which the error is passed on.
        tell: called with a sentence when the connection is lost, when it is back, and when the state changes.

    Raises:
        PlatformError: the platform has not answered for `give_up_s`.
        JobError: there is no such job.
    """
    lost_s, pause_s = 0.0, every_s
    before: JobStatus | None = None
    while True:
        try:
            # The state first: what a job that has ended wrote is in its log already.
            status = reader.platform.status(reader.handle)
            yield from reader.new_lines(to_the_end=status.state.is_final)
        except PlatformError as error:
            if lost_s >= give_up_s:
                raise
            if lost_s == 0.0:
                tell(f"{error.message}; trying again")
            sleep(pause_s)
            lost_s, pause_s = lost_s + pause_s, min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        if lost_s:
            tell("connected again")
            lost_s, pause_s = 0.0, every_s
        if before is None or (before.state, before.attempt) != (status.state, status.attempt):
            tell(_sentence(status))
            before = status
        if status.state.is_final:
            return
        sleep(every_s)


def _sentence(status: JobStatus) -> str:
    again = f", attempt {status.attempt}" if status.attempt > 1 else ""
    return f"{status.state}{again}" + (f": {status.reason}" if status.reason else "")


def _shown(line: bytes, path: str, several: bool) -> str:
    text = line.decode(errors="replace").rstrip("\r")
    return f"[{path.rpartition('/')[2].rpartition('.')[0]}] {text}" if several else text
