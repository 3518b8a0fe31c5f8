"""Policies that report their losses as Python numbers, without waiting for the device at each of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["scalars_stay_on_device"]


@contextlib.contextmanager
def scalars_stay_on_device(device: torch.device) -> Iterator[None]:
    """While the block runs, `item()` of a real number on the device gives the tensor itself, in this thread.

    LeRobot's policies fill their report with `loss.item()`, and each call waits until the GPU has finished everything
    before it. Integers and booleans, which steer control flow and sizes, are still fetched.
    """
    if device.type == "cpu":
        yield
        return
    original = torch.Tensor.item
    thread = threading.get_ident()

    def item(self: torch.Tensor) -> Any:
        if self.is_floating_point() and self.device.type != "cpu" and threading.get_ident() == thread:
            return self.detach()
        return original(self)

    torch.Tensor.item = item  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del torch.Tensor.item  # the method of the base class shows again
