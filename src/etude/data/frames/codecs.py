"""One frame to its stored bytes and back.

A *picture* is a frame as decoders give it: `(height, width, channels)`, RGB; a store hands out `(channels, height,
width)`. Light imports only: the decoding processes load this file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from etude.data.frames.colours import to_rgb
from etude.data.frames.forms import Form

__all__ = [
    "Codec",
    "Encoding",
    "Jpeg",
    "Raw",
    "Zstd",
    "fit",
    "interleaved",
    "open_codec",
    "planar",
]

type Array = npt.NDArray[Any]
type Encoding = dict[str, Any]
"""How a shard's frames are written, as its JSON file tells: `{"name": "raw"}` and the like."""

ZSTD_LEVEL = 1


def interleaved(frame: Any) -> Array:
    """The picture in a decoder's RGB frame, without a copy."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * frame.height].reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)


def planar(picture: Array, out: Array) -> None:
    """Write a picture into `out`, `(channels, height, width)`."""
    if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] > 1:
        import cv2

        cv2.split(picture, list(out))
    else:
        out[...] = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)


def fit(picture: Array, form: Form) -> Array:
    """The picture at the form's size: bilinear with antialiasing, nearest for anything but uint8.

    The same interpolation as that of the step by which a checkpoint resizes full-size pictures: they differ by the
    rounding to whole numbers only. Codes of depth must not be mixed: an average over an edge is a distance where
    nothing is.
    """
    if form.width is None or form.height is None or picture.shape[:2] == (form.height, form.width):
        return picture
    size = (form.width, form.height)
    if picture.dtype != np.uint8:
        import cv2

        return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_NEAREST)
    from PIL import Image

    if picture.ndim == 3 and picture.shape[2] != 3:  # each channel by itself: none of them is transparency
        planes = [Image.fromarray(np.ascontiguousarray(picture[:, :, channel])) for channel in range(picture.shape[2])]
        return np.stack([np.asarray(plane.resize(size, Image.Resampling.BILINEAR)) for plane in planes], axis=2)
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR))


class Raw:
    """Frames as they are: every frame has the same length, and nothing needs decoding."""

    encoding: Encoding = {"name": "raw"}  # noqa: RUF012  never changed

    def __init__(self, shape: tuple[int, int, int], dtype: str) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)

    def decode(self, data: Any, out: Array) -> None:
        """Write a stored frame into `out` `(channels, height, width)`."""
        out[...] = np.frombuffer(data, self.dtype).reshape(self.shape)


class Zstd:
    """Frames compressed without loss.

    Args:
        native: the pixel format of the video, when its own planes are stored; RGB is made of them when reading, by
            the same converter that LeRobot's decoder uses.
        colours: the video's colour space, if it is one of `TAGGED_COLOURS`.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: str, native: str | None = None, colours: int | None = None
    ) -> None:
        import pyarrow as pa

        self.shape, self.dtype, self.native = shape, np.dtype(dtype), native
        self.encoding: Encoding = {"name": "zstd"}
        if native is not None:
            self.encoding["native"] = native
        if colours is not None:
            self.encoding["colours"] = colours
        self._colours = colours
        self._codec = pa.Codec("zstd", ZSTD_LEVEL)
        self._local = threading.local()
        if native is None:
            self._stored_shape: tuple[int, ...] = shape
        else:
            self._stored_shape = (shape[1] * 3 // 2, shape[2])
        self._size = int(np.prod(self._stored_shape)) * self.dtype.itemsize

    def encode(self, array: Array) -> Any:
        """Compress `(channels, height, width)`, or the planes of a native frame."""
        return self._codec.compress(np.ascontiguousarray(array))

    def decode(self, data: Any, out: Array) -> None:
        """Write a stored frame into `out` `(channels, height, width)`."""
        plain = self._codec.decompress(data, decompressed_size=self._size)
        stored = np.frombuffer(plain, self.dtype).reshape(self._stored_shape)
        if self.native is None:
            out[...] = stored
        else:
            planar(interleaved(self._to_rgb(stored)), out)

    def _to_rgb(self, planes: Array) -> Any:
        import av
        from av.video.reformatter import VideoReformatter

        if not hasattr(self._local, "reformatter"):
            self._local.reformatter = VideoReformatter()  # its tables are made once a thread
        frame = av.VideoFrame.from_ndarray(planes, format=str(self.native))
        if self._colours is not None:
            frame.colorspace = self._colours
        return to_rgb(frame, self._local.reformatter)


class Jpeg:
    """Frames as baseline JPEG, 4:2:0: 10 to 20 times smaller than raw, not exact."""

    def __init__(self, shape: tuple[int, int, int], dtype: str, quality: int) -> None:
        if np.dtype(dtype) != np.uint8 or shape[0] not in (1, 3):
            raise ValueError(f"JPEG holds 8-bit gray or RGB frames; these are {dtype} with {shape[0]} channels")
        self.shape, self.dtype, self.quality = shape, np.dtype(dtype), quality
        self.encoding: Encoding = {"name": "jpeg", "quality": quality}

    def encode(self, picture: Array) -> Any:
        """Compress a picture `(height, width, channels)`."""
        import cv2

        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if self.shape[0] == 3 else np.ascontiguousarray(picture)
        done, data = cv2.imencode(".jpg", colours, options)
        if not done:
            raise ValueError("a frame cannot be written as JPEG")
        return data

    def decode(self, data: Any, out: Array) -> None:
        """Write a stored frame into `out` `(channels, height, width)`."""
        import cv2

        gray = self.shape[0] == 1
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError("a stored JPEG frame is damaged")
        if gray:
            out[0] = picture
        else:
            cv2.split(picture, list(out[::-1]))  # OpenCV's blue, green, red


type Codec = Raw | Zstd | Jpeg

_CODECS: dict[str, Callable[..., Codec]] = {"raw": Raw, "zstd": Zstd, "jpeg": Jpeg}


def open_codec(encoding: Encoding, shape: tuple[int, int, int], dtype: str) -> Codec:
    """The codec that a shard's JSON file names."""
    options = {key: value for key, value in encoding.items() if key != "name"}
    return _CODECS[encoding["name"]](shape, dtype, **options)
