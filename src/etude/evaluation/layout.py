"""How many environments and processes an evaluation uses when nobody says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from etude.simulation import EnvironmentSpec, resolve

__all__ = ["Layout", "choose_layout"]

MOST_AT_ONCE = 50
MOST_AT_ONCE_WITH_IMAGES = 16
MOST_PROCESSES = 16

WORTH_A_PROCESS = 3000
"""Control steps under which starting processes takes longer than they save."""

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Layout:
    """Environments side by side, one inference for all; the processes that simulate them."""

    environments: int
    processes: int

    def __str__(self) -> str:
        rows = f"{self.environments} environment{'s' * (self.environments > 1)} side by side"
        return f"{rows}, simulated in {f'{self.processes} processes' if self.processes > 1 else 'this process'}"


def choose_layout(spec: EnvironmentSpec, episodes: int, batch_size: int = 0, processes: int = 0) -> Layout:
    """What was asked for, and for each 0 what suits the machine.

    A process for each core, because the policy waits while they simulate; none for short evaluations.

    Args:
        spec: the environment, its observations known.
        batch_size: environments side by side; 0 chooses.
        processes: 1 simulates in this one; 0 chooses.
    """
    images = any(len(shape) == 3 for shape in (spec.observations or {}).values())
    environments = min(batch_size or (MOST_AT_ONCE_WITH_IMAGES if images else MOST_AT_ONCE), episodes)
    if processes == 0:
        steps = episodes * (resolve(spec).max_steps or 1)
        processes = 1 if steps < WORTH_A_PROCESS else min(_cores(), MOST_PROCESSES)
    processes = min(processes, environments)
    if batch_size == 0:  # the same number for each process
        environments = min(-(-environments // processes) * processes, episodes)
    return Layout(environments, processes)


def _cores() -> int:
    """Cores that this process may use, within its container's limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores
