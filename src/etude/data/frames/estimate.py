"""How small the compressed forms of a camera's frames are, from a few of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from etude.data.frames.camera_files import CameraFile
from etude.data.frames.codecs import Array, Jpeg, Zstd, fit, interleaved, planar
from etude.data.frames.colours import NATIVE_FORMATS
from etude.data.frames.forms import Form
from etude.data.frames.picture_cells import decode_cells, scan_table

__all__ = ["measured_ratios"]

logger = logging.getLogger(__name__)

SAMPLES = 3
MARGIN = 1.1  # a few frames may be simpler than the rest


def measured_ratios(file: CameraFile, camera: str, root: Path, form: Form, *, video: bool) -> Mapping[str, float]:
    """Bytes of a frame against raw, by the form's name; empty where no frame can be had.

    Args:
        form: its quality and size count.
    """
    try:
        sizes = [_sizes(*sample, form) for sample in (_video(file.path) if video else _table(file.path, root, camera))]
    except Exception as error:  # noqa: BLE001  an estimate: what is wrong with the file is found by building
        logger.debug("%s: no frame to estimate sizes from: %s", file.path, error)
        return {}
    names = {name for found in sizes for name in found}
    return {name: min(1.0, MARGIN * float(np.mean([found[name] for found in sizes]))) for name in names}


def _video(path: Path) -> Iterator[tuple[Array, Array | None]]:
    """Pictures spread over a video, each with its own planes where those are what is stored."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number in range(SAMPLES):
            container.seek(int((stream.duration or 0) * number / SAMPLES), stream=stream)
            frame = next(container.decode(stream))
            if frame.format.name.startswith("gray"):
                yield frame.to_ndarray(), None
            else:
                planes = frame.to_ndarray() if frame.format.name in NATIVE_FORMATS else None
                yield interleaved(frame.reformat(format="rgb24")), planes


def _table(path: Path, root: Path, camera: str) -> Iterator[tuple[Array, Array | None]]:
    frames = int(scan_table(str(path), str(root), camera)["frames"])
    found: list[Array] = []
    for number in range(SAMPLES):
        decode_cells(str(path), str(root), camera, frames * number // SAMPLES, 1, found.append)
    for picture in found:
        yield picture, None


def _sizes(picture: Array, planes: Array | None, form: Form) -> dict[str, float]:
    picture = fit(picture, form)
    if picture.ndim == 2:
        picture = picture[:, :, None]
    height, width, channels = picture.shape
    shape, dtype = (channels, height, width), str(picture.dtype)
    if planes is None or form.width is not None:
        planes = np.empty(shape, picture.dtype)
        planar(picture, planes)
    sizes = {"zstd": len(memoryview(Zstd(shape, dtype).encode(planes)).cast("B")) / picture.nbytes}
    if picture.dtype == np.uint8:
        jpeg = Jpeg(shape, dtype, form.quality).encode(picture)
        sizes["jpeg"] = len(memoryview(jpeg).cast("B")) / picture.nbytes
    return sizes
