"""A trainer in a process group of its own, let go for some steps at a time: two of them can share a machine fairly."""

from __future__ import annotations

import itertools
from typing import Any

from children import Child, script

__all__ = ["SteppingTrainer"]


class SteppingTrainer(Child):
    """Starts a trainer and stands it still whenever it is not being measured.

    Args:
        name: lerobot | etude.
        flags: of the trainer.
    """

    def __init__(self, name: str, flags: list[str]) -> None:
        super().__init__(script("stepping_probe.py", name, *flags))
        self.losses: list[float] = []
        self.about: dict[str, Any] = {}
        self.steps = 0

    def advance(self, steps: int) -> list[float]:
        """Let it take some steps; returns the seconds of each. The first, which may have begun before, is left out."""
        self.let_go()
        times = [self._next() for _ in range(steps + 1)]
        self.stop()
        return [after - before for before, after in itertools.pairwise(times)]

    def _next(self) -> float:
        while True:
            answer = self.answer()
            if "losses" in answer:
                self.losses = answer["losses"]
            elif "about" in answer:
                self.about = answer["about"]
            else:
                self.steps += 1
                return float(answer["done"])
