"""This process among the others of a distributed run (`torchrun`, `accelerate launch`)."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["Processes"]


class Processes:
    """Accelerate, and a second group on the CPU for agreeing on small things without waiting for the device.

    Args:
        device: cpu | cuda | cuda:1 | mps.
        precision: no | bf16 | fp16.
    """

    def __init__(self, device: str, precision: str) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        if ":" in device and int(os.environ.get("WORLD_SIZE", "1")) == 1:
            os.environ["ACCELERATE_TORCH_DEVICE"] = device
        self.accelerator = Accelerator(
            mixed_precision=precision,
            cpu=device == "cpu",
            step_scheduler_with_optimizer=False,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        self.rank = int(self.accelerator.process_index)
        self.world = int(self.accelerator.num_processes)
        self._control = dist.new_group(backend="gloo") if self.world > 1 else None
        self._pending: tuple[Any, torch.Tensor] | None = None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier(group=self._control)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum a CPU tensor over all processes."""
        if self.world > 1:
            dist.all_reduce(values, group=self._control)
        return values

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=self._control)
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process raised the flag, learned one call late, so that no process waits for another.

        Every process gets the same answer in the same call, which is what makes them stop at the same step.
        """
        if self.world == 1:
            return flag
        previous, self._pending = self._pending, None
        answer = False
        if previous is not None:
            work, value = previous
            work.wait()
            answer = bool(value.item())
        value = torch.tensor([int(flag)])
        self._pending = (dist.all_reduce(value, group=self._control, async_op=True), value)
        return answer

    def close(self) -> None:
        """Leave the group, and let the process start another run."""
        from accelerate.state import AcceleratorState

        self.accelerator.end_training()
        AcceleratorState._reset_state(reset_partial_state=True)
        os.environ.pop("ACCELERATE_TORCH_DEVICE", None)
