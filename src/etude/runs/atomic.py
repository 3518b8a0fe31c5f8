"""Writing so that a reader, or a crash, sees all of it or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["atomic_directory", "replace_symlink", "sync_tree", "write_json", "write_text"]

TEMPORARY_PREFIX = ".tmp-"


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Replace the file `path` by `text` in one step.

    Args:
        sync: wait until it is on the disk. Without, a crash of the machine may leave an empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace the file `path` by `value` as indented JSON, in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new folder that becomes `target` when the block ends well, and is removed when it does not.

    Everything in it is on the disk before the name appears. A `target` that exists is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{target.name}-{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        if target.exists():
            old = target.with_name(f"{TEMPORARY_PREFIX}{target.name}-old-{uuid.uuid4().hex[:8]}")
            os.rename(target, old)
            os.rename(temporary, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(temporary, target)
        _sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what an interrupted write left in `folder`."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def replace_symlink(link: Path, target_name: str) -> None:
    """Point `link` at its sibling `target_name` in one step."""
    temporary = link.with_name(f"{TEMPORARY_PREFIX}{link.name}-{uuid.uuid4().hex[:8]}")
    temporary.symlink_to(target_name)
    os.replace(temporary, link)
    _sync_directory(link.parent)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder` to the disk."""
    for current, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(current, name), "rb") as file:
                os.fsync(file.fileno())
        _sync_directory(Path(current))


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
