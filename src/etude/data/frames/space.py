"""What a machine has left: memory, disk, and whether that disk is its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["disk_is_local", "free_disk", "free_memory"]

UNKNOWN_MEMORY = 4 << 30
CGROUP = Path("/sys/fs/cgroup")
REMOTE = ("nfs", "cifs", "smb", "fuse.", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p", "afs")


def free_memory() -> int:
    """Bytes that new arrays may take without swapping, of the machine or of the container's share of it."""
    free = UNKNOWN_MEMORY
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit = _number(CGROUP / "memory.max")
    if limit is not None:
        used = _number(CGROUP / "memory.current") or 0
        # Pages of files count as used, and are given back when something else needs them.
        pages = [line.split()[1] for line in _lines(CGROUP / "memory.stat") if line.startswith("inactive_file ")]
        free = min(free, max(0, limit - used + int(pages[0] if pages else 0)))
    return free


def free_disk(folder: Path) -> int:
    """Bytes that this user may still write where `folder` is, or will be."""
    return shutil.disk_usage(_existing(folder)).free


def disk_is_local(folder: Path) -> bool:
    """False where `folder` is, or will be, on a network file system."""
    place = _existing(folder).resolve()
    kind, longest = "", -1
    for line in _lines(Path("/proc/mounts")):
        words = line.split()
        if len(words) < 3:
            continue
        mount = Path(words[1].replace("\\040", " "))
        if place.is_relative_to(mount) and len(mount.parts) >= longest:
            kind, longest = words[2], len(mount.parts)
    return not kind.startswith(REMOTE)


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if os.path.exists(path) else []
    except OSError:
        return []


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None
