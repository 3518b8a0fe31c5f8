"""Pictures as a robot's camera sees them: textured things that move, slow camera motion, sensor noise.

Simulator frames are flat and compress far better than real ones, so figures taken with them promise too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

MARGIN = 96  # how far the camera may look beyond the frame, pixels
NOISE_DEVIATION = 4.0  # of the sensor, in steps of 0..255
THINGS = 6


@dataclass(frozen=True)
class Thing:
    """A textured patch that moves on an ellipse and turns."""

    picture: Picture
    outline: Picture
    centre: tuple[float, float]
    radius: tuple[float, float]
    speed: float
    phase: float


class Scene:
    """What one camera sees during an episode; the same seed gives the same pictures.

    Args:
        seed: of everything in the picture.
        shape: `(height, width)`.
        sway: how far the camera moves, pixels; 0 is a camera on a tripod.
    """

    def __init__(self, seed: int, shape: tuple[int, int], sway: float = 0.0) -> None:
        self._random = np.random.default_rng(seed)
        self._height, self._width = shape
        self._sway = min(sway, MARGIN / 2 - 1)
        self._background = texture(self._random, self._height + MARGIN, self._width + MARGIN)
        self._things = [self._thing() for _ in range(THINGS)]
        size = (self._height + MARGIN, self._width + MARGIN, 3)
        self._noise = self._random.normal(0.0, NOISE_DEVIATION, size).astype(np.int16)

    def frame(self, time_s: float) -> Picture:
        """The picture `(height, width, 3)` at this time."""
        import cv2

        centre = (
            (self._width + MARGIN) / 2 + self._sway * math.sin(0.7 * time_s),
            (self._height + MARGIN) / 2 + self._sway * math.cos(0.5 * time_s),
        )
        picture = cv2.getRectSubPix(self._background, (self._width, self._height), centre)
        for thing in self._things:
            self._draw(picture, thing, time_s)
        row, column = self._random.integers(0, MARGIN, 2)
        noise = self._noise[row : row + self._height, column : column + self._width]
        noisy: Picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
        return noisy

    def _draw(self, picture: Picture, thing: Thing, time_s: float) -> None:
        import cv2

        angle = thing.speed * time_s + thing.phase
        size = thing.picture.shape[0]
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), math.degrees(angle), 1.0)
        turned = cv2.warpAffine(thing.picture, turn, (size, size))
        outline = cv2.warpAffine(thing.outline, turn, (size, size)) > 127
        left = int(thing.centre[0] + thing.radius[0] * math.cos(angle)) - size // 2
        top = int(thing.centre[1] + thing.radius[1] * math.sin(angle)) - size // 2
        rows = slice(max(top, 0), min(top + size, self._height))
        columns = slice(max(left, 0), min(left + size, self._width))
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        np.copyto(picture[rows, columns], turned[part], where=outline[part][..., None])

    def _thing(self) -> Thing:
        random = self._random
        size = int(random.integers(self._height // 6, self._height // 3))
        outline = np.zeros((size, size), dtype=np.uint8)
        outline[size // 4 : -size // 4, size // 8 : -size // 8] = 255
        reach = (0.2 * self._width, 0.2 * self._height)
        return Thing(
            picture=texture(random, size, size),
            outline=outline,
            centre=(random.uniform(0.3, 0.7) * self._width, random.uniform(0.3, 0.7) * self._height),
            radius=(random.uniform(0.3, 1.0) * reach[0], random.uniform(0.3, 1.0) * reach[1]),
            speed=random.uniform(0.3, 1.2),
            phase=random.uniform(0.0, 2 * math.pi),
        )


def texture(random: np.random.Generator, height: int, width: int) -> Picture:
    """Clouds at every scale between two colours `(height, width, 3)`: finer detail is fainter, as in nature."""
    import cv2

    clouds: Any = np.zeros((height, width), dtype=np.float32)
    cells, strength = 4, 1.0
    while cells < min(height, width):
        grid = random.standard_normal((cells, cells)).astype(np.float32)
        clouds += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        cells, strength = cells * 2, strength * 0.75
    share = cv2.normalize(clouds, None, 0.0, 1.0, cv2.NORM_MINMAX)[..., None]
    dark, bright = random.uniform(10, 110, 3), random.uniform(130, 245, 3)
    picture: Picture = (dark + share * (bright - dark)).astype(np.uint8)
    return picture
