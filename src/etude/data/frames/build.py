"""Building frame stores: every file decoded once, in order, by as many processes as there are cores."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from etude.data.frames.camera_files import CameraFile, camera_files, is_video
from etude.data.frames.checking import Comparison
from etude.data.frames.forms import Form
from etude.data.frames.location import store_folder
from etude.data.frames.pool import Answer, WorkerPool, usable_cores
from etude.data.frames.shard_build import Job, ShardBuild
from etude.data.frames.store import FrameStore, building_lock, present_shards, write_store
from etude.errors import DatasetError, StorageError
from etude.runs.atomic import remove_leftovers

__all__ = ["Progress", "build_store", "build_stores"]

logger = logging.getLogger(__name__)

type Progress = Callable[[str, int, int], None]
"""Called with a sentence, the frames finished and the frames in all."""

EXPECTED_RATIO = {"raw": 1.0, "zstd": 0.3, "jpeg": 0.1}
"""Size against raw on camera images, for the look at the free space before the start."""
LIGHT_PIXELS = 3 * 10**8
"""Up to so many pixels a worker, importing array libraries takes longer than they save."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class _Wanted:
    camera: str
    form: Form
    folder: Path
    files: list[CameraFile]


def build_store(meta: Any, fingerprint: str, camera: str, form: Form, **options: Any) -> FrameStore:
    """The store of one camera, see `build_stores`."""
    return build_stores(meta, fingerprint, [camera], form, **options)[camera]


def build_stores(
    meta: Any,
    fingerprint: str,
    cameras: Sequence[str],
    form: Form,
    *,
    cache: Path,
    episodes: Sequence[int] | None = None,
    workers: int | None = None,
    max_bytes: int | None = None,
    progress: Progress | None = None,
    video_backend: str | None = None,
) -> dict[str, FrameStore]:
    """Make what is missing of these cameras' stores, all on one pool of processes.

    One process builds a store at a time; others wait and then use it. A build that was killed leaves its finished
    shards, and the next one goes on from there. The stores can be read at once; `settling` brings them to the disk.

    Args:
        meta: a `LeRobotDatasetMetadata`.
        fingerprint: of the dataset, see `data.sources.fingerprint`.
        form: depth cameras take zstd where it says jpeg.
        cache: the folder of all stores.
        episodes: whose frames are needed; None means all. Files that hold none of them are not decoded.
        workers: processes; None means one for each core.
        max_bytes: most that the new shards may take.
        video_backend: LeRobot's decoder to compare a few frames with, as `--dataset.video_backend`.

    Returns:
        A store for each camera.

    Raises:
        DatasetError: a file cannot be decoded (its name and the frame are told), or LeRobot decodes other frames
            from it (`OtherFramesError`).
        StorageError: the disk is full, or `max_bytes` too little. Finished shards stay, nothing else.
    """
    forms = {camera: form.for_depth() if camera in meta.depth_keys else form for camera in cameras}
    found = _find_all(meta, fingerprint, forms, cache, episodes)
    if len(found) == len(forms):
        return found
    wanted = [
        _Wanted(camera, its, store_folder(cache, fingerprint, camera, its), camera_files(meta, camera, episodes))
        for camera, its in forms.items()
        if camera not in found
    ]
    workers = workers or usable_cores()
    # The processes start first: they import while this one looks at what is missing.
    with _all_locked(wanted, progress), _told_errors(cache), WorkerPool(workers) as pool:
        builds = _missing(meta, fingerprint, wanted)
        if builds:
            _look_at_space(meta, builds, cache, max_bytes)
            _make_light(meta, builds, workers)
            comparison = Comparison(video_backend)
            for build in builds:
                build.comparison = comparison
            try:
                _Builder(builds, Path(meta.root), max_bytes, progress).run(pool)
            finally:
                comparison.close()
                pool.close()
                for each in wanted:
                    remove_leftovers(each.folder)
    found = _find_all(meta, fingerprint, forms, cache, episodes)
    for camera in forms:
        if camera not in found:
            raise StorageError(f"the frame store of {camera} vanished while it was built", hint="try again")
    return found


def _find_all(
    meta: Any, fingerprint: str, forms: dict[str, Form], cache: Path, episodes: Sequence[int] | None
) -> dict[str, FrameStore]:
    stores = {camera: FrameStore.find(meta, fingerprint, camera, its, cache, episodes) for camera, its in forms.items()}
    return {camera: store for camera, store in stores.items() if store is not None}


@contextlib.contextmanager
def _all_locked(wanted: Sequence[_Wanted], progress: Progress | None) -> Iterator[None]:
    def tell() -> None:
        logger.info("another process builds this frame store; waiting for it")
        if progress is not None:
            progress("waiting for another process that builds this frame store", 0, 0)

    with contextlib.ExitStack() as held:
        # In one order everywhere: two builders of several cameras must not wait for each other.
        for folder in sorted(each.folder for each in wanted):
            lock = building_lock(folder)
            try:
                lock.acquire(tell)
            except OSError as error:
                _raise_storage(folder.parent, error.strerror or str(error), error.errno)
            held.callback(lock.release)
        yield


@contextlib.contextmanager
def _told_errors(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _raise_storage(cache, error.strerror or str(error), error.errno)


def _missing(meta: Any, fingerprint: str, wanted: Sequence[_Wanted]) -> list[ShardBuild]:
    builds = []
    for each in wanted:
        write_store(each.folder, meta, fingerprint, each.camera, each.form)
        remove_leftovers(each.folder)
        present = present_shards(each.folder, each.files)
        for file in each.files:
            if file.name in present:
                continue
            if not file.path.is_file():
                raise DatasetError(f"{file.path} is missing", hint=f"etude data check {meta.root}")
            (each.folder / f"{file.shard}.json").unlink(missing_ok=True)
            depth = each.camera in meta.depth_keys
            video = is_video(meta, each.camera)
            builds.append(ShardBuild(each.folder, each.camera, file, each.form, video, depth, Path(meta.root)))
    return builds


def _look_at_space(meta: Any, builds: Sequence[ShardBuild], cache: Path, max_bytes: int | None) -> None:
    needed = 0.0
    for build in builds:
        values = _values(meta, build.camera) * (2 if build.depth else 1)
        if build.form.width is not None and build.form.height is not None:
            values = build.form.width * build.form.height * (2 if build.depth else 3)
        needed += build.file.frames * values * EXPECTED_RATIO[build.form.name]
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.resolve().parents) if folder.exists())).free
    allowed = free if max_bytes is None else min(free, max_bytes)
    if needed > allowed:
        limit = "is free" if allowed == free else "may be used"
        raise StorageError(
            f"the frame store needs about {needed / 2**30:.2f} GiB in {cache}; {allowed / 2**30:.2f} GiB {limit}",
            hint="--frames.store=jpeg is smaller; --frames.path chooses another disk; --frames.store=video needs none",
        )


def _make_light(meta: Any, builds: Sequence[ShardBuild], workers: int) -> None:
    pixels = sum(build.file.frames * _values(meta, build.camera) / 3 for build in builds)
    if pixels <= LIGHT_PIXELS * workers:
        for build in builds:
            build.light = build.can_be_light


def _values(meta: Any, camera: str) -> int:
    """How many numbers a frame of the dataset has."""
    return int(np.prod(meta.features[camera]["shape"]))


def _raise_storage(folder: Path, reason: str, number: int | None) -> NoReturn:
    if number in FULL:
        raise StorageError(
            f"{folder}: the disk is full; the frame store is not complete",
            hint="--frames.store=jpeg is smaller; --frames.path takes another disk; `etude data cache` removes stores",
        )
    raise StorageError(f"{folder}: {reason}", hint="choose another folder with --frames.path")


class _Builder:
    """Hands the jobs of all shards to the workers."""

    def __init__(
        self, builds: Sequence[ShardBuild], root: Path, max_bytes: int | None, progress: Progress | None
    ) -> None:
        self._scans = deque(build.scan() for build in builds)
        self._ready: deque[Job] = deque()
        self._builds, self._root, self._max_bytes, self._progress = list(builds), root, max_bytes, progress
        self._total = sum(build.file.frames for build in builds)
        self._frames = self._finished = self._bytes = 0

    def run(self, pool: WorkerPool) -> None:
        """Build all of them.

        Raises:
            DatasetError, StorageError: see `build_stores`.
        """
        self._tell()
        is_heavy = any(not build.light for build in self._builds)
        for _ in range(max(0, pool.idle - len(self._scans)) if is_heavy else 0):
            pool.give(None, {"do": "prepare"})  # imports while the others look through the files
        while self._finished < len(self._builds):
            while pool.idle and (job := self._next_job()) is not None:
                pool.give(job, job.message)
            for answer in pool.answers():
                self._take(answer)

    def _next_job(self) -> Job | None:
        if self._ready:
            return self._ready.popleft()
        return self._scans.popleft() if self._scans else None

    def _take(self, answer: Answer) -> None:
        if answer.error is not None:
            self._raise(answer)
        if answer.frames:
            self._frames += answer.frames
            self._tell()
        job: Job | None = answer.job
        if answer.done is None or job is None:
            return
        build = job.shard
        if job.message["do"] == "decode":
            sealing = build.range_done(job, answer.done)
            self._check_size(build)
            if sealing is not None:
                self._ready.appendleft(sealing)
        elif job.message["do"] == "seal":
            shard = build.finish(answer.done)
            self._bytes += shard.bytes
            self._finished += 1
        else:
            self._ready.extend(build.decode(answer.done))
            self._total += build.frames - build.file.frames
            self._check_size(build)

    def _check_size(self, build: ShardBuild) -> None:
        if self._max_bytes is not None and self._bytes + build.bytes_so_far() > self._max_bytes:
            raise StorageError(
                f"the frame store would take more than the {self._max_bytes / 2**30:.2f} GiB that it may",
                hint="--frames.store=jpeg is smaller; --frames.store=video needs no store",
            )

    def _raise(self, answer: Answer) -> NoReturn:
        if answer.job is None:
            raise StorageError(f"a process for decoding cannot run: {answer.error}", hint="see `etude doctor`")
        build: ShardBuild = answer.job.shard
        if answer.kind == "storage":
            _raise_storage(build.folder, str(answer.error), answer.errno)
        text = str(answer.error)
        named = text if str(build.file.path) in text else f"{build.file.path}: {text}"
        raise DatasetError(named, hint=f"etude data check --full {self._root}")

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress("decoding videos into the frame store", self._frames, self._total)
