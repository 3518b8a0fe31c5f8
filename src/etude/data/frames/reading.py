"""Frames of a store by table row, read by several threads straight into the batch."""

from __future__ import annotations

import contextlib
import os
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from etude.data.frames.codecs import Array, Codec, open_codec
from etude.data.frames.row_places import row_places
from etude.data.frames.shards import Shard
from etude.data.frames.store import FrameStore, reading_lock
from etude.data.frames.warming import PageWarmer
from etude.data.pictures import depth_decoder, stored_depth_scale
from etude.data.table import FrameTable, Rows
from etude.errors import DatasetError, StorageError

__all__ = ["StoredFrames"]

THREAD_BYTES = 2**20
"""A thread takes at least this much: for less, waking it costs more than it saves."""
MOST_AT_ONCE = 512
"""Frames in one call of the kernel, which takes 1,024 buffers at most."""

type _Wanted = list[tuple[int, int]]
"""Frame numbers, ascending, and the place of each in the batch."""


class StoredFrames:
    """Frames of one camera, read from its store.

    While it lives, the store cannot be removed.

    Args:
        store: as `FrameStore.find` or `build_store` gave it.
        table: whose rows are asked for.
        meta: LeRobot's dataset metadata.
        tolerance_s: how far a frame's time may be from its row's.
        threads: that read and decompress.
        memory_bytes: when the frames of the table's rows need no more than this, they are brought into the page
            cache at once, in the background, and stay there; 0 leaves that to the kernel.
        depth_unit: mm | m, what depth is handed out in.

    Attributes:
        shape, dtype: of a frame `(channels, height, width)`: uint8, or float32 for depth.

    Raises:
        DatasetError: a row has no frame.
        StorageError: the store was removed, or is damaged.
    """

    shape: tuple[int, int, int]
    dtype: torch.dtype

    def __init__(
        self,
        store: FrameStore,
        table: FrameTable,
        meta: Any,
        *,
        tolerance_s: float = 1e-4,
        threads: int = 1,
        memory_bytes: int = 0,
        depth_unit: str = "mm",
    ) -> None:
        self._folder = store.folder
        self._threads = max(1, threads)
        with contextlib.ExitStack() as held:
            lock = reading_lock(store.folder, shared=True)
            lock.acquire()
            held.callback(lock.release)
            os.utime(lock.path)
            self._open(store, table, meta, tolerance_s, depth_unit)
            self._descriptors = [self._descriptor(shard, held) for shard in self._shards]
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="etude-frames")
            held.callback(self._pool.shutdown, wait=True, cancel_futures=True)
            self._warmer = PageWarmer(self._used_parts(), memory_bytes)
            held.callback(self._warmer.close)
            self._finish = weakref.finalize(self, held.pop_all().close)

    def _open(self, store: FrameStore, table: FrameTable, meta: Any, tolerance_s: float, depth_unit: str) -> None:
        camera = store.info.camera
        self._shards, self._place = row_places(meta, camera, table, store.shards, tolerance_s=tolerance_s)
        self._starts = np.cumsum([0, *(shard.frames for shard in self._shards)]).tolist()
        self._offsets = [shard.offsets() for shard in self._shards]
        self._codecs = [_codec(shard, self._shards[0]) for shard in self._shards]
        self.shape, self._stored = self._shards[0].shape, np.dtype(self._shards[0].dtype)
        self._bytes = self._shards[0].frame_bytes
        self._is_raw = self._shards[0].encoding["name"] == "raw"
        self._to_depth = None if self._stored == np.uint8 else _depth_maker(meta, camera, depth_unit)
        self.dtype = torch.uint8 if self._to_depth is None else torch.float32

    def _descriptor(self, shard: Shard, held: contextlib.ExitStack) -> int:
        try:
            descriptor = os.open(self._folder / f"{shard.name}.frames", os.O_RDONLY)
        except OSError as error:
            raise StorageError(
                f"the frame store {self._folder} cannot be read: {error.strerror or error}", hint="start again"
            ) from error
        held.callback(os.close, descriptor)
        return descriptor

    def read(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """The frames of these rows `(len(rows), channels, height, width)`.

        Args:
            out: where to write them: contiguous, of that shape and of `dtype`; may be pinned.
        """
        size = (len(rows), *self.shape)
        if out is None:
            out = torch.empty(size, dtype=self.dtype)
        elif out.shape != size or out.dtype != self.dtype or not out.is_contiguous():
            raise ValueError(f"frames need a contiguous {self.dtype} tensor of shape {size}")
        codes = out.numpy() if self._to_depth is None else np.empty(size, self._stored)
        if not len(rows):
            return out
        wanted, repeated = _distinct(self._place[rows].tolist())
        self._load_all(wanted, codes)
        for place, first in repeated:
            codes[place] = codes[first]
        if self._to_depth is not None:
            out.copy_(self._to_depth(torch.from_numpy(codes)))
        return out

    def will_read(self, rows: Rows) -> None:
        """A hint: these rows are asked for soon. The disk begins to read what is not in memory."""
        if self._warmer.is_warm:
            return
        wanted = [(frame, 0) for frame in np.unique(self._place[rows]).tolist()]
        for shard, first, places in self._runs(wanted):
            begin, end = self._offsets[shard][first], self._offsets[shard][first + len(places)]
            os.posix_fadvise(self._descriptors[shard], int(begin), int(end - begin), os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Let go of the store. A reader that nobody holds any more does so by itself."""
        self._finish()

    def _load_all(self, wanted: _Wanted, codes: Array) -> None:
        load = self._load_raw if self._is_raw else self._load_packed
        parts = min(self._threads, len(wanted), -(-len(wanted) * self._bytes // THREAD_BYTES))
        try:
            if parts <= 1:
                load(wanted, codes)
                return
            bounds = [len(wanted) * part // parts for part in range(parts + 1)]
            slices = [wanted[a:b] for a, b in pairwise(bounds)]
            others = [self._pool.submit(load, part, codes) for part in slices[1:]]
            load(slices[0], codes)
            for other in others:
                other.result()
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error

    def _load_raw(self, wanted: _Wanted, codes: Array) -> None:
        size, view = self._bytes, memoryview(codes).cast("B")
        for shard, first, places in self._runs(wanted):
            buffers = [view[place * size : (place + 1) * size] for place in places]
            expected = size * len(places)
            if os.preadv(self._descriptors[shard], buffers, first * size) != expected:
                self._load_slowly(shard, first, buffers)

    def _load_slowly(self, shard: int, first: int, buffers: Sequence[memoryview]) -> None:
        """The kernel may give less than was asked for, and not only at the end of a file."""
        for number, buffer in enumerate(buffers):
            offset, done = (first + number) * self._bytes, 0
            while done < len(buffer):
                got = os.preadv(self._descriptors[shard], [buffer[done:]], offset + done)
                if got == 0:
                    raise self._damaged(f"{self._shards[shard].name}.frames is too short")
                done += got

    def _load_packed(self, wanted: _Wanted, codes: Array) -> None:
        for frame, place in wanted:
            shard = bisect_right(self._starts, frame) - 1
            number = frame - self._starts[shard]
            begin, end = self._offsets[shard][number : number + 2].tolist()
            data = os.pread(self._descriptors[shard], end - begin, begin)
            try:
                self._codecs[shard].decode(data, codes[place])
            except Exception as error:
                raise self._damaged(f"{self._shards[shard].name}.frames, frame {number}: {error}") from error

    def _runs(self, wanted: _Wanted) -> Iterator[tuple[int, int, list[int]]]:
        """Frames that lie one behind the other: shard, number of the first in it, places in the batch."""
        shard = first = following = -1
        end = 0
        places: list[int] = []
        for frame, place in wanted:
            if frame == following and frame < end and len(places) < MOST_AT_ONCE:
                places.append(place)
            else:
                if places:
                    yield shard, first, places
                shard = bisect_right(self._starts, frame) - 1
                first, end, places = frame - self._starts[shard], self._starts[shard + 1], [place]
            following = frame + 1
        if places:
            yield shard, first, places

    def _used_parts(self) -> list[tuple[int, int, int]]:
        """Of each file the part from the first to the last frame that a row has: descriptor, begin, end."""
        shard_of = np.searchsorted(self._starts, self._place, side="right") - 1
        parts = []
        for shard in np.unique(shard_of).tolist():
            frames = self._place[shard_of == shard] - self._starts[shard]
            offsets = self._offsets[shard]
            parts.append(
                (self._descriptors[shard], int(offsets[frames.min()]), int(offsets[frames.max() + 1])),
            )
        return parts

    def _damaged(self, reason: str) -> StorageError:
        return StorageError(
            f"the frame store {self._folder} is damaged: {reason}",
            hint="`etude data cache verify` looks at all of it; `etude data cache remove` removes it",
        )


def _distinct(frames: list[int]) -> tuple[_Wanted, list[tuple[int, int]]]:
    """Each frame once, in the order of the file, with its place; and the places that repeat another's frame."""
    first: dict[int, int] = {}
    repeated = []
    for place, frame in enumerate(frames):
        seen = first.setdefault(frame, place)
        if seen != place:
            repeated.append((place, seen))
    return sorted(first.items()), repeated


def _codec(shard: Shard, first: Shard) -> Codec:
    if (shard.shape, shard.dtype) != (first.shape, first.dtype):
        raise DatasetError(
            f"{shard.source} holds frames of {shard.shape} {shard.dtype}, {first.source} of {first.shape} {first.dtype}"
        )
    return open_codec(shard.encoding, shard.shape, shard.dtype)


def _depth_maker(meta: Any, camera: str, unit: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """From stored codes to depth, as LeRobot does it: of a video by its encoder's scale, of a picture by its unit."""
    if camera in meta.video_keys:
        decode = depth_decoder(meta, camera, unit)
        assert decode is not None
        return decode
    scale = stored_depth_scale(meta, camera, unit)

    def convert(codes: torch.Tensor) -> torch.Tensor:
        depth = codes.to(torch.float32)
        return depth * scale if scale >= 1 else depth / round(1 / scale)

    return convert
