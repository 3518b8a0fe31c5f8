"""A loader in a process of its own, measured when asked: one protocol for both systems.

Only one loader at a time may use the machine, so the group of a loader's processes is stopped between measurements.
What it had ready when it was stopped is thrown away before the clock starts again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import Child

LEAST_BATCHES = 3


@dataclass(frozen=True)
class Measurement:
    """Batches taken from a loader one after the other.

    Attributes:
        cpu_s: processor time of the loader's own process, without its workers.
    """

    samples: int
    seconds: float
    cpu_s: float

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.seconds


class LoaderProcess(Child):
    """Starts a loader and measures it.

    Args:
        command: a script of this folder that calls `serve`.
    """

    def __enter__(self) -> LoaderProcess:
        super().__enter__()
        began = time.monotonic()
        self.about = self.answer()
        self.start_s = time.monotonic() - began
        self.stop()
        return self

    def measure(self, seconds: float, *, discard: bool = True) -> Measurement:
        """Take batches for some seconds.

        Args:
            discard: first take what may lie ready.
        """
        self.let_go()
        self.ask({"seconds": seconds, "discard": discard})
        found = Measurement(**self.answer())
        self.stop()
        return found


def serve(
    batches: Iterator[dict[str, Any]],
    *,
    ready: int,
    device: str,
    first: Path | None = None,
    about: Callable[[], dict[str, Any]] = dict,
) -> None:
    """Answer the measurements asked for on standard input, until it is closed.

    Args:
        ready: most batches that may lie ready.
        device: cpu | cuda; with cuda a measurement ends when the device has all of its batches.
        first: write the first batch here, to compare it with another loader's.
        about: what to tell once the first batch is there.
    """
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    batch = next(batches)
    if first is not None:
        _write(first, batch)
    del batch
    print(json.dumps(about()), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        for _ in range(ready if asked["discard"] else 0):
            next(batches)
        print(json.dumps(vars(_take(batches, asked["seconds"], device))), file=answers)


def _take(batches: Iterator[dict[str, Any]], seconds: float, device: str) -> Measurement:
    samples = count = 0
    wait_for(device)
    began, cpu_began = time.perf_counter(), time.process_time()
    while count < LEAST_BATCHES or time.perf_counter() - began < seconds:
        samples += len(next(batches)["index"])
        count += 1
    wait_for(device)
    return Measurement(samples, time.perf_counter() - began, time.process_time() - cpu_began)


def wait_for(device: str) -> None:
    """Until everything handed to the device is done."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _write(path: Path, batch: dict[str, Any]) -> None:
    import torch

    torch.save({k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in batch.items()}, path)
