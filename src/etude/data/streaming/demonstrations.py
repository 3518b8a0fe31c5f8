"""A streamed dataset opened for training: episodes split, statistics, orders and sources of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etude.data.sources import StreamLocation
from etude.data.split import EpisodeSplit
from etude.data.streaming.order import EpisodeIndex, StreamOrder
from etude.data.streaming.source import StreamReading, StreamSource, StreamTables
from etude.data.streaming.videos import VideoStreams
from etude.data.table import Rows
from etude.errors import DatasetError

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
        where = f"from {self.location}" + ("" if self.location.is_remote else ", without keeping any of it")
        self.notes.append(f"streaming {self.meta.total_frames} frames {where}")

    def read(self, reading: StreamReading) -> None:
        """Choose what to decode.

        Raises:
            DatasetError: a camera cannot be streamed.
        """
        for key in reading.cameras:
            if self.location.is_remote and key in self.meta.depth_keys and key in self.meta.video_keys:
                raise DatasetError(
                    f"{key} is a depth video, which LeRobot cannot read from the hub as a stream",
                    hint="leave --dataset.streaming out: the dataset is downloaded",
                )
        self.reading = reading

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
