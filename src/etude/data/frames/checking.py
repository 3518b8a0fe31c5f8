"""Comparing a finished shard with LeRobot's own decoder: a store must give what LeRobot would give."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etude.data.frames.codecs import Jpeg, fit, open_codec
from etude.data.frames.forms import Form
from etude.data.frames.shards import Shard
from etude.errors import DatasetError

__all__ = ["Comparison", "OtherFramesError"]

logger = logging.getLogger(__name__)

FRAMES = 5
"""Frames compared in each shard: the first, the last and some between."""
NEAR_S = 1e-3


class OtherFramesError(DatasetError):
    """The store's decoder and LeRobot's do not agree on a video: it must be read with LeRobot's."""


class Comparison:
    """Decodes a few frames of each video with LeRobot in a thread, while the workers decode all of them.

    Args:
        backend: as `--dataset.video_backend`; None takes torchcodec where it is loaded already or the decoders
            differ (see `begin`), else pyav, which is loaded much faster.
    """

    def __init__(self, backend: str | None = None) -> None:
        self._asked = backend
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="etude-compare")

    def begin(
        self, path: Path, times_s: Sequence[float], *, depth: bool, tagged: bool
    ) -> Future[dict[int, npt.NDArray[Any]]]:
        """Start decoding; the result is frame number to frame `(channels, height, width)`.

        Args:
            tagged: the video has a colour space that torchcodec follows and pyav does not.
        """
        return self._thread.submit(self._decode, path, times_s, depth, self._backend(tagged))

    def compare(self, expected: dict[int, npt.NDArray[Any]], frames: Path, shard: Shard, form: Form) -> None:
        """Look whether the shard's file holds these frames.

        Raises:
            OtherFramesError: it holds others.
        """
        codec = open_codec(shard.encoding, shard.shape, shard.dtype)
        offsets = shard.offsets()
        found = np.empty(shard.shape, shard.dtype)
        with open(frames, "rb") as file:
            for number, frame in expected.items():
                file.seek(int(offsets[number]))
                data = file.read(int(offsets[number + 1] - offsets[number]))
                if isinstance(codec, Jpeg):
                    equal = bytes(codec.encode(_at_size(frame, form))) == data
                else:
                    codec.decode(data, found)
                    wanted = frame if form.width is None else _at_size(frame, form).transpose(2, 0, 1)
                    equal = np.array_equal(found, wanted)
                if not equal:
                    raise OtherFramesError(
                        f"{shard.source}: frame {number} decoded in order is not the one that LeRobot decodes "
                        f"({self._asked or 'its default'}); no store is made of it",
                        hint="--frames.store=video reads it with LeRobot's decoder",
                    )

    def close(self) -> None:
        """Wait for the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _backend(self, tagged: bool) -> str:
        if self._asked is not None:
            return self._asked
        if tagged and importlib.util.find_spec("torchcodec") is not None:
            return "torchcodec"
        return "torchcodec" if "torchcodec" in sys.modules else "pyav"

    def _decode(self, path: Path, times_s: Sequence[float], depth: bool, backend: str) -> dict[int, npt.NDArray[Any]]:
        try:
            from lerobot.datasets.video_utils import decode_video_frames
        except ImportError:
            logger.debug("lerobot is not here; frames of %s are not compared with its decoder", path)
            return {}
        found = {}
        for number in sorted(set(np.linspace(0, len(times_s) - 1, FRAMES).astype(int).tolist())):
            try:
                decoded = decode_video_frames(
                    path, [times_s[number]], NEAR_S, backend, return_uint8=True, is_depth=depth
                )
            except Exception as error:  # noqa: BLE001  a time at which LeRobot finds no frame is no frame of its
                logger.debug("%s: LeRobot does not decode frame %d: %s", path, number, error)
                continue
            found[number] = decoded[0].numpy()
        return found


def _at_size(frame: npt.NDArray[Any], form: Form) -> npt.NDArray[Any]:
    """The frame `(channels, height, width)` as `(height, width, channels)`, at the form's size."""
    picture = fit(np.ascontiguousarray(frame.transpose(1, 2, 0)), form)
    return picture.reshape(*picture.shape[:2], -1)
