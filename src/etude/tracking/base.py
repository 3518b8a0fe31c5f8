"""What a tracker is: one mandatory method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from etude.runs.metrics import MetricRecord

__all__ = ["NullTracker", "Status", "Tracker"]

Status = Literal["finished", "stopped", "failed"]


class Tracker(ABC):
    """Takes the points of a run. Only `log` has to be written; the rest does nothing unless overridden.

    No method raises because of a server, and none but `close` may take noticeable time.
    """

    @abstractmethod
    def log(self, record: MetricRecord) -> None:
        """Take one record; returns at once."""

    def at_step(self, step: int) -> None:  # noqa: B027  optional
        """Say which step the run has reached, so that system metrics carry it. Costs one assignment."""

    def artifact(self, path: Path, name: str) -> None:  # noqa: B027  optional
        """Queue a file or folder for upload as `name` (slashes make folders)."""

    def note(self, line: str) -> None:  # noqa: B027  optional
        """Tell the user about an event."""

    def close(self, status: Status = "finished") -> None:  # noqa: B027  optional
        """Send what is left, for a bounded time."""

    @property
    def identity(self) -> dict[str, Any]:
        """Where the run is tracked; goes to `run.json` under `tracking`."""
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("finished" if kind is None else "stopped" if kind is KeyboardInterrupt else "failed")


class NullTracker(Tracker):
    """Tracking that is off."""

    def log(self, record: MetricRecord) -> None:
        """Drop the record."""
