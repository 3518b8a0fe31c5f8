"""The queue between a run and its couriers: files in the run folder, which survive any process.

metrics.jsonl               points; read as it grows
tracking/start.json         what a courier needs to know: names, parameters, where to send
tracking/deliveries.jsonl   files to upload, and evaluations
tracking/NAME.json          how far the courier NAME has come with the deliveries
tracking/NAME.lock          held by the one courier that may send
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from etude.runs.atomic import write_json
from etude.runs.metrics import MetricRecord

__all__ = ["Delivery", "DeliveryQueue", "MetricsQueue", "Spool", "repair_tail"]


@dataclass(frozen=True)
class Delivery:
    """A file or folder to upload, and metrics that belong to it.

    Attributes:
        path: relative to the run folder, or absolute when it lies outside.
        name: where it goes at the tracker; slashes make folders.
        time: seconds since the epoch, fixed here so that sending twice sends the same.
    """

    path: str
    name: str
    time: float
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spool:
    """The queue's files of the run folder `run`."""

    run: Path

    @property
    def folder(self) -> Path:
        return self.run / "tracking"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.jsonl"

    @property
    def deliveries(self) -> Path:
        return self.folder / "deliveries.jsonl"

    def write_start(self, start: dict[str, Any]) -> None:
        write_json(self.folder / "start.json", start)

    def read_start(self) -> dict[str, Any] | None:
        """What `write_start` wrote; None when the run was never tracked."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "start.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found

    def deliver(self, path: Path, name: str, *, step: int = 0, metrics: dict[str, float] | None = None) -> None:
        """Queue an upload."""
        absolute = path.absolute()
        root = self.run.absolute()
        place = absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
        delivery = Delivery(str(place), name, time.time(), step, dict(metrics or {}))
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.deliveries, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(delivery)) + "\n")

    @contextlib.contextmanager
    def lock(self, tracker: str, patience_s: float) -> Iterator[bool]:
        """Whether this process is now the only courier of `tracker`; waits at most `patience_s`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + patience_s
        with open(self.folder / f"{tracker}.lock", "w", encoding="utf-8") as file:
            while not (held := _try_lock(file)) and time.monotonic() < deadline:
                time.sleep(0.1)
            yield held


class _LineQueue:
    """Lines of a growing file from a byte offset on. One that was replaced or cut is read from its start."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._ahead = offset
        self._inode: int | None = None

    def _lines(self, limit: int) -> list[str]:
        """Up to `limit` complete lines after the offset; `commit` moves past them."""
        self._ahead = self.offset
        try:
            file = open(self.path, "rb")  # noqa: SIM115
        except FileNotFoundError:
            return []
        with file:
            state = os.fstat(file.fileno())
            if state.st_size < self.offset or self._inode not in (None, state.st_ino):
                self.offset = self._ahead = 0
            self._inode = state.st_ino
            file.seek(self.offset)
            lines: list[str] = []
            for line in file:
                if not line.endswith(b"\n") or len(lines) == limit:
                    break
                self._ahead += len(line)
                lines.append(line.decode("utf-8", errors="replace"))
            return lines

    def commit(self) -> None:
        """Those that were read last are sent."""
        self.offset = self._ahead


class MetricsQueue(_LineQueue):
    """The points that are still to send."""

    def peek(self, limit: int) -> list[MetricRecord]:
        """The next records, oldest first; the same ones again until `commit`."""
        records = []
        for line in self._lines(limit):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                records.append(MetricRecord.from_json(json.loads(line)))
        return records

    def pending(self) -> int:
        """How many points (values, not records) are still to send."""
        return sum(len(record.metrics) for record in MetricsQueue(self.path, self.offset).peek(-1))


class DeliveryQueue(_LineQueue):
    """The uploads that are still to do; how far they are is kept in a file of the tracker's."""

    def __init__(self, spool: Spool, tracker: str) -> None:
        self._state = spool.folder / f"{tracker}.json"
        try:
            offset = int(json.loads(self._state.read_text(encoding="utf-8"))["deliveries_offset"])
        except (OSError, ValueError, KeyError):
            offset = 0
        super().__init__(spool.deliveries, offset)

    def peek(self) -> Delivery | None:
        """The next upload; the same again until `commit`."""
        for line in self._lines(1):
            with contextlib.suppress(ValueError, TypeError):
                return Delivery(**json.loads(line))
            self.commit()
        return None

    def commit(self) -> None:
        super().commit()
        write_json(self._state, {"deliveries_offset": self.offset})

    def pending(self) -> int:
        """How many uploads are still to do."""
        return len(_LineQueue(self.path, self.offset)._lines(-1))


def repair_tail(path: Path) -> None:
    """Cut off a last line that a crash left unfinished, so that the next one does not join it."""
    with contextlib.suppress(FileNotFoundError), open(path, "r+b") as file:
        content_end = file.seek(0, os.SEEK_END)
        position = content_end
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < content_end:
            file.truncate(position)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks (some network mounts): better to send than never to send
    return True
