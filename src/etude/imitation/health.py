"""Did a step go wrong? Learned a little later, so that the device need not be waited for."""

from __future__ import annotations

from collections import deque

import torch

__all__ = ["HealthWatch", "NotFiniteError"]

LAG = 2  # steps that may be under way on the device while the next is prepared


class NotFiniteError(Exception):
    """The loss or its gradient was NaN or infinite in a step; the weights are those before it.

    Attributes:
        what: loss | gradient.
        step: updates finished before it.
    """

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what)
        self.what = what
        self.step = step


class HealthWatch:
    """Looks at each step's flags, on a CPU at once and on a GPU two steps later.

    Every process looks at the same step's flags in the same step, so all of them stop together.
    """

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type == "cuda"
        self._pending: deque[tuple[int, torch.Tensor, torch.cuda.Event | None]] = deque()

    def add(self, step: int, not_finite: torch.Tensor) -> None:
        """Take in the flags `(2,)` (loss, gradient) of the update that followed `step` others.

        Raises:
            NotFiniteError: of this step or of one before it.
        """
        arrived = None
        if self._waits:
            on_device, not_finite = not_finite, torch.empty(2, dtype=torch.bool, pin_memory=True)
            not_finite.copy_(on_device, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self._pending.append((step, not_finite, arrived))
        while len(self._pending) > (LAG if self._waits else 0):
            self._look()

    def settle(self) -> None:
        """Look at all that are left: before the weights are measured or kept.

        Raises:
            NotFiniteError: of the first step that went wrong.
        """
        while self._pending:
            self._look()

    def _look(self) -> None:
        step, flags, arrived = self._pending.popleft()
        if arrived is not None:
            arrived.synchronize()
        loss, gradient = flags.tolist()
        if loss or gradient:
            raise NotFiniteError("loss" if loss else "gradient", step)
