"""Which device a policy runs on."""

from __future__ import annotations

import re

from etude.errors import DeviceError

__all__ = ["choose_device"]

_ALLOWED = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def choose_device(name: str = "auto") -> str:
    """The device that `name` stands for on this machine.

    Args:
        name: `auto` (CUDA, else Apple's MPS, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        DeviceError: the name is none of these, or this machine has no such device.
    """
    if not _ALLOWED.fullmatch(name):
        raise DeviceError(f"unknown device {name!r}", hint="allowed: auto, cpu, cuda, cuda:0, mps")
    if name == "cpu":
        return name
    import torch

    mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if name == "mps":
        if not mps:
            raise DeviceError("this machine has no MPS device", hint="use --policy.device=cpu or auto")
        return name
    return _cuda(name, torch.cuda.device_count() if torch.cuda.is_available() else 0)


def _cuda(name: str, count: int) -> str:
    if count == 0:
        raise DeviceError(
            f"{name} was asked for, but PyTorch finds no CUDA device here",
            hint="use --policy.device=cpu (or auto); `etude doctor` says what is missing",
        )
    index = int(name.partition(":")[2] or 0)
    if index >= count:
        raise DeviceError(f"{name} was asked for, but there are only {count} CUDA devices (0 to {count - 1})")
    return name
