"""A trainer in a process group of its own, let go for some steps at a time: two of them can share a machine fairly."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
from types import TracebackType
from typing import Any

from children import script, started

__all__ = ["SteppingTrainer"]


class SteppingTrainer:
    """Starts a trainer and stands it still whenever it is not being measured.

    Args:
        name: lerobot | etude.
        flags: of the trainer.
    """

    def __init__(self, name: str, flags: list[str]) -> None:
        self._command = script("stepping_probe.py", name, *flags)
        self._stack = contextlib.ExitStack()
        self.losses: list[float] = []
        self.about: dict[str, Any] = {}
        self.steps = 0

    def __enter__(self) -> SteppingTrainer:
        self._process = self._stack.enter_context(started(self._command))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGCONT)
        self._stack.__exit__(kind, error, trace)

    def advance(self, steps: int) -> list[float]:
        """Let it take some steps; returns the seconds of each. The first, which may have begun before, is left out."""
        self._signal(signal.SIGCONT)
        times = [self._next() for _ in range(steps + 1)]
        self._signal(signal.SIGSTOP)
        return [after - before for before, after in itertools.pairwise(times)]

    def _next(self) -> float:
        while True:
            answer = self._answer()
            if "losses" in answer:
                self.losses = answer["losses"]
            elif "about" in answer:
                self.about = answer["about"]
            else:
                self.steps += 1
                return float(answer["done"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise ChildProcessError(f"the trainer ended: {' '.join(self._command)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
