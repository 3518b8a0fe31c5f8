"""Does a decoder give back the frames of a real, tiny video?"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["look"]

CODECS = ("h264", "libsvtav1")  # what recorders write most, and what LeRobot writes
FRAMES, SIZE = 8, 64


def encode(path: Path, codec: str) -> None:
    """Write grey frames, each lighter than the one before."""
    import av
    import numpy

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(FRAMES):
            picture = numpy.full((SIZE, SIZE, 3), 30 * index, dtype=numpy.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def brightness(path: Path, decoder: str) -> list[float]:
    """Mean value of each decoded frame, 0 to 255."""
    if decoder == "torchcodec":
        from torchcodec.decoders import VideoDecoder

        return [float(frame.float().mean()) for frame in VideoDecoder(str(path), device="cpu")]
    import av

    means: list[float] = []
    with av.open(str(path)) as container:
        means += [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]
    return means


def look(decoder: str) -> dict[str, Any]:
    """Which codecs the decoder, `torchcodec` or `pyav`, gives back right."""
    try:
        importlib.import_module("torchcodec" if decoder == "torchcodec" else "av")
    except (ImportError, OSError, RuntimeError) as error:
        # torchcodec says in its first line that libraries are missing, and in fifty more which it tried.
        reason = str(error).strip().splitlines()[0].removesuffix(" Likely causes:")
        raise SystemExit(f"it does not load: {reason}") from error
    decoded: list[str] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for codec in CODECS:
            path = Path(folder) / f"{codec}.mp4"
            try:
                encode(path, codec)
                means = brightness(path, decoder)
            except Exception as error:  # noqa: BLE001  whatever a codec throws is what there is to tell
                failed[codec] = f"{type(error).__name__}: {error}"[:200]
                continue
            right = len(means) == FRAMES and all(abs(mean - 30 * i) < 12 for i, mean in enumerate(means))
            if right:
                decoded.append(codec)
            else:
                failed[codec] = f"wrong frames: {len(means)} of {FRAMES}"
    if not decoded:
        raise SystemExit("; ".join(f"{codec}: {why}" for codec, why in failed.items()))
    return {"decoded": decoded, "failed": failed}
