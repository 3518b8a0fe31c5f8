"""Camera frames by table row: decoded for each batch, or once into memory.

All decoding happens in threads of this process. No process is ever forked after a decoder was opened: that is how
LeRobot's loader comes to "Could not push packet to decoder".
"""

from __future__ import annotations

import io
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from etude.data.table import FrameTable, Rows
from etude.errors import DatasetError

__all__ = ["ImageColumn", "InMemory", "PictureReader", "VideoFiles"]

logger = logging.getLogger(__name__)

CHUNK = 64  # frames decoded by one call when a whole video is read


class PictureReader(Protocol):
    """Frames of one camera."""

    def read(self, rows: Rows) -> torch.Tensor:
        """Frames `(len(rows), channels, height, width)`: uint8, or float32 for depth."""
        ...


class VideoFiles:
    """Frames decoded from the dataset's videos when asked for.

    Args:
        meta: LeRobot's dataset metadata.
        key: the camera's feature name.
        table: gives each row's timestamp and episode.
        backend: torchcodec | pyav, as `--dataset.video_backend`.
        tolerance_s: how far a decoded frame's time may be from the row's.
        threads: videos decoded at the same time.
    """

    def __init__(
        self,
        meta: Any,
        key: str,
        table: FrameTable,
        *,
        backend: str | None,
        tolerance_s: float,
        threads: int = 1,
        depth_unit: str = "mm",
    ) -> None:
        timestamps = table.columns["timestamp"]
        assert isinstance(timestamps, torch.Tensor)
        self._timestamps = timestamps.double().numpy()
        self._episode = table.episode
        self._starts: dict[int, float] = {}
        self._paths: dict[int, Path] = {}
        # A decoder has one position in its file. Training and validation read the same files from different threads.
        self._locks: dict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._meta = meta
        self._key = key
        self._backend = backend
        self._tolerance_s = tolerance_s
        self._depth = depth_decoder(meta, key, depth_unit)
        self._pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="etude-decode")

    def read(self, rows: Rows) -> torch.Tensor:
        """Decode these rows; each video is opened by one thread and read forwards."""
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for place, row in enumerate(rows.tolist()):
            episode = int(self._episode[row])
            # PyAV decodes everything between the first and the last time asked for, so it gets one episode at most.
            groups[(str(self._path(episode)), episode if self._backend == "pyav" else -1)].append(place)
        jobs = [(np.asarray(places), rows[places]) for places in groups.values()]
        frames: torch.Tensor | None = None
        for places, decoded in zip([job[0] for job in jobs], self._pool.map(self._decode_job, jobs), strict=True):
            if frames is None:
                frames = decoded.new_empty((len(rows), *decoded.shape[1:]))
            frames[torch.from_numpy(places)] = decoded
        assert frames is not None
        return frames

    def files(self, rows: Rows) -> Iterator[Rows]:
        """The rows split by video file, each part in the order of its frames."""
        by_path: dict[str, list[int]] = defaultdict(list)
        for row in rows.tolist():
            by_path[str(self._path(int(self._episode[row])))].append(row)
        for members in by_path.values():
            yield np.asarray(members)

    def _decode_job(self, job: tuple[Rows, Rows]) -> torch.Tensor:
        rows = job[1]
        times = np.asarray([self._start(int(self._episode[row])) + self._timestamps[row] for row in rows])
        order = np.argsort(times, kind="stable")
        unique, inverse = np.unique(times[order], return_inverse=True)
        path = self._path(int(self._episode[rows[0]]))
        with self._locks[path]:
            decoded = self._decode(path, unique.tolist(), rows)
        result = torch.empty((len(rows), *decoded.shape[1:]), dtype=decoded.dtype)
        result[torch.from_numpy(order)] = decoded[torch.from_numpy(inverse)]
        return result

    def _decode(self, path: Path, times: list[float], rows: Rows) -> torch.Tensor:
        from lerobot.datasets.video_utils import decode_video_frames

        try:
            frames = decode_video_frames(
                path,
                times,
                self._tolerance_s,
                self._backend,
                return_uint8=True,
                is_depth=self._depth is not None,
            )
        except Exception as error:
            episodes = sorted({int(self._episode[row]) for row in rows})
            raise DatasetError(
                f"{path}: frames of episode {', '.join(map(str, episodes[:5]))} cannot be decoded: "
                f"{str(error).splitlines()[0]}",
                hint=f"etude data check --full {self._meta.root}",
            ) from error
        return frames if self._depth is None else self._depth(frames)

    def _path(self, episode: int) -> Path:
        if episode not in self._paths:
            self._paths[episode] = Path(self._meta.root) / self._meta.get_video_file_path(episode, self._key)
        return self._paths[episode]

    def _start(self, episode: int) -> float:
        if episode not in self._starts:
            row = self._meta.episodes[episode]
            self._starts[episode] = float(row[f"videos/{self._key}/from_timestamp"])
        return self._starts[episode]


class ImageColumn:
    """Frames stored as pictures (PNG) in the tables."""

    def __init__(self, meta: Any, key: str, table: FrameTable, *, threads: int = 1, depth_unit: str = "mm") -> None:
        column = table.columns[key]
        assert isinstance(column, pa.ChunkedArray)
        self._column = column.combine_chunks()
        self._root = Path(meta.root)
        self._scale = stored_depth_scale(meta, key, depth_unit)
        self._pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="etude-decode")

    def read(self, rows: Rows) -> torch.Tensor:
        """Decode these rows."""
        return torch.stack(list(self._pool.map(self._decode, rows.tolist())))

    def files(self, rows: Rows) -> Iterator[Rows]:
        """The rows in parts, so that several threads can read them."""
        yield from np.array_split(rows, max(1, len(rows) // 1024))

    def _decode(self, row: int) -> torch.Tensor:
        from PIL import Image

        cell = self._column[row].as_py()
        data = cell["bytes"] if isinstance(cell, dict) else cell
        source: Any = io.BytesIO(data) if data is not None else self._root / cell["path"]
        with Image.open(source) as picture:
            array = np.array(picture)
        if array.dtype == np.uint8:
            if array.ndim == 2:
                array = array[:, :, None]
            return torch.from_numpy(array).permute(2, 0, 1).contiguous()
        depth = torch.from_numpy(array.astype(np.float32))[None]
        return depth * self._scale if self._scale >= 1 else depth / round(1 / self._scale)


class InMemory:
    """Frames of a reader, all decoded once, in order, into one array.

    Args:
        reader: what to decode with.
        rows: which rows will be asked for.
        advance: called with the number of frames finished.
        change: what is done to frames before they are kept.
    """

    def __init__(
        self,
        reader: VideoFiles | ImageColumn,
        rows: Rows,
        *,
        threads: int,
        advance: Callable[[int], None] | None = None,
        change: Callable[[torch.Tensor], torch.Tensor] = lambda frames: frames,
    ) -> None:
        first = change(reader.read(rows[:1]))
        self._frames = torch.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
        self._place = np.full(int(rows.max()) + 1, -1, dtype=np.int64)
        self._place[rows] = np.arange(len(rows))

        def fill(part: Rows) -> None:
            for chunk in np.array_split(part, max(1, -(-len(part) // CHUNK))):
                decoded = reader._decode_job((chunk, chunk)) if isinstance(reader, VideoFiles) else reader.read(chunk)
                self._frames[torch.from_numpy(self._place[chunk])] = change(decoded)
                if advance is not None:
                    advance(len(chunk))

        with ThreadPoolExecutor(max(1, threads), thread_name_prefix="etude-fill") as pool:
            for _ in pool.map(fill, reader.files(rows)):
                pass

    def read(self, rows: Rows) -> torch.Tensor:
        """A copy of these rows' frames."""
        return self._frames[torch.from_numpy(self._place[rows])]


def depth_decoder(meta: Any, key: str, unit: str) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if key not in meta.depth_keys:
        return None
    from lerobot.configs import DepthEncoderConfig
    from lerobot.datasets.depth_utils import dequantize_depth

    encoder = DepthEncoderConfig.from_video_info(meta.features[key].get("info"))

    def decode(frames: torch.Tensor) -> torch.Tensor:
        depth: torch.Tensor = dequantize_depth(
            frames,
            depth_min=encoder.depth_min,
            depth_max=encoder.depth_max,
            shift=encoder.shift,
            use_log=encoder.use_log,
            output_unit=unit,
        )
        return depth

    return decode


def stored_depth_scale(meta: Any, key: str, unit: str) -> float:
    stored = (meta.features[key].get("info") or {}).get("depth_unit") if key in meta.depth_keys else None
    if stored is None or stored == unit:
        return 1.0
    return 1000.0 if stored == "m" else 1e-3
