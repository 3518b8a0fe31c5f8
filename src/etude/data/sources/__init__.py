"""Where a dataset is and what it is: finding it, reading its metadata, its identity."""

from etude.data.sources.fingerprint import fingerprint, is_same_dataset, metadata_fingerprint
from etude.data.sources.info import DatasetInfo, Feature, UnreadableError, read_info
from etude.data.sources.layout import DatasetLayout, EpisodeRecord, VideoSpan, read_layout
from etude.data.sources.location import DatasetLocation, locate
from etude.data.sources.stream import StreamLocation, locate_stream
from etude.data.sources.upgrade import ensure_v30

__all__ = [
    "DatasetInfo",
    "DatasetLayout",
    "DatasetLocation",
    "EpisodeRecord",
    "Feature",
    "StreamLocation",
    "UnreadableError",
    "VideoSpan",
    "ensure_v30",
    "fingerprint",
    "is_same_dataset",
    "locate",
    "locate_stream",
    "metadata_fingerprint",
    "read_info",
    "read_layout",
]
