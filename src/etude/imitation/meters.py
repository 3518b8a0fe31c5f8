"""Averages over the steps between two logged points, and where the time went."""

from __future__ import annotations

import time
from typing import Any

import torch

from etude.imitation.learner import StepResult

__all__ = ["Meters"]


class Meters:
    """Sums what each step reports; read and emptied at every logged point.

    Its state goes into checkpoints, so a point whose window spans a stop is the same as without the stop.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.clear()

    def clear(self) -> None:
        """Begin a new window."""
        self._loss = torch.zeros((), dtype=torch.float64, device=self._device)
        self._parts: dict[str, float] = {}
        self._grad_norm = torch.zeros((), dtype=torch.float64, device=self._device)
        self._steps = 0
        self._samples = 0
        self._waited_s = 0.0
        self._elapsed_s = 0.0
        self._mark: float | None = time.perf_counter()

    def pause(self) -> None:
        """Time from here to `unpause` belongs to validation or saving, not to training."""
        self._elapsed_s = self._elapsed()
        self._mark = None

    def unpause(self) -> None:
        """Training goes on."""
        self._mark = time.perf_counter()

    def _elapsed(self) -> float:
        return self._elapsed_s + (0.0 if self._mark is None else time.perf_counter() - self._mark)

    def add(self, result: StepResult, *, samples: int, waited_s: float) -> None:
        """Take in one step; nothing is copied from the device."""
        self._loss += result.loss.double()
        self._grad_norm += result.grad_norm.double()
        for name, value in result.parts.items():
            self._parts[name] = self._parts.get(name, 0.0) + value
        self._steps += 1
        self._samples += samples
        self._waited_s += waited_s

    def read(self) -> dict[str, float]:
        """The window's averages: loss, its parts, gradient norm, samples/s and the share of time spent waiting."""
        steps = max(self._steps, 1)
        elapsed = self._elapsed()
        return {
            "loss": self._loss.item() / steps,
            **{name: total / steps for name, total in self._parts.items()},
            "grad_norm": self._grad_norm.item() / steps,
            "samples_per_s": self._samples / elapsed if elapsed > 0 else 0.0,
            "data_wait_share": self._waited_s / elapsed if elapsed > 0 else 0.0,
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the running window."""
        return {
            "loss": self._loss.item(),
            "grad_norm": self._grad_norm.item(),
            "parts": dict(self._parts),
            "steps": self._steps,
            "samples": self._samples,
            "waited_s": self._waited_s,
            "elapsed_s": self._elapsed(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue the window of a checkpoint."""
        self.clear()
        self._loss += state["loss"]
        self._grad_norm += state["grad_norm"]
        self._parts = dict(state["parts"])
        self._steps = state["steps"]
        self._samples = state["samples"]
        self._waited_s = state["waited_s"]
        self._elapsed_s = state["elapsed_s"]
