"""From `--frames.*` to a reader for each camera: a store that is there, or built now, else the dataset's own files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from etude.config.options import FramesOptions
from etude.data.frames.choose import Choice, Facts, choose, readable_bytes
from etude.data.frames.facts import FactFinder
from etude.data.frames.forms import Form, FormName
from etude.data.frames.location import cache_folder
from etude.data.frames.resizing import Resized, resized
from etude.data.frames.settling import settle_in_background
from etude.data.frames.space import free_memory
from etude.data.frames.store import FrameStore
from etude.data.pictures import ImageColumn, InMemory, PictureReader, VideoFiles
from etude.data.sources import fingerprint
from etude.data.table import FrameTable
from etude.errors import EtudeError

__all__ = ["PictureSettings", "open_readers"]

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

PAGES_SHARE = 0.5  # of the free memory, for a store's pages


@dataclass(frozen=True)
class PictureSettings:
    """How camera frames are read.

    Attributes:
        frames: `--frames.*`.
        fingerprint: the dataset's identity; None finds it out.
        expected_reads: frames that this process will ask for of each camera; decoding everything pays only when
            this is of the same order.
        threads: reading and decoding threads.
        backend: torchcodec | pyav | None (what works), for frames that are not stored.
        processes: processes of the run on this machine.
        is_builder: whether this process builds while the others of this machine wait.
        agree: gives every process's value, by rank; of one process, a list of one.
        tell: where a sentence for the user goes at once; building may take long.
    """

    frames: FramesOptions = field(default_factory=FramesOptions)
    fingerprint: str | None = None
    expected_reads: int | None = None
    threads: int = 2
    backend: str | None = None
    tolerance_s: float = 1e-4
    depth_unit: str = "mm"
    processes: int = 1
    is_builder: bool = True
    agree: Callable[[Any], list[Any]] = lambda value: [value]
    tell: Callable[[str], None] | None = None


def open_readers(
    meta: Any,
    table: FrameTable,
    keys: Sequence[str],
    settings: PictureSettings,
    *,
    episodes: Sequence[int],
    tell: Callable[[str], None],
    progress: Progress | None = None,
) -> Mapping[str, PictureReader]:
    """A reader for each of these cameras.

    Args:
        meta: LeRobot's dataset metadata.
        episodes: those that `table` holds.
        tell: called with what a user should know about how frames are read.
        progress: called with a sentence, the frames finished and the frames in all.

    Raises:
        StorageError: a form was asked for that does not fit, or could not be written.
        DatasetError: a form was asked for, and a file cannot be decoded.
    """
    if not keys:
        return {}
    return _Opening(meta, table, keys, settings, episodes, tell, progress).readers()


class _Opening:
    """The steps from facts to readers."""

    def __init__(
        self,
        meta: Any,
        table: FrameTable,
        keys: Sequence[str],
        settings: PictureSettings,
        episodes: Sequence[int],
        tell: Callable[[str], None],
        progress: Progress | None,
    ) -> None:
        self._meta, self._table, self._keys, self._settings = meta, table, list(keys), settings
        options = settings.frames
        self._form = Form("raw", options.quality, options.width, options.height)
        self._cache = cache_folder(Path(options.path) if options.path else None)
        self._episodes = None if len(episodes) == meta.total_episodes else list(episodes)
        self._tell, self._progress = tell, progress
        self._finder = FactFinder(
            meta, settings.fingerprint or fingerprint(Path(meta.root)), keys, self._episodes, self._form, self._cache
        )

    def readers(self) -> Mapping[str, PictureReader]:
        """Choose, build, and open."""
        choice = self._agreed(self._settings.frames.store)
        self._tell(choice.sentence)
        if choice.form not in get_args(FormName):
            return self._from_files(choice)
        try:
            stores = self._stores(choice)
            return {key: self._stored(store) for key, store in stores.items()}
        except EtudeError as error:
            if self._settings.frames.store != "auto":
                raise
            logger.debug("no frame store", exc_info=error)
            instead = self._agreed("off")
            self._tell(f"no frame store: {error.message}; instead: {instead.sentence.removeprefix('frames: ')}")
            return self._from_files(instead)

    def _agreed(self, store: str) -> Choice:
        """The choice of the first process, so that all read the same; a refusal is everybody's."""
        choice: Choice | None = None
        failure: EtudeError | None = None
        try:
            choice = self._choose(store)
        except EtudeError as error:
            failure = error
        choice, failure = self._settings.agree((choice, failure))[0]
        if failure is not None:
            raise failure
        assert choice is not None
        return choice

    def _choose(self, store: str) -> Choice:
        settings, options = self._settings, self._settings.frames

        def chosen(facts: Facts) -> Choice:
            return choose(
                facts, store, quality=options.quality, memory_gib=options.memory_gib, disk_gib=options.disk_gib
            )

        facts = self._finder.facts(settings.expected_reads, settings.processes)
        try:
            choice = chosen(facts)
        except EtudeError:  # by the usual sizes it does not fit: worth a look at this camera's
            return chosen(self._finder.with_measured_sizes(facts))
        if choice.form in ("zstd", "jpeg") and choice.builds:
            return chosen(self._finder.with_measured_sizes(facts))
        return choice

    def _stores(self, choice: Choice) -> Mapping[str, FrameStore]:
        """The stores of all cameras, built by one process of this machine while the others wait."""
        from etude.data.frames.build import build_stores

        settings, stores, failure = self._settings, None, None
        turn = _Turn(settings.agree)
        if not settings.is_builder:
            turn.take()

        def show(what: str, done: int, total: int) -> None:
            turn.take()  # from now on this process holds the lock, and the others may queue for it
            if self._progress is not None:
                self._progress(what, done, total)

        began = time.monotonic()
        try:
            stores = build_stores(
                self._meta,
                self._finder.fingerprint,
                self._keys,
                replace(self._form, name=choice.form),  # type: ignore[arg-type]
                cache=self._cache,
                episodes=self._episodes,
                max_bytes=choice.limit if choice.builds else None,
                progress=show,
                video_backend=settings.backend,
            )
        except EtudeError as error:
            failure = error
        turn.take()
        failures = [error for error in settings.agree(failure) if error is not None]
        if failures:
            raise failures[0]
        assert stores is not None
        if settings.is_builder:
            settle_in_background(shard for store in stores.values() for shard in store.placed_shards())
        if choice.builds:
            self._tell(_built(choice, stores, time.monotonic() - began))
        return stores

    def _stored(self, store: FrameStore) -> PictureReader:
        from etude.data.frames.reading import StoredFrames

        memory_gib = self._settings.frames.memory_gib
        memory = free_memory() * PAGES_SHARE if memory_gib is None else memory_gib * 2**30
        reader: PictureReader = StoredFrames(
            store,
            self._table,
            self._meta,
            tolerance_s=self._settings.tolerance_s,
            threads=self._settings.threads,
            memory_bytes=int(memory / len(self._keys)),
            depth_unit=self._settings.depth_unit,
        )
        return reader

    def _from_files(self, choice: Choice) -> Mapping[str, PictureReader]:
        readers = {key: self._file_reader(key) for key in self._keys}
        if choice.form == "memory":
            return self._in_memory(readers)
        return readers if self._form.width is None else {key: Resized(its, self._form) for key, its in readers.items()}

    def _file_reader(self, key: str) -> VideoFiles | ImageColumn:
        settings = self._settings
        if key not in self._meta.video_keys:
            return ImageColumn(self._meta, key, self._table, threads=settings.threads, depth_unit=settings.depth_unit)
        return VideoFiles(
            self._meta,
            key,
            self._table,
            backend=settings.backend,
            tolerance_s=settings.tolerance_s,
            threads=settings.threads,
            depth_unit=settings.depth_unit,
        )

    def _in_memory(self, readers: Mapping[str, VideoFiles | ImageColumn]) -> Mapping[str, PictureReader]:
        rows = np.arange(len(self._table))
        total, done = len(rows) * len(readers), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if self._progress is not None:
                self._progress("decoding videos into memory", done, total)

        def change(frames: Any) -> Any:
            return resized(frames, self._form)

        threads = self._settings.threads
        return {
            key: InMemory(reader, rows, threads=threads, advance=advance, change=change)
            for key, reader in readers.items()
        }


class _Turn:
    """Lets the building process of each machine go first: the others meet it here, and then wait for its lock."""

    def __init__(self, agree: Callable[[Any], list[Any]]) -> None:
        self._agree = agree
        self._taken = False

    def take(self) -> None:
        """Meet the others; only the first call does."""
        if not self._taken:
            self._taken = True
            self._agree(None)


def _built(choice: Choice, stores: Mapping[str, FrameStore], seconds: float) -> str:
    size = sum(shard.bytes for store in stores.values() for shard in store.shards.values())
    sentence = f"frame store built in {seconds:.0f} s: {readable_bytes(size)}"
    errors = [store.info.error for store in stores.values() if store.info.error]
    if choice.form == "jpeg" and errors:
        mean, most = max(error["mean"] for error in errors), max(error["max"] for error in errors)
        sentence += f"; measured against exact frames: {mean:.2f} of 255 off on average, {most:.0f} at most"
    return sentence
