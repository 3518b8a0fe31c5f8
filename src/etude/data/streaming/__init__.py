"""Training on a dataset that is read as the run goes on, from a folder or from the hub."""

from __future__ import annotations

from etude.data.streaming.demonstrations import StreamedDemonstrations
from etude.data.streaming.order import EpisodeIndex, StreamOrder

__all__ = ["EpisodeIndex", "StreamOrder", "StreamedDemonstrations"]
