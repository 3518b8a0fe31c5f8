"""One optimizer update: forward, backward, clip, step, average. Nothing here waits for the device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.profiler import record_function

from etude.imitation.ema import NoAverage, WeightAverage
from etude.imitation.lazy_scalars import scalars_stay_on_device
from etude.imitation.shares import LossWeights, scaled_kl

__all__ = ["KERNEL_FLAGS", "Learner", "Part", "StepResult"]

KERNEL_FLAGS = {"fused", "foreach"}
"""What a group of an optimizer says of how it is computed; no checkpoint keeps it, so that any machine can go on."""


@dataclass(frozen=True)
class Part:
    """A batch that this process adds to the update, and how its loss is weighed."""

    batch: dict[str, Any]
    weights: LossWeights


@dataclass
class StepResult:
    """What an update measured; tensors stay on the device.

    Attributes:
        parts: what the policy reports besides its loss.
        not_finite: `(2,)`, whether the loss and the gradient's norm are NaN or infinite. Where one is, the weights and
            the optimizer were not touched.
    """

    loss: torch.Tensor
    grad_norm: torch.Tensor
    not_finite: torch.Tensor
    parts: dict[str, torch.Tensor | float] = field(default_factory=dict)


class Learner:
    """Holds the policy and everything that changes with an update.

    Args:
        accelerator: runs the exchange between processes, and fp16's gradient scaling.
        policy: the LeRobot policy itself.
        model: the policy as the accelerator wrapped it.
        preprocess: LeRobot's preprocessor, raw batch to normalised batch on the device.
        clip_norm: largest gradient norm; 0 does not clip.
        average: the moving average of the weights, or `NoAverage`.
        autocast: the number format of forward passes: a dtype, or None for the accelerator's.

    Attributes:
        full_batch: samples in a batch that a compiled policy expects; others run uncompiled. None: nothing is compiled.
        compiled: the policy's compiled calls by mode, so that going back to one does not compile again.
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
        autocast: torch.dtype | None = None,
    ) -> None:
        self.accelerator = accelerator
        self.policy = policy
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.preprocess = preprocess
        self.average = average
        self.autocast = autocast
        self.full_batch: int | None = None
        self.compiled: dict[str, Any] = {}
        self._clip_norm = clip_norm if clip_norm > 0 else math.inf
        self._after_update = getattr(policy, "update", None)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def bare_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without the accelerator's wrapper."""
        optimizer: torch.optim.Optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return optimizer

    def update(self, parts: Sequence[Part], *, follow: bool = True) -> StepResult:
        """Sum the gradients of all parts and step, unless the loss or the gradient is not finite.

        Args:
            follow: let the schedule, target networks and averages move on, too.
        """
        self.policy.train()
        loss, details = self._accumulate(parts)
        with record_function("clip"):
            grad_norm = torch.as_tensor(
                self.accelerator.clip_grad_norm_(self.policy.parameters(), self._clip_norm), device=loss.device
            )
        not_finite = ~torch.isfinite(torch.stack((loss.float(), grad_norm.float())))
        if self.accelerator.scaler is not None:
            not_finite[1] = False  # with fp16 an infinite gradient is routine: the scaler skips that step by itself
        with record_function("optimizer"):
            stepped = self._step_unless(not_finite.any())
            if stepped and follow:
                self._follow()
            self.optimizer.zero_grad()
        return StepResult(loss, grad_norm, not_finite, details)

    def forward(self, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any] | None]:
        """The policy's loss of a raw batch, and what else it reports."""
        ready = self.preprocess(to_unit_range(batch, self.device))
        whole = self.full_batch is not None and len(batch["index"]) == self.full_batch and self.policy.training
        with (
            self._number_format(),
            scalars_stay_on_device(self.device),
            contextlib.nullcontext() if whole else eager(self.policy),
        ):
            loss, details = self.model(ready)
            if whole:  # a CUDA graph writes its next results over these
                loss, details = loss.clone(), _kept(details)
        return loss if loss.dtype.itemsize >= 4 else loss.float(), details

    def _number_format(self) -> contextlib.AbstractContextManager[Any]:
        if self.autocast is None:
            context: contextlib.AbstractContextManager[Any] = self.accelerator.autocast()
            return context
        return torch.autocast(self.device.type, dtype=self.autocast)

    def _accumulate(self, parts: Sequence[Part]) -> tuple[torch.Tensor, dict[str, torch.Tensor | float]]:
        total: torch.Tensor | None = None
        details: dict[str, torch.Tensor | float] = {}
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                with scaled_kl(self.policy, part.weights.kl), record_function("forward"):
                    loss, found = self.forward(part.batch)
                factor = part.weights.loss / len(parts)
                weighted = loss if factor == 1.0 else loss * factor
                with record_function("backward"):
                    self.accelerator.backward(weighted)
            total = weighted.detach() if total is None else total + weighted.detach()
            for name, value in scalars(found).items():
                details[name] = details.get(name, 0.0) + value * factor
        assert total is not None
        return total, details

    def _step_unless(self, bad: torch.Tensor) -> bool:
        """Step the optimizer unless `bad` is true; returns whether what follows a step should follow.

        PyTorch's fused optimizers take the flag as a tensor and then change nothing, so the device is not waited for.
        The same way they serve gradient scaling. A run ends within a few steps of the flag, so the schedule may go on.
        """
        optimizer = self.bare_optimizer
        if self.accelerator.scaler is None and bad.device.type != "cpu" and is_fused(optimizer):
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
            try:
                self.optimizer.step()
            finally:
                del optimizer.found_inf  # type: ignore[attr-defined]
            return True
        if bool(bad):
            return False
        self.optimizer.step()
        return True

    def _follow(self) -> None:
        """What moves with the weights: the schedule, TD-MPC's target network, the average."""
        if self.schedule is not None and not self.accelerator.optimizer_step_was_skipped:
            self.schedule.step()
        if callable(self._after_update):
            self._after_update()
        self.average.update()


def is_fused(optimizer: torch.optim.Optimizer) -> bool:
    """Whether one kernel updates all of a group's weights."""
    return all(group.get("fused") for group in optimizer.param_groups)


@contextlib.contextmanager
def eager(policy: Any) -> Any:
    """Run the policy uncompiled while the block runs."""
    compiled, policy._compiled_call_impl = policy._compiled_call_impl, None
    try:
        yield
    finally:
        policy._compiled_call_impl = compiled


def to_unit_range(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Pictures from bytes to float32 in [0, 1] on the device, a quarter of the way there; the rest as it is."""
    return {
        key: value.to(device, non_blocking=True).to(torch.float32).div_(255.0)
        if isinstance(value, torch.Tensor) and value.dtype == torch.uint8
        else value
        for key, value in batch.items()
    }


def _kept(details: dict[str, Any] | None) -> dict[str, Any]:
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in (details or {}).items()
    }


def scalars(details: dict[str, Any] | None) -> dict[str, torch.Tensor | float]:
    """The numbers among what a policy reports besides its loss; those that are tensors stay on the device."""
    found: dict[str, torch.Tensor | float] = {}
    for name, value in (details or {}).items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            found[name] = value.detach().reshape(())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value)
    return found
