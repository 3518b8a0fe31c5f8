"""Random states of this process: kept exactly, restored exactly, lent out without a trace."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

__all__ = ["capture", "isolated", "restore", "seed_everything", "seed_rank"]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device, as LeRobot's `set_seed` does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_rank(seed: int, rank: int) -> None:
    """Give each process its own noise. Process 0 keeps the stream that a run of one process has."""
    if rank > 0:
        words = np.random.SeedSequence([seed, rank]).generate_state(1)
        seed_everything(int(words[0]))


def capture() -> dict[str, Any]:
    """All random states as JSON: exact, unlike LeRobot's file, which rounds NumPy's cached normal to float32."""
    version, words, gauss = random.getstate()
    name, keys, place, has_gauss, cached = np.random.get_state()
    assert name == "MT19937"
    state: dict[str, Any] = {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {
            "keys": [int(key) for key in keys],
            "place": place,
            "has_gauss": has_gauss,
            "cached": cached,
        },
        "torch": _hex(torch.get_rng_state()),
    }
    if torch.cuda.is_available():
        state["cuda"] = [_hex(device) for device in torch.cuda.get_rng_state_all()]
    return state


def restore(state: dict[str, Any]) -> None:
    """Undo everything random since `capture`."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    keys = np.asarray(numpy["keys"], dtype=np.uint32)
    np.random.set_state(("MT19937", keys, numpy["place"], numpy["has_gauss"], numpy["cached"]))
    torch.set_rng_state(_tensor(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        saved = [_tensor(device) for device in state["cuda"]]
        for index in range(min(len(saved), torch.cuda.device_count())):
            torch.cuda.set_rng_state(saved[index], index)


@contextlib.contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a block on its own seed; afterwards every random state is as if it had not run."""
    before = capture()
    seed_everything(seed)
    try:
        yield
    finally:
        restore(before)


def _hex(state: torch.Tensor) -> str:
    return state.cpu().numpy().tobytes().hex()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8).clone()
