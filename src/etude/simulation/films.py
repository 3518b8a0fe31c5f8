"""Videos that any browser plays: H.264 in MP4, encoded while the simulation goes on."""

from __future__ import annotations

import queue
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import SimulationError
from etude.extras import require

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Film", "every_nth"]

MOST_FPS = 20
"""Pictures a second of a video; a simulation of 80 steps a second is drawn at every fourth step."""

HOLD_S = 0.7
"""How long the last picture stands, seconds."""

WAITING = 32
"""How many pictures may wait for the encoder; then the simulation waits for it, so that memory stays small."""


def every_nth(fps: float) -> int:
    """At which steps to draw: every step of a slow simulation, fewer of a fast one."""
    return max(1, round(fps / MOST_FPS))


class Film:
    """One video. A thread of its own encodes, so that whoever draws need not wait.

    Args:
        fps: of the simulation, control steps a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._nth = path, every_nth(fps)
        self._fps = fps / self._nth
        self._pictures: queue.Queue[npt.NDArray[Any] | None] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._encode, name=f"film {path.name}", daemon=True)
        self._thread.start()

    def wants(self, step: int) -> bool:
        """Whether the picture before that control step belongs into the video."""
        return step % self._nth == 0

    def add(self, picture: npt.NDArray[Any]) -> None:
        """Append a picture, uint8 `(height, width, 3)`, all of one size; it must not change afterwards."""
        self._pictures.put(picture)

    def end(self) -> None:
        """No more pictures. The file is complete after `wait`."""
        self._pictures.put(None)

    def wait(self) -> None:
        """Wait until the file is complete.

        Raises:
            SimulationError: it could not be written.
        """
        self._thread.join()
        if self._failure is not None:
            raise SimulationError(
                f"the video {self._path} could not be written: {self._failure}",
                hint="is the disk full? --videos=0 films nothing",
            ) from self._failure

    def _encode(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  raised by `wait`, on the thread that can tell
            self._failure = error
            while self._pictures.get() is not None:  # else `add` would wait for ever
                pass

    def _write(self) -> None:
        av = require("av", extra="imitation")
        picture = self._pictures.get()
        if picture is None:
            return
        height, width = (size - size % 2 for size in picture.shape[:2])  # the pixel format needs even sizes
        av.logging.set_libav_level(av.logging.ERROR)  # the encoder would report each video on standard error
        with av.open(str(self._path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1000))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": "23", "preset": "veryfast", "threads": "1"}

            def show(seen: npt.NDArray[Any]) -> None:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(_cropped(seen, height, width), format="rgb24")))

            while picture is not None:
                last = picture
                show(last)
                picture = self._pictures.get()
            for _ in range(round(HOLD_S * self._fps)):
                show(last)
            container.mux(stream.encode())


def _cropped(picture: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    import numpy as np

    return np.ascontiguousarray(picture[:height, :width])
