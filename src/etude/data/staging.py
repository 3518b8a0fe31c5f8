"""Batches on their way to the device: copied from pinned memory on a stream of their own, beside the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Staged", "Staging"]


@dataclass(frozen=True)
class Staged:
    """A batch that is being copied.

    Attributes:
        arrived: passed once the copy is done; None where nothing is copied.
    """

    batch: dict[str, Any]
    arrived: torch.cuda.Event | None = None

    def receive(self) -> dict[str, Any]:
        """The batch, for work on the current stream: the device waits for the copy, this thread does not."""
        if self.arrived is None:
            return self.batch
        stream = torch.cuda.current_stream()
        stream.wait_event(self.arrived)
        for value in self.batch.values():
            if isinstance(value, torch.Tensor) and value.is_cuda:
                value.record_stream(stream)  # its memory is not given to another batch before this stream is done
        return self.batch


class Staging:
    """Sends batches to the device. On a CPU there is nothing to do.

    Args:
        device: where batches are used.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None

    @property
    def pins(self) -> bool:
        """Whether batches should be made in pinned memory, from which they are copied without a detour."""
        return self._device.type == "cuda"

    def enter_thread(self) -> None:
        """Make the device the calling thread's own: else pinned memory would open a context on the first GPU."""
        if self._device.type == "cuda" and self._device.index is not None:
            torch.cuda.set_device(self._device)

    def send(self, batch: dict[str, Any]) -> Staged:
        """Begin to copy every tensor of the batch; pictures stay bytes on the way, a quarter of their size."""
        if self._device.type != "cuda":
            return Staged(batch)
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)
        with torch.cuda.stream(self._stream):
            moved = {
                key: self._copy(value) if isinstance(value, torch.Tensor) else value for key, value in batch.items()
            }
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        return Staged(moved, arrived)

    def _copy(self, value: torch.Tensor) -> torch.Tensor:
        pinned = value if value.is_pinned() else value.pin_memory()
        return pinned.to(self._device, non_blocking=True)
