"""One job on several machines and GPUs: which machine this is, and how the command's processes are started.

A platform starts one bootstrap on each machine and tells it where the first one is (`MASTER_ADDR`, `MASTER_PORT`),
how many there are (`WORLD_SIZE`) and which this is (`NODE_RANK`, or `RANK`); torchrun starts the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from etude.errors import PlatformError

__all__ = ["Machine"]

OF_THE_PLATFORM = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK")
"""torchrun counts processes with these; the platform counts machines."""


@dataclass(frozen=True)
class Machine:
    """This machine among those of the job.

    Attributes:
        rank: 0 is the first, which keeps the outputs.
        count: of machines.
        address, port: of the first one.
    """

    rank: int = 0
    count: int = 1
    address: str = ""
    port: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Machine:
        """As the platform tells.

        Raises:
            PlatformError: there are several machines, and it does not say where the first one is.
        """
        count = int(environment.get("WORLD_SIZE") or 1)
        if count == 1:
            return cls()
        rank = int(environment.get("NODE_RANK") or environment.get("RANK") or 0)
        address = environment.get("MASTER_ADDR", "")
        if not address:
            raise PlatformError(f"the job has {count} machines, and the platform does not say where the first one is")
        return cls(rank, count, address, int(environment.get("MASTER_PORT") or 29500))

    @property
    def is_first(self) -> bool:
        """Whether this one keeps the outputs and runs what follows the command."""
        return self.rank == 0

    def launcher(self, module: str, processes: int) -> list[str]:
        """What starts `module` with so many processes here."""
        if self.count == 1 and processes == 1:
            return [sys.executable, "-u", "-m", module]
        where = ["--standalone"]
        if self.count > 1:
            where = [f"--nnodes={self.count}", f"--node-rank={self.rank}"]
            where += [f"--master-addr={self.address}", f"--master-port={self.port}"]
        return [
            sys.executable,
            "-u",
            "-m",
            "torch.distributed.run",
            *where,
            f"--nproc-per-node={processes}",
            "-m",
            module,
        ]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Variables for the launcher: without those by which the platform counts."""
        return {name: value for name, value in given.items() if name not in OF_THE_PLATFORM}
