"""Bringing new shards to the disk while they are already read.

A build need not wait for the disk: every reader sees the frames in memory, and only a crash of the whole machine loses
what was written but not synced. So a shard's JSON file names the boot of the machine in which it was written, until a
sync has followed; a shard that names another boot is compared with its checksums before it is used.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from etude.data.frames.shards import Shard, ShardFault
from etude.errors import StorageError

__all__ = ["boot_id", "settle", "settle_in_background", "survived"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What names this boot of this machine; empty where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def settle(shards: Iterable[tuple[Path, Shard]]) -> None:
    """Bring these shards to the disk, each given with its store's folder; those that are there already take no time.

    A shard that was removed meanwhile, or is another user's, is passed over.

    Raises:
        StorageError: the disk failed.
    """
    for folder, shard in shards:
        if not shard.boot:
            continue
        try:
            # Opened before the frames: should another process put a new shard in its place, this changes the old file.
            with open(folder / f"{shard.name}.json", "r+b") as about:
                with open(folder / f"{shard.name}.frames", "rb") as frames:
                    os.fsync(frames.fileno())
                place = about.read().find(shard.boot.encode())
                if place >= 0:
                    # In place, of the same length: writing a new file would bring back a shard that is being removed.
                    os.pwrite(about.fileno(), b" " * len(shard.boot), place)
                    os.fsync(about.fileno())
        except (FileNotFoundError, PermissionError):
            continue
        except OSError as error:
            raise StorageError(f"{folder / shard.name}.frames cannot be written: {error.strerror or error}") from error


def settle_in_background(shards: Iterable[tuple[Path, Shard]]) -> threading.Thread | None:
    """The same in a thread that does not keep the process from ending; None when there is nothing to do.

    A failure is left to the next reader, who compares the checksums.
    """
    waiting = [(folder, shard) for folder, shard in shards if shard.boot]
    if not waiting:
        return None

    def work() -> None:
        with contextlib.suppress(StorageError):
            settle(waiting)

    thread = threading.Thread(target=work, name="frame store to disk", daemon=True)
    thread.start()
    return thread


def survived(folder: Path, shard: Shard) -> Shard:
    """The shard, if it is safe to read: synced, or written since this machine started, or as its checksums say.

    Raises:
        ShardFault: the machine stopped before the frames were on the disk.
    """
    if not shard.boot or shard.boot == boot_id():
        return shard
    for first, count in shard.damaged_blocks(folder):
        raise ShardFault(
            f"{folder / shard.name}.frames: frames {first} to {first + count - 1} were lost when the machine stopped"
        )
    with contextlib.suppress(StorageError):
        settle([(folder, shard)])
    return shard
