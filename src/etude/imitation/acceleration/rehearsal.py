"""Steps taken to be timed, and undone."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from etude.imitation import randomness
from etude.imitation.acceleration.applying import apply, errors_shown
from etude.imitation.acceleration.settings import Acceleration
from etude.imitation.learner import Learner, Part
from etude.imitation.processes import Processes
from etude.imitation.snapshot import in_host_memory

__all__ = ["Rehearsal"]

TIMED_STEPS = 2
TURNS = 2


class Rehearsal:
    """A learner that may take steps while the block runs; afterwards it is what it was before.

    All processes of a run rehearse together, and go by the times of the first.

    Args:
        parts: the batch to step on, again and again.
        batch_size: samples of a full batch.
    """

    STEPS_TO_COMPARE: ClassVar[int] = 1 + 2 * TURNS * (1 + TIMED_STEPS)

    def __init__(self, learner: Learner, parts: Sequence[Part], processes: Processes, batch_size: int) -> None:
        self._learner = learner
        self._parts = parts
        self._processes = processes
        self._batch_size = batch_size
        self._weights: dict[str, torch.Tensor] = {}
        self._optimizer: dict[str, Any] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Rehearsal:
        policy = self._learner.policy
        self._weights = {name: value.detach().to("cpu", copy=True) for name, value in policy.state_dict().items()}
        self._optimizer = in_host_memory(self._learner.bare_optimizer.state_dict())
        self._undo.enter_context(randomness.isolated(0))
        return self

    def __exit__(self, *_: object) -> None:
        learner = self._learner
        self._wait()
        apply(Acceleration(), learner, self._batch_size)
        learner.policy.load_state_dict(self._weights)
        learner.bare_optimizer.state.clear()
        learner.bare_optimizer.load_state_dict(self._optimizer)
        learner.optimizer.zero_grad()
        self._undo.close()

    def step_s(self, acceleration: Acceleration) -> float:
        """Median seconds of a step with these accelerations."""
        apply(acceleration, self._learner, self._batch_size)
        self._step()
        return self.agreed(statistics.median(self._timed_step() for _ in range(TIMED_STEPS)))

    def compare(self, one: Acceleration, other: Acceleration) -> tuple[float, float]:
        """Seconds of a step with the one and with the other, taking turns; of each the best turn."""
        turns = [(self.step_s(one), self.step_s(other)) for _ in range(TURNS)]
        return min(turn[0] for turn in turns), min(turn[1] for turn in turns)

    def fails(self, acceleration: Acceleration) -> str | None:
        """Take a step; returns the reason if it cannot be taken, in one line."""
        reason = None
        try:
            with errors_shown():
                apply(acceleration, self._learner, self._batch_size)
                self._step()
        except Exception as error:  # noqa: BLE001  whatever a compiler raises: the run goes on without it
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:160]
            self._learner.optimizer.zero_grad()
        reasons = [found for found in self._processes.gather(reason) if found is not None]
        return reasons[0] if reasons else None

    def agreed(self, seconds: float) -> float:
        """The first process's measurement, for all."""
        return float(self._processes.gather(seconds)[0])

    def _timed_step(self) -> float:
        self._wait()
        began = time.perf_counter()
        self._step()
        self._wait()
        return time.perf_counter() - began

    def _step(self) -> Any:
        return self._learner.update(self._parts, follow=False)

    def _wait(self) -> None:
        if self._learner.device.type == "cuda":
            torch.cuda.synchronize(self._learner.device)
