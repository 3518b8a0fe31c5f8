"""Averages over the steps between two logged points, and where the time went."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from etude.imitation.learner import StepResult

__all__ = ["Meters", "Point", "as_sum"]


def as_sum(value: torch.Tensor | float) -> torch.Tensor | float:
    """A number that many others will be added to: float64 where the device has it."""
    if isinstance(value, float) or value.device.type == "mps":
        return value
    return value.double()


@dataclass
class Point:
    """Averages of a window, on their way from the device."""

    step: int
    learning_rate: float
    time_s: float
    names: list[str]
    on_device: torch.Tensor
    known: dict[str, float]

    def __post_init__(self) -> None:
        self._arrived: torch.cuda.Event | None = None
        self._values = self.on_device
        if self.on_device.device.type == "cuda":
            self._values = torch.empty(self.on_device.shape, dtype=self.on_device.dtype, pin_memory=True)
            self._values.copy_(self.on_device, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def read(self) -> dict[str, float]:
        """Name to average; waits for the copy, not for what the device was given to do after it."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return dict(zip(self.names, self._values.tolist(), strict=True)) | self.known


class Meters:
    """Sums what each step reports; read and emptied at every logged point.

    Its state goes into checkpoints, so a point whose window spans a stop is the same as without the stop.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.clear()

    def clear(self) -> None:
        """Begin a new window."""
        self._sums: dict[str, torch.Tensor | float] = {}
        self._steps = 0
        self._samples = 0
        self._waited_s = 0.0
        self._elapsed_s = 0.0
        self._busy_s = 0.0
        self._mark: float | None = time.perf_counter()
        self._cpu_mark_s = time.process_time()

    def pause(self) -> None:
        """Time from here to `unpause` belongs to validation or saving, not to training."""
        self._elapsed_s, self._busy_s = self._elapsed(), self._busy()
        self._mark = None

    def unpause(self) -> None:
        """Training goes on."""
        self._mark = time.perf_counter()
        self._cpu_mark_s = time.process_time()

    def add(self, result: StepResult, *, samples: int, waited_s: float) -> None:
        """Take in one step; nothing is copied from the device."""
        for name, value in {"loss": result.loss, **result.parts, "grad_norm": result.grad_norm}.items():
            self._sums[name] = self._sums.get(name, 0.0) + as_sum(value)
        self._steps += 1
        self._samples += samples
        self._waited_s += waited_s

    def point(self, step: int, learning_rate: float) -> Point:
        """The window's averages: loss, its parts, gradient norm, samples/s, and how the time was spent."""
        steps, elapsed = max(self._steps, 1), self._elapsed()
        tensors = {name: value for name, value in self._sums.items() if isinstance(value, torch.Tensor)}
        known = {name: value / steps for name, value in self._sums.items() if isinstance(value, float)}
        known["samples_per_s"] = self._samples / elapsed if elapsed > 0 else 0.0
        known["data_wait_share"] = self._waited_s / elapsed if elapsed > 0 else 0.0
        known |= self._device_busy(elapsed)
        values = torch.stack([value.to(self._device) for value in tensors.values()]) / steps
        return Point(step, learning_rate, time.time(), list(tensors), values, known)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the running window."""
        return {
            "sums": {name: float(value) for name, value in self._sums.items()},
            "steps": self._steps,
            "samples": self._samples,
            "waited_s": self._waited_s,
            "elapsed_s": self._elapsed(),
            "busy_s": self._busy(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue the window of a checkpoint."""
        self.clear()
        dtype = torch.float32 if self._device.type == "mps" else torch.float64
        self._sums = {
            name: torch.tensor(value, dtype=dtype, device=self._device) for name, value in state["sums"].items()
        }
        self._steps = state["steps"]
        self._samples = state["samples"]
        self._waited_s = state["waited_s"]
        self._elapsed_s = state["elapsed_s"]
        self._busy_s = state["busy_s"]

    def _elapsed(self) -> float:
        return self._elapsed_s + (0.0 if self._mark is None else time.perf_counter() - self._mark)

    def _busy(self) -> float:
        """Processor seconds of this process."""
        return self._busy_s + (0.0 if self._mark is None else time.process_time() - self._cpu_mark_s)

    def _device_busy(self, elapsed_s: float) -> dict[str, float]:
        """Share of the time in which the device computed; nothing where it does not tell."""
        if self._device.type == "cpu":
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            return {"device_busy_share": min(1.0, self._busy() / (elapsed_s * cores))} if elapsed_s > 0 else {}
        try:
            return {"device_busy_share": torch.cuda.utilization(self._device) / 100}
        except Exception:  # noqa: BLE001  no NVML, a partitioned GPU, another kind of device: they do not tell
            return {}
