"""LeRobot's best setting for this machine: number of worker processes and video backend, found by measuring."""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from children import script
from loader_process import LoaderProcess

MEASUREMENTS = 2


@dataclass(frozen=True)
class Setting:
    """What `lerobot-train` reads its data with."""

    backend: str
    workers: int

    def __str__(self) -> str:
        return f"{self.backend}:{self.workers}"

    @classmethod
    def parse(cls, text: str) -> Setting:
        """`torchcodec:2`, as `str()` writes it."""
        backend, workers = text.split(":")
        return cls(backend, int(workers))

    @property
    def flags(self) -> list[str]:
        return [f"--dataset.video_backend={self.backend}", f"--num_workers={self.workers}"]


def worker_counts(quick: bool) -> list[int]:
    """Numbers of workers worth trying: none, and powers of two up to the cores."""
    cores = len(os.sched_getaffinity(0))
    if quick:
        return sorted({0, cores})
    return sorted({0, *(count for count in (1, 2, 4, 8, 16) if count <= cores), cores})


def loader(flags: list[str], setting: Setting, first: Path | None = None) -> LoaderProcess:
    """LeRobot's loader of a setting, not yet started."""
    where = ["--first", str(first)] if first else []
    return LoaderProcess(script("lerobot_loading.py", *where, *flags, *setting.flags))


def sweep(flags: list[str], seconds: float, *, quick: bool) -> dict[Setting, float]:
    """Samples/s of every setting worth trying, each in a process of its own.

    torchcodec first with each number of workers, then pyav with the two numbers that did best.
    """
    found: dict[Setting, float] = {}
    backends = ["torchcodec"] if importlib.util.find_spec("torchcodec") else ["pyav"]
    for workers in worker_counts(quick):
        _try(Setting(backends[0], workers), flags, seconds, found)
    if backends == ["torchcodec"] and not (quick and found):
        ranked = sorted(found, key=lambda setting: -found[setting])
        for workers in [setting.workers for setting in ranked[:2]] or worker_counts(quick):
            _try(Setting("pyav", workers), flags, seconds, found)
    if not found:
        sys.exit("LeRobot's loader works with no setting here")
    return found


def best(found: dict[Setting, float]) -> Setting:
    """The fastest."""
    return max(found, key=lambda setting: found[setting])


def _try(setting: Setting, flags: list[str], seconds: float, found: dict[Setting, float]) -> None:
    try:
        with loader(flags, setting) as process:
            rates = [process.measure(seconds).samples_per_s for _ in range(MEASUREMENTS)]
            found[setting] = statistics.median(rates)
            print(
                f"  lerobot {setting}: {found[setting]:.0f} samples/s, first batch after {process.start_s:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    except ChildProcessError:
        print(f"  lerobot {setting}: fails", file=sys.stderr, flush=True)
