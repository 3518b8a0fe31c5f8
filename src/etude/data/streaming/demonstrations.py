"""A streamed dataset opened for training: episodes split, statistics, orders and sources of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etude.data.frames.opening import PictureSettings
from etude.data.sources import StreamLocation
from etude.data.split import EpisodeSplit
from etude.data.statistics import settle_statistics
from etude.data.streaming.order import EpisodeIndex, StreamOrder
from etude.data.streaming.source import StreamReading, StreamSource, StreamTables
from etude.data.streaming.videos import VideoStreams
from etude.data.table import Rows
from etude.errors import DatasetError, UsageError

__all__ = ["StreamedDemonstrations"]


@dataclass
class StreamedDemonstrations:
    """What `Demonstrations` is to a dataset that is here, for one that is read as a run goes on.

    Attributes:
        meta: LeRobot's metadata; its `stats` are those to normalise with.
        split: the episodes of each side.
        location: where the stream comes from.
        reading: which cameras are decoded, and how.
        notes: what a user should know about how the data is read.
    """

    meta: Any
    split: EpisodeSplit
    location: StreamLocation
    reading: StreamReading = field(default_factory=StreamReading)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = EpisodeIndex.of(self.meta)

    @classmethod
    def open(
        cls,
        meta: Any,
        split: EpisodeSplit,
        location: StreamLocation,
        *,
        restrict_statistics: bool,
        imagenet: bool,
        depth_unit: str = "mm",
    ) -> StreamedDemonstrations:
        """Settle the statistics; arguments as `Demonstrations.open` has them. Nothing but metadata is read."""
        settle_statistics(
            meta, only=split.train if restrict_statistics else None, imagenet=imagenet, depth_unit=depth_unit
        )
        note = f"streaming {meta.total_frames} frames from {location}"
        return cls(meta, split, location, StreamReading(depth_unit=depth_unit), [note])

    def open_pictures(self, keys: Sequence[str], settings: PictureSettings, progress: Any = None) -> None:
        """Choose the cameras to decode; others are not even fetched.

        Raises:
            UsageError: frames are to be stored, and a stream keeps none.
            DatasetError: a camera cannot be streamed.
        """
        del progress  # nothing is prepared
        frames = settings.frames
        if frames.store not in ("auto", "video", "off"):
            raise UsageError(
                f"--frames.store={frames.store} keeps decoded frames, and a stream keeps nothing",
                hint="leave out --frames.store, or --dataset.streaming",
            )
        if frames.width is not None or frames.height is not None:
            raise UsageError(
                "--frames.width and --frames.height are for stored frames, and a stream keeps none",
                hint="leave them out, or leave out --dataset.streaming",
            )
        for key in keys:
            if self.location.is_remote and key in self.meta.depth_keys and key in self.meta.video_keys:
                raise DatasetError(
                    f"{key} is a depth video, which LeRobot cannot read from the hub as a stream",
                    hint="leave out --dataset.streaming: the dataset is downloaded",
                )
        self.reading = StreamReading(
            cameras=tuple(keys),
            threads=settings.threads,
            backend=settings.backend,
            tolerance_s=settings.tolerance_s,
            depth_unit=settings.depth_unit,
        )

    def rows_of(self, episodes: Sequence[int], drop_last: int = 0) -> Rows:
        """Rows, counted over the dataset, that may start a sample of these episodes."""
        return self.index.rows_of(list(episodes), drop_last)

    def order(self, drop_last: int = 0, **how: Any) -> StreamOrder:
        """The order of the training samples; `how` as `StreamOrder` takes it."""
        return StreamOrder(self.index, self.split.train, drop_last=drop_last, **how)

    def source(self, delta_indices: Mapping[str, Sequence[int]] | None) -> StreamSource:
        """Batches of any rows, with these windows. Each source has files and decoders of its own.

        Raises:
            DatasetError: the stream cannot be opened.
        """
        cameras = self.reading.cameras
        unread = set(self.meta.camera_keys) - set(cameras)
        features = {name: feature for name, feature in self.meta.features.items() if name not in unread}
        videos = VideoStreams(
            self.location.root,
            cameras=len(cameras),
            threads=self.reading.threads,
            backend=self.reading.backend,
            tolerance_s=self.reading.tolerance_s,
        )
        return StreamSource(
            self.meta,
            self.index,
            StreamTables(self.location, self.index, features),
            videos,
            self.reading,
            {key: value for key, value in (delta_indices or {}).items() if key in features},
        )
