"""`meta/info.json`: what a dataset says about itself."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import DatasetError

__all__ = ["BOOKKEEPING", "DatasetInfo", "Feature", "UnreadableError", "read_info", "read_json", "well_formed"]

BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""The columns that LeRobot adds to every dataset; all others are what the robot saw and did."""

V21, V30 = "v2.1", "v3.0"


class UnreadableError(DatasetError):
    """A file that the dataset needs is absent or broken.

    Args:
        code: the code under which `etude data check` lists it.
        episode: the first episode that it makes unusable, where that is known.
    """

    def __init__(self, code: str, message: str, *, hint: str | None = None, episode: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.episode = episode


@dataclass(frozen=True)
class Feature:
    """One entry of `features`: a column of the data tables, or a camera.

    Attributes:
        dtype: numpy's name, or `video`, `image`, `string`.
        shape: of one frame, for example `(7,)` for an action and `(480, 640, 3)` for a camera.
        names: of the dimensions, where the dataset gives one per dimension.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None
    axes: tuple[str, ...] | None
    details: dict[str, Any]

    @property
    def is_camera(self) -> bool:
        return self.dtype in ("video", "image")

    @property
    def is_depth(self) -> bool:
        return bool(self.details.get("is_depth_map") or self.details.get("video.is_depth_map"))

    @property
    def is_numeric(self) -> bool:
        return self.dtype.startswith(("float", "int", "uint", "bool"))

    @property
    def size(self) -> int:
        """Numbers in one frame."""
        return math.prod(self.shape)

    @property
    def height_width(self) -> tuple[int, int] | None:
        """Of a camera, in pixels; None where the shape is not that of a picture."""
        if len(self.shape) == 2:
            return self.shape[0], self.shape[1]
        if len(self.shape) != 3:
            return None
        channels_first = (self.axes or ("",))[0].startswith("channel") or (
            self.axes is None and self.shape[0] in (1, 3) and self.shape[2] not in (1, 3)
        )
        return (self.shape[1], self.shape[2]) if channels_first else (self.shape[0], self.shape[1])

    def label(self, dimension: int) -> str:
        """A dimension's name, for example `action[6] (gripper)`."""
        if self.names and dimension < len(self.names):
            return f"{self.name}[{dimension}] ({self.names[dimension]})"
        return f"{self.name}[{dimension}]" if self.size > 1 else self.name


@dataclass(frozen=True)
class DatasetInfo:
    """`meta/info.json`, checked. `fps` is in frames per second; `raw` is the file as it is."""

    version: str
    fps: float
    features: dict[str, Feature]
    total_episodes: int
    total_frames: int
    total_tasks: int
    data_path: str
    video_path: str | None
    chunks_size: int
    robot_type: str | None
    raw: dict[str, Any]

    @property
    def video_features(self) -> list[Feature]:
        return [feature for feature in self.features.values() if feature.dtype == "video"]

    @property
    def image_features(self) -> list[Feature]:
        return [feature for feature in self.features.values() if feature.dtype == "image"]

    @property
    def signals(self) -> list[Feature]:
        """Numeric features that are not bookkeeping: states, actions, rewards."""
        return [feature for feature in self.features.values() if feature.is_numeric and feature.name not in BOOKKEEPING]


def read_json(path: Path, code: str) -> Any:
    """Parse a JSON file.

    Raises:
        UnreadableError: it is absent, truncated, or not JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnreadableError(code, f"{path} is missing", hint=RECOPY) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableError(code, f"{path} is not readable as JSON: {error}", hint=RECOPY) from error


RECOPY = "copy or download the dataset again"


@contextlib.contextmanager
def well_formed(path: Path, code: str) -> Iterator[None]:
    """Values of a wrong kind (text where a number belongs, nothing where there must be something) are `path`'s fault.

    Raises:
        UnreadableError: in place of what Python says when it meets one.
    """
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(code, f"{path} holds a value of a wrong kind: {reason}", hint=RECOPY) from error


def read_info(root: Path) -> DatasetInfo:
    """Read `meta/info.json` of a dataset folder.

    Raises:
        UnreadableError: it is absent, broken, or lacks what every reader needs; all of it is named at once.
    """
    path = root / "meta" / "info.json"
    raw = read_json(path, "info-unreadable")
    problems = _problems(raw)
    if problems:
        raise UnreadableError(
            "info-invalid",
            f"{path}: {'; '.join(problems)}",
            hint="correct meta/info.json, or record the dataset again",
        )
    with well_formed(path, "info-invalid"):
        return DatasetInfo(
            version=raw["codebase_version"],
            fps=float(raw["fps"]),
            features={name: _feature(name, entry) for name, entry in raw["features"].items()},
            total_episodes=raw["total_episodes"],
            total_frames=raw["total_frames"],
            total_tasks=int(raw.get("total_tasks") or 0),
            data_path=raw["data_path"],
            video_path=raw.get("video_path"),
            chunks_size=int(raw.get("chunks_size") or 1000),
            robot_type=raw.get("robot_type"),
            raw=raw,
        )


def _problems(raw: Any) -> list[str]:
    """Everything without which no reader can go on, in words."""
    if not isinstance(raw, dict):
        return [f"expected an object, found {type(raw).__name__}"]
    found = [f"the key {key!r} is missing" for key in _REQUIRED if key not in raw]
    for key, (kinds, words) in _REQUIRED.items():
        value = raw.get(key)
        if key in raw and (not isinstance(value, kinds) or isinstance(value, bool)):
            found.append(f"{key} must be {words}, found {value!r}")
    fps = raw.get("fps")
    if isinstance(fps, int | float) and not isinstance(fps, bool) and not (fps > 0 and math.isfinite(fps)):
        found.append(f"fps must be positive, found {fps!r}")
    found += [f"{key} must not be negative, found {raw[key]}" for key in _TOTALS if _negative(raw.get(key))]
    features = raw.get("features")
    if isinstance(features, dict):
        found += [problem for name, entry in features.items() if (problem := _feature_problem(name, entry))]
        uses_video = any(isinstance(entry, dict) and entry.get("dtype") == "video" for entry in features.values())
        if uses_video and not isinstance(raw.get("video_path"), str):
            found.append("video_path is missing although there are video features")
    return found


_TOTALS = ("total_episodes", "total_frames")
_REQUIRED: dict[str, tuple[Any, str]] = {
    "codebase_version": (str, 'a version such as "v3.0"'),
    "fps": ((int, float), "a number of frames per second"),
    "features": (dict, "an object of features"),
    "total_episodes": (int, "a whole number"),
    "total_frames": (int, "a whole number"),
    "data_path": (str, "a path template"),
}


def _negative(value: Any) -> bool:
    return isinstance(value, int) and value < 0


def _feature_problem(name: str, entry: Any) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return f"feature {name!r} has no dtype"
    shape = entry.get("shape")
    sized = isinstance(shape, list | tuple) and all(isinstance(size, int) and size > 0 for size in shape)
    if not sized and entry["dtype"] not in ("string", "language"):
        return f"feature {name!r} has no valid shape (found {shape!r})"
    return None


def _feature(name: str, entry: dict[str, Any]) -> Feature:
    shape = tuple(entry.get("shape") or (1,))
    flat = _flat_names(entry.get("names"))
    camera = entry["dtype"] in ("video", "image")
    return Feature(
        name=name,
        dtype=entry["dtype"],
        shape=shape,
        names=flat if flat and not camera and len(flat) == math.prod(shape) else None,
        axes=flat if camera else None,
        details=dict(entry.get("info") or entry.get("video_info") or {}),
    )


def _flat_names(names: Any) -> tuple[str, ...] | None:
    """Names as LeRobot's writers leave them: a list, a list of lists, or `{"motors": [...]}`."""
    if isinstance(names, dict):
        lists = [value for value in names.values() if isinstance(value, list)]
        names = lists[0] if lists else list(names)
    if not isinstance(names, list):
        return None
    flat = [item for entry in names for item in (entry if isinstance(entry, list) else [entry])]
    return tuple(map(str, flat)) or None
