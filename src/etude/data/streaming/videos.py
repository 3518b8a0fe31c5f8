"""Video frames by address: a folder or anything that fsspec opens, such as `hf://datasets/USER/NAME`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from etude.data.pictures import VideoFiles
from etude.data.streaming.order import LANES
from etude.data.streaming.remote import RemoteFile
from etude.data.table import FrameTable, Rows
from etude.errors import DatasetError

__all__ = ["StreamedVideo", "VideoStreams"]


class VideoStreams:
    """Open videos, and one decoder for each, for all readers of a stream.

    Args:
        root: a folder, or an address without a slash at its end.
        cameras: how many there are; the number of videos that stay open follows from it.
        threads: videos decoded at the same time.
        backend: torchcodec | pyav | None (what works); only for folders.
    """

    def __init__(
        self, root: Path | str, *, cameras: int, threads: int, backend: str | None, tolerance_s: float
    ) -> None:
        self.root = root
        self.pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="etude-decode")
        self.backend = backend
        self._most_open = 2 * LANES * max(1, cameras)
        self._tolerance_s = tolerance_s
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _OpenVideo] = OrderedDict()

    def address(self, relative: str) -> str:
        """Of a file of the dataset."""
        return f"{self.root}/{relative}"

    def frames(self, address: str, times_s: list[float], *, depth: bool) -> torch.Tensor:
        """Frames `(len(times_s), channels, height, width)`: uint8, or a depth video's codes."""
        from lerobot.datasets.video_utils import (
            decode_video_frames,
            decode_video_frames_torchcodec,
            get_safe_default_video_backend,
        )

        backend = self.backend or get_safe_default_video_backend()
        if depth or (backend != "torchcodec" and isinstance(self.root, Path)):
            frames: torch.Tensor = decode_video_frames(
                address, times_s, self._tolerance_s, backend, return_uint8=True, is_depth=depth
            )
            return frames
        video = self._video(address)
        with video.lock:  # a decoder has one position in its file
            frames = decode_video_frames_torchcodec(
                address, times_s, self._tolerance_s, decoder_cache=video, return_uint8=True
            )
        return frames

    def _video(self, address: str) -> _OpenVideo:
        with self._lock:
            video = self._open.pop(address, None) or _OpenVideo(remote=not isinstance(self.root, Path))
            self._open[address] = video
            if len(self._open) > self._most_open:
                self._open.popitem(last=False)
            return video


class _OpenVideo:
    """One decoder, opened when first used; what LeRobot's decoding function takes for a cache of decoders."""

    def __init__(self, *, remote: bool) -> None:
        self.lock = threading.Lock()
        self._remote = remote
        self._decoder: Any = None

    def get_decoder(self, address: str) -> Any:
        if self._decoder is None:
            self._decoder = self._opened(address)
        return self._decoder

    def _opened(self, address: str) -> Any:
        from torchcodec.decoders import VideoDecoder

        return VideoDecoder(RemoteFile(address) if self._remote else address, seek_mode="approximate")


class StreamedVideo(VideoFiles):
    """One camera's frames of one data file's rows."""

    def __init__(self, meta: Any, key: str, table: FrameTable, videos: VideoStreams, *, depth_unit: str) -> None:
        super().__init__(meta, key, table, backend=videos.backend, tolerance_s=0.0, threads=1, depth_unit=depth_unit)
        self._videos = videos
        self._pool = videos.pool

    def _decode(self, path: Path, times: list[float], rows: Rows) -> torch.Tensor:
        # Only the name of `path` is used: the video is wherever the stream is.
        address = self._videos.address(path.relative_to(self._meta.root).as_posix())
        try:
            frames = self._videos.frames(address, times, depth=self._depth is not None)
        except Exception as error:
            episodes = ", ".join(str(e) for e in sorted({int(self._episode[row]) for row in rows})[:5])
            reason = str(error).partition("\n")[0] or repr(error)
            raise DatasetError(
                f"{address}: frames of episode {episodes} cannot be read: {reason}",
                hint="check the network and resume the run; is it the dataset? "
                f"--dataset.exclude_episodes='[{episodes}]' leaves them out",
            ) from error
        return frames if self._depth is None else self._depth(frames)
