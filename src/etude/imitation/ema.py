"""Exponential moving average of a policy's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["NoAverage", "WeightAverage"]


class NoAverage:
    """Stands in where no average is kept: the policy is its own average."""

    def update(self) -> None:
        """Nothing to follow."""

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The policy as it is."""
        yield


class WeightAverage:
    """Follows the weights with decay `min(decay, (1 + n) / (10 + n))` after n updates.

    The short memory at the start is that of the moving averages in TensorFlow and diffusers: without it the random
    initial weights would stay in the average for long.
    """

    def __init__(self, policy: nn.Module, decay: float) -> None:
        self._policy = policy
        self._decay = decay
        self.updates = 0
        self.weights = {name: value.detach().clone() for name, value in policy.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer update; integers and buffers such as counters are copied."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, value in self._policy.state_dict().items():
            if value.dtype.is_floating_point:
                self.weights[name].lerp_(value, 1.0 - decay)
            else:
                self.weights[name].copy_(value)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The policy holds the average while the block runs, and its own weights afterwards."""
        own = {name: value.detach().clone() for name, value in self._policy.state_dict().items()}
        self._policy.load_state_dict(self.weights)
        try:
            yield
        finally:
            self._policy.load_state_dict(own)
