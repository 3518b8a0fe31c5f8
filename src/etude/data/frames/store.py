"""A frame store on the disk: finding it, what is in it, verifying and removing it.

<cache>/<fingerprint>/<camera>/<form>/
    store.json     whose frames these are
    NAME.frames, NAME.json     a shard for each file of the dataset, complete or absent
<cache>/<fingerprint>/<camera>/.<form>.building, .<form>.reading     locks
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.data.frames.camera_files import CameraFile, camera_files
from etude.data.frames.forms import Form
from etude.data.frames.location import store_folder
from etude.data.frames.locks import FileLock
from etude.data.frames.settling import survived
from etude.data.frames.shards import FORMAT, Shard, ShardFault
from etude.errors import EtudeError, StorageError
from etude.runs.atomic import TEMPORARY_PREFIX, write_json

__all__ = ["FrameStore", "StoreInfo", "building_lock", "list_stores", "reading_lock", "remove_store"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes:
        folder: where it lies.
        fingerprint, repo_id, root: of the dataset that it was built from.
        shape, dtype: of a frame `(channels, height, width)`.
        codec, pixel_format: of the videos; "image" for pictures in tables.
        frames, bytes: in all shards that are there.
        shards, total_shards: how many are there, and how many the whole dataset needs.
        last_used: when a run last read it, in seconds since 1970.
        error: of a form that is not exact: mean and max difference to exact frames, in steps of 255.
    """

    folder: Path
    fingerprint: str
    repo_id: str
    root: str
    camera: str
    form: Form
    fps: float
    shape: tuple[int, int, int]
    dtype: str
    codec: str
    pixel_format: str
    frames: int
    bytes: int
    shards: int
    total_shards: int
    last_used: float
    error: dict[str, float] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every episode of the dataset is in it."""
        return self.shards == self.total_shards


@dataclass
class FrameStore:
    """A store, opened for some episodes.

    Attributes:
        shards: by the name of the dataset's file that they were made from.
    """

    folder: Path
    info: StoreInfo
    shards: dict[str, Shard] = field(repr=False)

    @classmethod
    def find(
        cls,
        meta: Any,
        fingerprint: str,
        camera: str,
        form: Form,
        cache: Path,
        episodes: Sequence[int] | None = None,
    ) -> FrameStore | None:
        """The store, if it holds all frames of these episodes (None: of all); else None."""
        form = form.for_depth() if camera in meta.depth_keys else form
        folder = store_folder(cache, fingerprint, camera, form)
        if not _is_ours(folder, fingerprint):
            return None
        files = camera_files(meta, camera, episodes)
        shards = present_shards(folder, files)
        if len(shards) != len(files):
            return None
        return cls(folder, read_info(folder), shards)

    def placed_shards(self) -> list[tuple[Path, Shard]]:
        """Its shards, each with the folder it lies in, as `settling` takes them."""
        return [(self.folder, shard) for shard in self.shards.values()]

    def verify(self) -> list[str]:
        """Read everything in the folder and compare checksums.

        Returns:
            A sentence for each problem.
        """
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            found = list(pool.map(lambda name: _verify_shard(self.folder, name), shard_names(self.folder)))
        return [problem for problems in found for problem in problems]


def present_shards(folder: Path, files: Sequence[CameraFile]) -> dict[str, Shard]:
    """The shards of these files that are there and fit, by the file's name."""
    found = {}
    for file in files:
        try:
            shard = survived(folder, Shard.load(folder, file.shard))
        except FileNotFoundError:
            continue
        except ShardFault as fault:
            logger.warning("%s; it is built again", fault)
            continue
        if shard.source == file.name:
            found[file.name] = shard
    return found


def shard_names(folder: Path) -> list[str]:
    """The shards that have a JSON file."""
    return sorted(path.stem for path in folder.glob("*.json") if path.name != "store.json" and path.name[0] != ".")


def write_store(folder: Path, meta: Any, fingerprint: str, camera: str, form: Form) -> None:
    """Make the store's folder and its `store.json`, unless it is there."""
    if _is_ours(folder, fingerprint):
        return
    if folder.exists():  # of another version
        _remove_folder(folder)
    about = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "repo_id": str(meta.repo_id),
        "root": str(meta.root),
        "camera": camera,
        "form": form.folder_name,
        "fps": meta.fps,
        "total_shards": len(camera_files(meta, camera)),
        "made_by": _versions(),
    }
    write_json(folder / "store.json", about)


def read_info(folder: Path) -> StoreInfo:
    """What `store.json` and the shards say.

    Raises:
        StorageError: it is no store of this version.
    """
    try:
        about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise StorageError(f"{folder} has version {about['format']}; this is version {FORMAT}")
        shards = [shard for name in shard_names(folder) if (shard := _loaded(folder, name)) is not None]
        first = shards[0] if shards else None
        return StoreInfo(
            folder=folder,
            fingerprint=about["fingerprint"],
            repo_id=about["repo_id"],
            root=about["root"],
            camera=about["camera"],
            form=Form.parse(about["form"]),
            fps=float(about["fps"]),
            shape=first.shape if first else (0, 0, 0),
            dtype=first.dtype if first else "uint8",
            codec=first.codec if first else "",
            pixel_format=first.pixel_format if first else "",
            frames=sum(shard.frames for shard in shards),
            bytes=sum(shard.bytes for shard in shards),
            shards=len(shards),
            total_shards=int(about["total_shards"]),
            last_used=_last_used(folder),
            error=_error(shards),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{folder} is not a frame store of this version: {error}", hint="remove the folder; it is built again"
        ) from error


def list_stores(cache: Path) -> list[StoreInfo]:
    """Every store below `cache` that this version can read."""
    found = []
    for path in sorted(cache.glob("*/*/*/store.json")):
        try:
            found.append(read_info(path.parent))
        except EtudeError as error:
            logger.warning("%s", error.message)
    return found


def remove_store(info: StoreInfo) -> int:
    """Remove a store.

    Returns:
        The bytes it freed.

    Raises:
        StorageError: a run reads or builds it, or it may not be removed.
    """
    building, reading = building_lock(info.folder), reading_lock(info.folder, shared=False)
    try:
        if not building.try_acquire():
            raise StorageError(f"{info.folder} is being built", hint="wait for that run to end, or stop it")
        if not reading.try_acquire():
            raise StorageError(f"{info.folder} is being read by a run", hint="wait for that run to end, or stop it")
        freed = sum(path.stat().st_size for path in info.folder.glob("*") if path.is_file())
        _remove_folder(info.folder)
        for lock in (building, reading):
            lock.path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{info.folder} cannot be removed: {error.strerror or error}") from error
    finally:
        building.release()
        reading.release()
    for folder in (info.folder.parent, info.folder.parent.parent):
        try:
            folder.rmdir()
        except OSError:  # other stores lie there
            break
    return freed


def building_lock(folder: Path) -> FileLock:
    """Held by the one process that builds."""
    return FileLock(folder.with_name(f".{folder.name}.building"))


def reading_lock(folder: Path, *, shared: bool) -> FileLock:
    """Shared by the runs that read; taken alone by who removes. Its file's time is that of the last use."""
    return FileLock(folder.with_name(f".{folder.name}.reading"), shared=shared)


def _is_ours(folder: Path, fingerprint: str) -> bool:
    try:
        about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        return bool(about["format"] == FORMAT and about["fingerprint"] == fingerprint)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _loaded(folder: Path, name: str) -> Shard | None:
    try:
        return Shard.load(folder, name)
    except (OSError, ShardFault):
        return None


def _verify_shard(folder: Path, name: str) -> list[str]:
    try:
        shard = Shard.load(folder, name)
        damaged = list(shard.damaged_blocks(folder))
    except ShardFault as fault:
        return [str(fault)]
    except OSError as error:
        return [f"{folder / name}.frames cannot be read: {error.strerror or error}"]
    return [
        f"{folder / name}.frames: frames {first} to {first + count - 1} are not what was written"
        for first, count in damaged
    ]


def _remove_folder(folder: Path) -> None:
    # Under another name first: a removal that is interrupted must not leave half a store.
    doomed = folder.with_name(f"{TEMPORARY_PREFIX}{folder.name}-{uuid.uuid4().hex[:8]}")
    os.rename(folder, doomed)
    shutil.rmtree(doomed)


def _last_used(folder: Path) -> float:
    for path in (folder.with_name(f".{folder.name}.reading"), folder / "store.json"):
        if path.exists():
            return path.stat().st_mtime
    return 0.0


def _error(shards: Sequence[Shard]) -> dict[str, float] | None:
    measured = [shard.error for shard in shards if shard.error]
    if not measured:
        return None
    frames = sum(error["frames"] for error in measured)
    mean = sum(error["mean"] * error["frames"] for error in measured) / frames
    return {"mean": mean, "max": max(error["max"] for error in measured), "frames": frames}


def _versions() -> dict[str, str]:
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("etude", "av")}
