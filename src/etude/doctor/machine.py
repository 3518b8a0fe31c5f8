"""Disk, memory and cores: what the machine, or the container on it, really grants."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from etude.doctor.finding import Finding, Status

__all__ = ["check_disk", "check_memory_and_cores"]

GIB = 2**30
FREE_HERE_GIB = 5.0  # a run with a few checkpoints of a small policy
FREE_AT_ALL_GIB = 1.0
SHARED_MEMORY_GIB = 1.0  # loader workers hand batches over in /dev/shm
MEMORY_GIB = 4.0
CGROUP = Path("/sys/fs/cgroup")


def huggingface_home() -> Path:
    """Where LeRobot and the hub keep what they download."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("HF_HOME", cache / "huggingface")).expanduser()


def check_disk(here: Path | None = None) -> Finding:
    """Free space in the working folder, in Hugging Face's cache and in shared memory."""
    places = {
        "here": here or Path.cwd(),
        "hugging face cache": huggingface_home(),
        "/dev/shm": Path("/dev/shm"),
    }
    free = {name: gib for name, folder in places.items() if (gib := _free_gib(folder)) is not None}
    found = ", ".join(f"{gib:.1f} GiB free {'' if name == 'here' else 'in '}{name}" for name, gib in free.items())
    details = {name: round(gib, 2) for name, gib in free.items()}
    if free["here"] < FREE_AT_ALL_GIB:
        return Finding("disk", Status.PROBLEM, found, "free some space: checkpoints would not fit", details)
    if free["here"] < FREE_HERE_GIB:
        return Finding("disk", Status.WARNING, found, "free some space, or limit checkpoints: --keep_last=2", details)
    if free.get("/dev/shm", SHARED_MEMORY_GIB) < SHARED_MEMORY_GIB:
        fix = "more shared memory for loader workers: docker run --shm-size=8g, or --num_workers=0"
        return Finding("disk", Status.WARNING, found, fix, details)
    return Finding("disk", Status.OK, found, details=details)


def _free_gib(folder: Path) -> float | None:
    """Free space where the folder is, or will be."""
    if folder == Path("/dev/shm") and not folder.is_dir():
        return None
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free / GIB


def check_memory_and_cores() -> Finding:
    """Memory and processor cores, within a container's limits."""
    cores = min(_granted_cores(), os.cpu_count() or 1)
    memory = _available_memory_gib()
    details = {"cores": cores, "memory_gib": memory and round(memory, 1)}
    found = f"{cores:g} cores" + (f", {memory:.1f} GiB memory available" if memory is not None else "")
    if memory is not None and memory < MEMORY_GIB:
        fix = "training on images wants 4 GiB or more: a smaller --batch_size, --num_workers=0"
        return Finding("memory", Status.WARNING, found, fix, details)
    return Finding("memory", Status.OK, found, details=details)


def _granted_cores() -> float:
    affinity = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float("inf")
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return min(affinity, int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return affinity


def _available_memory_gib() -> float | None:
    available = None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("MemAvailable"))
        used = int((CGROUP / "memory.current").read_text()) - _reclaimable_bytes()
        limit = int((CGROUP / "memory.max").read_text())
        return min(available, (limit - used) / GIB)
    except (OSError, ValueError, StopIteration):  # no such file, or "max": no limit
        return available


def _reclaimable_bytes() -> int:
    """Cached files count as used in a container, though the kernel gives them up on demand."""
    entries = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    return int(entries.get("inactive_file", 0))
