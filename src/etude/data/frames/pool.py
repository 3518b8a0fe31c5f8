"""Worker processes that decode, and what they answer."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "WorkerPool", "usable_cores"]

WORKER = "etude.data.frames.decode_worker"
KEPT_NOISE = 2000
"""Bytes kept of what a worker writes to its standard error."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Answer:
    """What a worker says of its job: frames finished since the last answer, or how the job ended.

    Attributes:
        job: as it was given to the worker; None for a worker that has none.
        done: the result, when the job ended well.
        error, kind: why it did not; kind is dataset | storage.
    """

    job: Any
    frames: int = 0
    done: dict[str, Any] | None = None
    error: str | None = None
    kind: str = "dataset"
    errno: int | None = None


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    job: Any = None
    busy: bool = False
    buffer: bytes = b""
    noise: bytes = b""
    streams: set[int] = field(default_factory=set)


class WorkerPool:
    """Processes that take a job each. Leaving the block ends them, however it is left.

    A worker ends by itself when this process does: it sees the end of its input.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> WorkerPool:
        try:
            for _ in range(self._count):
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; nothing happens the second time."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.wait()
            for stream in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._selector.close()

    @property
    def idle(self) -> int:
        """How many workers have no job."""
        return sum(not worker.busy for worker in self._workers)

    def give(self, job: Any, message: dict[str, Any]) -> None:
        """Send a job to an idle worker."""
        worker = next(worker for worker in self._workers if not worker.busy)
        worker.job, worker.busy = job, True
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; its output tells
            worker.process.stdin.write(json.dumps(message).encode() + b"\n")
            worker.process.stdin.flush()

    def answers(self) -> Iterator[Answer]:
        """Wait for something to be said, and say it."""
        for key, _ in self._selector.select():
            worker, name = key.data
            data = os.read(key.fd, 1 << 20)
            if name == "stderr":
                worker.noise = (worker.noise + data)[-KEPT_NOISE:]
                if not data:
                    self._selector.unregister(key.fileobj)
            elif not data:
                self._selector.unregister(key.fileobj)
                yield self._bury(worker)
            else:
                *lines, worker.buffer = (worker.buffer + data).split(b"\n")
                for line in lines:
                    answer = json.loads(line)
                    if "ready" not in answer:
                        yield self._answer(worker, answer)

    def _answer(self, worker: _Worker, message: dict[str, Any]) -> Answer:
        answer = Answer(worker.job, **message)
        if answer.done is not None or answer.error is not None:
            worker.job, worker.busy = None, False
        return answer

    def _bury(self, worker: _Worker) -> Answer:
        code = worker.process.wait()
        said = worker.noise.decode(errors="replace").strip().splitlines()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if code == -signal.SIGKILL:
            how += " (out of memory?)"
        return Answer(worker.job, error=f"the process that decoded it {how}" + (f": {said[-1]}" if said else ""))

    def _start(self) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **one_thread},
        )
        worker = _Worker(process)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, (worker, "stdout"))  # type: ignore[arg-type]
        self._selector.register(process.stderr, selectors.EVENT_READ, (worker, "stderr"))  # type: ignore[arg-type]
