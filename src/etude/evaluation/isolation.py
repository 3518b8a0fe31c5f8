"""Leaving a training run as it was: its random states and its modules' modes."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

__all__ = ["evaluation_mode", "own_randomness", "seed_everything"]


@contextlib.contextmanager
def own_randomness() -> Iterator[None]:
    """Restore the random states of Python, NumPy and PyTorch (every device) at the end of the block."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextlib.contextmanager
def evaluation_mode(policy: Any) -> Iterator[None]:
    """Put the policy into evaluation mode for the block; each module then returns to its own mode.

    `policy.train()` afterwards would not do: it would also wake modules that are kept frozen.
    """
    modes = [(module, module.training) for module in policy.modules()]
    policy.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
