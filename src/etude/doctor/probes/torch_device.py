"""Does torch load, and can it compute on a GPU?"""

from __future__ import annotations

from typing import Any

__all__ = ["look"]


def look() -> dict[str, Any]:
    """Versions and devices; raises whatever torch raises."""
    import torch

    devices = [
        {
            "name": torch.cuda.get_device_name(index),
            "memory_gib": round(torch.cuda.get_device_properties(index).total_memory / 2**30, 1),
        }
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if devices:
        # A driver may list a device and yet refuse to compute on it.
        assert float(torch.ones(8, device="cuda").sum()) == 8.0
    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "devices": devices,
        "mps": torch.backends.mps.is_available(),
    }
