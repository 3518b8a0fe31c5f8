"""One shard on its way from the dataset's file to the store: look through it, decode its ranges, seal, name it."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etude.data.frames.camera_files import CameraFile
from etude.data.frames.checking import Comparison
from etude.data.frames.codecs import Encoding
from etude.data.frames.colours import NATIVE_FORMATS, TAGGED_COLOURS
from etude.data.frames.forms import Form
from etude.data.frames.settling import boot_id
from etude.data.frames.shards import Shard
from etude.errors import DatasetError
from etude.runs.atomic import TEMPORARY_PREFIX

__all__ = ["Job", "ShardBuild"]

RANGE_BYTES = 32 * 2**20
"""Decoded size of a range, about. It does not depend on the machine: checksums are of blocks within ranges."""


@dataclass(frozen=True)
class Job:
    """Something that a worker can do for a shard."""

    shard: ShardBuild
    message: dict[str, Any]
    number: int = 0


@dataclass(eq=False)
class ShardBuild:
    """A shard that is being made.

    Args:
        folder: the store's.
        camera: whose frames these are.
        is_video, depth: what the file holds.
        root: of the dataset.
        comparison: decodes some frames as LeRobot does, to compare with.
        light: the workers need not import array libraries for it, because there is little to do.
    """

    folder: Path
    camera: str
    file: CameraFile
    form: Form
    is_video: bool
    depth: bool
    root: Path
    comparison: Comparison | None = None
    light: bool = False
    frames: int = 0
    _scan: dict[str, Any] = field(default_factory=dict)
    _shape: tuple[int, int, int] = (0, 0, 0)
    _dtype: str = "uint8"
    _encoding: Encoding = field(default_factory=dict)
    _results: dict[int, dict[str, Any]] = field(default_factory=dict)
    _ranges: int = 0
    _expected: Future[Any] | None = None

    def __post_init__(self) -> None:
        # Its own name for every attempt: a worker that outlives a killed build must not write into the next one's.
        self._temporary = self.folder / f"{TEMPORARY_PREFIX}{self.file.shard}-{uuid.uuid4().hex[:8]}"

    def scan(self) -> Job:
        """The first job: look through the file."""
        if self.is_video:
            return Job(self, {"do": "scan_video", "file": str(self.file.path)})
        message = {"do": "scan_table", "file": str(self.file.path), "root": str(self.root), "column": self.camera}
        return Job(self, message)

    @property
    def can_be_light(self) -> bool:
        """Whether its frames are written just as the decoder gives them."""
        return self.is_video and not self.depth and self.form.name == "raw" and self.form.width is None

    def decode(self, scan: dict[str, Any]) -> list[Job]:
        """What to do after the file was looked through: make room, and decode its ranges.

        Raises:
            OSError: there is no room.
        """
        self._scan = scan
        self.frames = len(scan["pts"]) if self.is_video else int(scan["frames"])
        self._choose_encoding()
        if self._encoding["name"] == "raw":
            self._make_room()
        if self.is_video and self.comparison is not None:
            self._expected = self.comparison.begin(
                self.file.path, self._times_s(), depth=self.depth, tagged=scan["colours"] in TAGGED_COLOURS
            )
        jobs = [self._range(number, first, last) for number, (first, last) in enumerate(self._split())]
        self._ranges = len(jobs)
        return jobs

    def range_done(self, job: Job, result: dict[str, Any]) -> Job | None:
        """Note a finished range; after the last one, the job that makes one file of them."""
        self._results[job.number] = result
        if len(self._results) < self._ranges:
            return None
        parts = [] if self._encoding["name"] == "raw" else [str(self._part(n)) for n in range(1, self._ranges)]
        return Job(self, {"do": "seal", "target": str(self._part(0)), "parts": parts, "sync": not boot_id()})

    def finish(self, sealed: dict[str, Any]) -> Shard:
        """Compare some frames with LeRobot's, then give the shard its name: from now on it exists.

        Raises:
            DatasetError: the frames are not what LeRobot's decoder gives.
        """
        shard = self._describe(int(sealed["bytes"]))
        if self._expected is not None and self.comparison is not None:
            self.comparison.compare(self._expected.result(), self._part(0), shard, self.form)
        os.replace(self._part(0), self.folder / f"{shard.name}.frames")
        shard.save(self.folder)
        return shard

    def bytes_so_far(self) -> int:
        """What the shard takes on the disk, as far as it is known."""
        if self._encoding.get("name") == "raw":
            return self.frames * self._frame_bytes
        return sum(sum(result["sizes"]) for result in self._results.values())

    @property
    def _frame_bytes(self) -> int:
        return int(np.prod(self._shape)) * np.dtype(self._dtype).itemsize

    def _choose_encoding(self) -> None:
        scan, resized = self._scan, self.form.width is not None
        height, width = int(scan["height"]), int(scan["width"])
        if self.is_video:
            channels, self._dtype = (1, "uint16") if self.depth else (3, "uint8")
        else:
            channels, self._dtype = int(scan["channels"]), scan["dtype"]
        is_native = self.is_video and not self.depth and not resized and scan["pixel_format"] in NATIVE_FORMATS
        if self.form.width is not None and self.form.height is not None:
            height, width = self.form.height, self.form.width
        self._shape = (channels, height, width)
        self._encoding = {"name": self.form.name}
        if self.form.name == "zstd" and is_native and height % 2 == 0 and width % 2 == 0:
            self._encoding["native"] = scan["pixel_format"]
            if scan["colours"] in TAGGED_COLOURS:
                self._encoding["colours"] = scan["colours"]
        if self.form.name == "jpeg":
            self._encoding["quality"] = self.form.quality
            if self._dtype != "uint8" or channels not in (1, 3):
                raise DatasetError(
                    f"{self.file.path}: JPEG holds 8-bit gray or RGB frames; these are {self._dtype} with "
                    f"{channels} channels",
                    hint="use --frames.store=zstd",
                )

    def _make_room(self) -> None:
        descriptor = os.open(self._part(0), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            size = self.frames * self._frame_bytes
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
                os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)

    def _split(self) -> Iterator[tuple[int, int]]:
        """Ranges of frames [first, last): each begins at a keyframe, each has about RANGE_BYTES of frames."""
        wanted = max(1, RANGE_BYTES // self._frame_bytes)
        starts = [int(key[2]) for key in self._scan["keys"]] if self.is_video else range(0, self.frames, wanted)
        first = 0
        for start in starts:
            if start - first >= wanted:
                yield first, start
                first = start
        yield first, self.frames

    def _range(self, number: int, first: int, last: int) -> Job:
        message = {
            "do": "decode",
            "kind": "video" if self.is_video else "table",
            "file": str(self.file.path),
            "target": str(self._part(0 if self._encoding["name"] == "raw" else number)),
            "form": self.form.folder_name,
            "encoding": self._encoding,
            "shape": self._shape,
            "dtype": self._dtype,
            "depth": self.depth,
            "light": self.light,
            "first": first,
            "count": last - first,
        }
        if self.is_video:
            # Frames before the first keyframe, if there are any, cannot be decoded; the worker says which.
            key = max((key for key in self._scan["keys"] if key[2] <= first), default=self._scan["keys"][0])
            message |= {"pts": self._scan["pts"][first:last], "key": key[:2]}
        else:
            message |= {"root": str(self.root), "column": self.camera}
        return Job(self, message, number)

    def _describe(self, size: int) -> Shard:
        results = [self._results[number] for number in range(self._ranges)]
        errors = [result["error"] for result in results if "error" in result]
        frames = sum(error["frames"] for error in errors)
        error = {
            "mean": sum(error["mean"] * error["frames"] for error in errors) / frames,
            "max": max(error["max"] for error in errors),
            "frames": frames,
        } if errors else None  # fmt: skip
        return Shard(
            name=self.file.shard,
            source=self.file.name,
            source_bytes=self.file.path.stat().st_size,
            frames=self.frames,
            bytes=size,
            shape=self._shape,
            dtype=self._dtype,
            encoding=self._encoding,
            codec=self._scan["codec"],
            pixel_format=self._scan["pixel_format"],
            blocks=[block for result in results for block in result["blocks"]],
            time_base=self._scan.get("time_base"),
            pts=self._scan.get("pts", []),
            episodes=self._scan.get("episodes", []),
            sizes=[size for result in results for size in result.get("sizes", [])],
            error=error,
            boot=boot_id(),
        )

    def _times_s(self) -> list[float]:
        numerator, denominator = self._scan["time_base"]
        return [pts * numerator / denominator for pts in self._scan["pts"]]

    def _part(self, number: int) -> Path:
        return self._temporary.with_name(f"{self._temporary.name}.{number}")
