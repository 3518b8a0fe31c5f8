"""One optimizer update: forward, backward, clip, step, average."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from etude.imitation.ema import NoAverage, WeightAverage
from etude.imitation.shares import LossWeights, scaled_kl

__all__ = ["Learner", "NotFiniteError", "Part", "StepResult"]


class NotFiniteError(Exception):
    """The loss or its gradient is NaN or infinite; the weights were not touched."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Part:
    """A batch that this process adds to the update, and how its loss is weighed."""

    batch: dict[str, Any]
    weights: LossWeights


@dataclass
class StepResult:
    """What an update measured; tensors stay on the device."""

    loss: torch.Tensor
    grad_norm: torch.Tensor
    parts: dict[str, float] = field(default_factory=dict)


class Learner:
    """Holds the policy and everything that changes with an update.

    Args:
        accelerator: runs mixed precision and the exchange between processes.
        policy: the LeRobot policy itself.
        model: the policy as the accelerator wrapped it.
        preprocess: LeRobot's preprocessor, raw batch to normalised batch on the device.
        clip_norm: largest gradient norm; 0 does not clip.
        average: the moving average of the weights, or `NoAverage`.
    """

    def __init__(
        self,
        accelerator: Any,
        policy: nn.Module,
        model: nn.Module,
        optimizer: Any,
        schedule: Any | None,
        preprocess: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        clip_norm: float,
        average: WeightAverage | NoAverage,
    ) -> None:
        self.accelerator = accelerator
        self.policy = policy
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.preprocess = preprocess
        self.average = average
        self._clip_norm = clip_norm if clip_norm > 0 else math.inf
        self._after_update = getattr(policy, "update", None)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def update(self, parts: Sequence[Part]) -> StepResult:
        """Sum the gradients of all parts and step.

        Raises:
            NotFiniteError: before anything was changed.
        """
        self.policy.train()
        loss, details = self._accumulate(parts)
        grad_norm = self.accelerator.clip_grad_norm_(self.policy.parameters(), self._clip_norm)
        self._insist_on_finite(loss, grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.schedule is not None and not self.accelerator.optimizer_step_was_skipped:
            self.schedule.step()
        if callable(self._after_update):
            self._after_update()  # TD-MPC moves its target network here
        self.average.update()
        return StepResult(loss, torch.as_tensor(grad_norm), details)

    def _accumulate(self, parts: Sequence[Part]) -> tuple[torch.Tensor, dict[str, float]]:
        total: torch.Tensor | None = None
        details: dict[str, float] = {}
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                with scaled_kl(self.policy, part.weights.kl):
                    loss, found = self.forward(part.batch)
                factor = part.weights.loss / len(parts)
                weighted = loss if factor == 1.0 else loss * factor
                self.accelerator.backward(weighted)
            total = weighted.detach() if total is None else total + weighted.detach()
            for name, value in numbers(found).items():
                details[name] = details.get(name, 0.0) + value * factor
        assert total is not None
        return total, details

    def forward(self, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any] | None]:
        """The policy's loss of a raw batch, and what else it reports."""
        ready = self.preprocess(to_unit_range(batch))
        with self.accelerator.autocast():
            loss, details = self.model(ready)
        return loss, details

    def _insist_on_finite(self, loss: torch.Tensor, grad_norm: Any) -> None:
        if not torch.isfinite(loss):
            self.optimizer.zero_grad()
            raise NotFiniteError("loss")
        # With fp16 an infinite gradient is routine: the scaler skips that step and lowers its scale.
        if self.accelerator.scaler is None and not math.isfinite(float(grad_norm)):
            self.optimizer.zero_grad()
            raise NotFiniteError("gradient")


def to_unit_range(batch: dict[str, Any]) -> dict[str, Any]:
    """Pictures from bytes to float32 in [0, 1]; everything else as it is."""
    return {
        key: value.to(torch.float32) / 255.0
        if isinstance(value, torch.Tensor) and value.dtype == torch.uint8
        else value
        for key, value in batch.items()
    }


def numbers(details: dict[str, Any] | None) -> dict[str, float]:
    """The scalars among what a policy reports besides its loss."""
    found: dict[str, float] = {}
    for name, value in (details or {}).items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            found[name] = float(value.detach())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value)
    return found
