"""Peak memory of a process and its children, the page cache apart, sampled from /proc."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL_S = 0.1
MIB = 1024  # /proc counts in KiB


@dataclass
class Peak:
    """Most that was in use at one time, MiB.

    Attributes:
        resident: anonymous and shared memory of each process, added up: memory that two processes share counts twice.
        proportional: the same with shared pages split between those that map them.
        processes: how many there were at most.
    """

    resident: float = 0.0
    proportional: float = 0.0
    processes: int = 0


class MemoryWatch:
    """Samples the tree below a process in a thread, from `__enter__` to `__exit__`."""

    def __init__(self, pid: int) -> None:
        self.peak = Peak()
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        rounds = 0
        while not self._stop.wait(INTERVAL_S):
            pids = _tree(self._pid)
            self.peak.processes = max(self.peak.processes, len(pids))
            self.peak.resident = max(self.peak.resident, _sum(pids, "status", ("RssAnon:", "RssShmem:")))
            if rounds % 5 == 0:  # the kernel walks every page for these
                proportional = _sum(pids, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
                self.peak.proportional = max(self.peak.proportional, proportional)
            rounds += 1


def _tree(pid: int) -> list[int]:
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def _sum(pids: Iterable[int], file: str, fields: tuple[str, ...]) -> float:
    """Sum of these fields of `/proc/PID/FILE`, MiB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                if line.startswith(fields):
                    total += int(line.split()[1])
    return total / MIB
