"""Downloading a version: complete and verified, or absent; what an interrupted download left is used again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from etude.errors import RegistryError
from etude.registry.base import ModelVersion, Registry
from etude.registry.candidate import seal_of
from etude.registry.lineage import FOLDER, FileSeal
from etude.runs.atomic import TEMPORARY_PREFIX, sync_tree, write_json

__all__ = ["Downloaded", "download"]

OWN = f"{FOLDER}/lineage.json"


@dataclass(frozen=True)
class Downloaded:
    """What is in the folder now.

    Attributes:
        files, bytes: in all.
        reused: files that were here already.
        verified: hashes were compared; False where the version carries no lineage, and only sizes could be.
    """

    version: ModelVersion
    folder: Path
    files: int
    bytes: int
    reused: int
    verified: bool


def download(
    registry: Registry, version: ModelVersion, folder: Path, on_file: Callable[[str, int], None] | None = None
) -> Downloaded:
    """Bring a version's files here.

    Args:
        folder: is new or empty, or holds this very version.
        on_file: called with name and bytes before each file.

    Raises:
        RegistryError: the folder holds something else, or the registry's files are not those that were registered.
    """
    expected = _expected(registry, version)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _already_here(version, folder, expected)
    partial = folder.with_name(f"{TEMPORARY_PREFIX}{folder.name}-{version.name}-{version.version}")
    partial.mkdir(parents=True, exist_ok=True)
    reused = 0
    for name, seal in expected.items():
        target = partial / name
        if _is_whole(target, seal):
            reused += 1
            continue
        if on_file is not None:
            on_file(name, seal.bytes)
        target.parent.mkdir(parents=True, exist_ok=True)
        registry.read(version, name, target)
        _insist(version, target, name, seal)
    _remove_strangers(partial, set(expected))
    if version.lineage is not None:
        write_json(partial / OWN, version.lineage.to_dict())
    sync_tree(partial)
    if folder.is_dir():
        folder.rmdir()
    os.rename(partial, folder)
    return _summary(version, folder, expected, reused)


def _expected(registry: Registry, version: ModelVersion) -> dict[str, FileSeal]:
    """What the version must hold: its lineage says it; without one, what the registry lists, by size alone.

    Raises:
        RegistryError: the registry lacks files of the lineage, or holds some of another size.
    """
    there = registry.files(version)
    for name in there:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute():
            raise RegistryError(f"{version.reference} holds a file named {name!r}, which leads out of its folder")
    lineage = version.lineage
    if lineage is None:
        if not there:
            raise RegistryError(f"{version.reference} holds no files")
        return {name: FileSeal(size, "") for name, size in sorted(there.items())}
    lacking = [name for name in lineage.files if name not in there]
    if lacking:
        raise RegistryError(
            f"{version.reference} is not whole: {lacking[0]} is gone from {version.source}",
            hint="register it again with --force-new-version",
        )
    return dict(lineage.files)


def _already_here(version: ModelVersion, folder: Path, expected: dict[str, FileSeal]) -> Downloaded:
    known = version.lineage is not None and folder.is_dir()
    if known and all(_is_whole(folder / name, seal) for name, seal in expected.items()):
        return _summary(version, folder, expected, len(expected))
    raise RegistryError(
        f"the folder {folder} exists already, and is not {version.reference}", hint="name a folder that does not exist"
    )


def _is_whole(file: Path, seal: FileSeal) -> bool:
    if not file.is_file() or file.stat().st_size != seal.bytes or not seal.sha256:
        return False
    return seal_of(file) == seal


def _insist(version: ModelVersion, file: Path, name: str, seal: FileSeal) -> None:
    size = file.stat().st_size if file.is_file() else -1
    if size == seal.bytes and (not seal.sha256 or seal_of(file) == seal):
        return
    file.unlink(missing_ok=True)
    how = f"{max(size, 0)} bytes instead of {seal.bytes}" if size != seal.bytes else "its hash differs"
    raise RegistryError(
        f"{name} of {version.reference} is not what was registered: {how}",
        hint="run the command again; if it stays so, register the checkpoint again with --force-new-version",
    )


def _remove_strangers(folder: Path, wanted: set[str]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path, ignore_errors=True)


def _summary(version: ModelVersion, folder: Path, expected: dict[str, FileSeal], reused: int) -> Downloaded:
    total = sum(seal.bytes for seal in expected.values())
    return Downloaded(version, folder, len(expected), total, reused, version.lineage is not None)
