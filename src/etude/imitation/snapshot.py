"""A training run held still: copies in host memory of what a checkpoint keeps, written while training goes on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from etude.imitation.ema import WeightAverage
from etude.imitation.learner import KERNEL_FLAGS, Learner

__all__ = ["LearnerSnapshot", "SnapshotTaker", "in_host_memory"]


@dataclass(frozen=True)
class LearnerSnapshot:
    """What an update changes, as it was.

    Attributes:
        policy: the policy with the weights to publish: the average where one is kept.
        own_weights: the weights being trained, where `policy` holds their average.
        optimizer: the optimizer's `state_dict()`.
        schedule: the schedule's `state_dict()`.
        lerobot_randomness: this process's random states in LeRobot's form.
    """

    policy: Any
    own_weights: dict[str, torch.Tensor] | None
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
    scaler: dict[str, Any]
    average_updates: int
    lerobot_randomness: dict[str, torch.Tensor]


class SnapshotTaker:
    """Copies a learner; the memory of the last copy of the policy is used again for the next.

    So a snapshot must have been written before the next one is taken.
    """

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._policy: nn.Module | None = None

    @torch.no_grad()
    def take(self) -> LearnerSnapshot:
        """Everything as it is now; waits for the device."""
        from lerobot.utils.random_utils import serialize_rng_state

        learner = self._learner
        own = None
        if isinstance(learner.average, WeightAverage):
            own = {name: in_host_memory(value) for name, value in learner.policy.state_dict().items()}
        with learner.average.applied():
            policy = self._copy_policy()
        snapshot = LearnerSnapshot(
            policy=policy,
            own_weights=own,
            optimizer=_optimizer_state(learner.bare_optimizer),
            schedule=copy.deepcopy(learner.schedule.state_dict()) if learner.schedule is not None else None,
            scaler=learner.accelerator.scaler.state_dict() if learner.accelerator.scaler is not None else {},
            average_updates=getattr(learner.average, "updates", 0),
            lerobot_randomness=serialize_rng_state(),
        )
        if learner.device.type == "cuda":
            torch.cuda.synchronize(learner.device)  # the copies run beside this thread until here
        return snapshot

    def _copy_policy(self) -> nn.Module:
        policy = self._learner.policy
        if self._policy is None:
            # Weights are put in as host copies: a deep copy on the device would need its memory twice.
            twins = {id(tensor): _host_twin(tensor) for tensor in _tensors(policy)}
            self._policy = copy.deepcopy(policy, twins)
        else:
            for kept, value in zip(_tensors(self._policy), _tensors(policy), strict=True):
                kept.copy_(value, non_blocking=True)
        return self._policy


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    state: dict[str, Any] = in_host_memory(optimizer.state_dict())
    for group in state["param_groups"]:
        group |= {flag: optimizer.defaults[flag] for flag in KERNEL_FLAGS & group.keys()}
    return state


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """Every parameter and buffer once, in the same order for every copy of a module."""
    yield from module.parameters()
    yield from module.buffers()


def _host_twin(tensor: torch.Tensor) -> torch.Tensor:
    copied: torch.Tensor = in_host_memory(tensor.detach())
    return nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied


def in_host_memory(value: Any) -> Any:
    """A copy in host memory of nested dictionaries and lists of tensors."""
    if isinstance(value, torch.Tensor):
        on_device = value.device.type == "cuda"
        twin = torch.empty(value.shape, dtype=value.dtype, device="cpu", pin_memory=on_device)
        return twin.copy_(value.detach(), non_blocking=on_device)
    if isinstance(value, dict):
        return {key: in_host_memory(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [in_host_memory(item) for item in value]
    return copy.deepcopy(value)
