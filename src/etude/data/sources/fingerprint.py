"""A dataset's identity: the same demonstrations give the same fingerprint wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["fingerprint", "is_same_dataset", "metadata_fingerprint"]

WHOLE_VIDEO_BYTES = 64 * 2**20
"""A video up to this size is read completely."""
SAMPLE_BYTES = 2**18
SAMPLES = 32


PARTS = ("meta", "data", "videos")


def fingerprint(root: Path, parts: Sequence[str] = PARTS) -> str:
    """The identity of a dataset's content, as 64 hexadecimal digits.

    Covered: the relative name and size of each file that training reads (`meta/`, `data/`, `videos/`), every
    byte of metadata and data tables, every byte of a video up to 64 MiB, and of a larger one 32 evenly
    spaced samples of 256 KiB, the first and last bytes among them (encoding it anew changes it all over).
    Not covered: where the folder lies, times of change, a README or a licence, hidden and temporary files.

    Args:
        parts: the folders to cover. Of a dataset that is streamed, only `meta` is here.

    The time it takes is that of reading the tables once; large videos cost 8 MiB each.
    """
    files = sorted((path.relative_to(root).as_posix(), path) for path in _files(root, parts))
    whole = hashlib.sha256(b"etude dataset 1\n")
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for (name, path), digest in zip(files, pool.map(_digest, files), strict=True):
            whole.update(f"{name}\0{path.stat().st_size}\0{digest}\n".encode())
    return whole.hexdigest()


OF_METADATA = "meta:"


def metadata_fingerprint(root: Path) -> str:
    """What identifies a dataset of which only the metadata is here: `meta:` and the fingerprint of `meta/`."""
    return OF_METADATA + fingerprint(root, ("meta",))


def is_same_dataset(root: Path, recorded: str) -> bool:
    """Whether a dataset that is here has the recorded fingerprint, of either kind."""
    of = metadata_fingerprint if recorded.startswith(OF_METADATA) else fingerprint
    return of(root) == recorded


def _files(root: Path, parts: Sequence[str]) -> list[Path]:
    found = []
    for part in parts:
        for current, folders, names in os.walk(root / part):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(current, name) for name in names if not name.startswith(".")]
    return found


def _digest(named: tuple[str, Path]) -> str:
    name, path = named
    size = path.stat().st_size
    with open(path, "rb") as file:
        if not name.startswith("videos/") or size <= WHOLE_VIDEO_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for number in range(SAMPLES):
            file.seek((size - SAMPLE_BYTES) * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
