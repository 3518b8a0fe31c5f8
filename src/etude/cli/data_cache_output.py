"""How `etude data cache` shows frame stores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.pasteable import command_line
from etude.data.frames.choose import readable_bytes

if TYPE_CHECKING:
    from etude.data.frames.store import StoreInfo

__all__ = ["built_text", "list_text", "removed_text", "store_row", "verdict_text"]

HEADINGS = ("dataset", "camera", "form", "frames", "size", "last used")


def store_row(info: StoreInfo) -> dict[str, Any]:
    """A store for a script."""
    return {
        "dataset": info.repo_id,
        "root": info.root,
        "fingerprint": info.fingerprint,
        "camera": info.camera,
        "form": info.form.folder_name,
        "exact": info.form.is_exact,
        "frames": info.frames,
        "shape": list(info.shape),
        "dtype": info.dtype,
        "bytes": info.bytes,
        "complete": info.is_complete,
        "files": [info.shards, info.total_shards],
        "last_used": info.last_used,
        "error": info.error,
        "folder": str(info.folder),
    }


def list_text(stores: Sequence[StoreInfo], cache: Path) -> str:
    """A table, and the sum."""
    if not stores:
        return f"no frame stores at {cache}\nnext: {command_line(['data', 'cache', 'build', 'DIR'])}"
    rows = [HEADINGS, *(_cells(info) for info in stores)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = readable_bytes(sum(info.bytes for info in stores))
    count = f"{len(stores)} store{'' if len(stores) == 1 else 's'}"
    return "\n".join([*lines, f"{count}, {total} at {cache}"])


def built_text(infos: Sequence[StoreInfo]) -> str:
    """What `build` left behind."""
    lines = []
    for info in infos:
        part = "" if info.is_complete else f", {info.shards} of {info.total_shards} files"
        lines.append(f"{info.camera}: {info.frames} frames, {readable_bytes(info.bytes)}{part}: {info.folder}")
        if info.error:
            mean, most = info.error["mean"], info.error["max"]
            lines.append(f"  against exact frames: {mean:.2f} of 255 off on average, {most:.0f} at most (measured)")
    return "\n".join(lines)


def verdict_text(found: Sequence[tuple[StoreInfo, list[str]]]) -> str:
    """Each store with what is wrong with it."""
    if not found:
        return "no frame stores to verify"
    lines = []
    for info, problems in found:
        what = f"{info.repo_id} {info.camera} {info.form.folder_name}"
        lines.append(f"{what}: {'as written' if not problems else 'damaged'} ({readable_bytes(info.bytes)})")
        lines += [f"  {problem}" for problem in problems]
        if problems:
            lines.append(f"  built again by the next run, or by: {_rebuild(info)}")
    return "\n".join(lines)


def removed_text(freed: Sequence[tuple[StoreInfo, int]]) -> str:
    """What was removed, and the sum."""
    if not freed:
        return "no frame store to remove"
    lines = [
        f"removed {info.repo_id} {info.camera} {info.form.folder_name}: {readable_bytes(size)}" for info, size in freed
    ]
    return "\n".join([*lines, f"freed {readable_bytes(sum(size for _, size in freed))}"])


def _cells(info: StoreInfo) -> tuple[str, ...]:
    frames = str(info.frames) if info.is_complete else f"{info.frames} ({info.shards} of {info.total_shards} files)"
    return (info.repo_id, info.camera, info.form.folder_name, frames, readable_bytes(info.bytes), _ago(info.last_used))


def _ago(moment: float) -> str:
    days = (time.time() - moment) / 86400
    return "today" if days < 1 else f"{days:.0f} day{'' if round(days) == 1 else 's'} ago"


def _rebuild(info: StoreInfo) -> str:
    form = info.form
    words = ["data", "cache", "build", info.root, "--form", form.name, "--camera", info.camera]
    words += ["--quality", str(form.quality)] if form.name == "jpeg" and form.quality != 95 else []
    words += ["--width", str(form.width), "--height", str(form.height)] if form.width is not None else []
    return command_line(words)
