"""What a courier needs of a tracker's SDK. One file for each SDK implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from etude.errors import TrackingError
from etude.runs.metrics import MetricRecord
from etude.tracking.spool import Delivery

__all__ = ["Sender", "make_sender"]


class Sender(ABC):
    """Sends to one server. Every method may raise anything; the courier then waits and tries again.

    Args:
        run: the run folder.
        start: what `Spool.read_start` gives.
        tell: called with the run's identity at the server as soon as it is known, so that it becomes durable.
        warn: called with a line for the user.
    """

    largest_batch: int = 1000  # records

    def __init__(
        self,
        run: Path,
        start: dict[str, Any],
        tell: Callable[[dict[str, Any]], None],
        warn: Callable[[str], None],
    ) -> None:
        self.run = run
        self.start = start
        self.tell = tell
        self.warn = warn

    @abstractmethod
    def load(self) -> None:
        """Import the SDK. Takes seconds, needs no server."""

    @abstractmethod
    def open(self) -> bool:
        """Find or make the run at the server, and learn what it has. Called again after a failure.

        Returns:
            Whether points handed over earlier may be lost, so that all must be offered again.
        """

    @abstractmethod
    def send(self, records: Sequence[MetricRecord], *, last: bool) -> int:
        """Send what the server lacks of these records, in order.

        Args:
            last: nothing follows.

        Returns:
            The number of points sent.
        """

    @abstractmethod
    def deliver(self, delivery: Delivery, path: Path) -> None:
        """Upload the file or folder `path`, and the delivery's metrics."""

    @abstractmethod
    def close(self, status: str) -> None:
        """End the run at the server: finished | stopped | failed."""


def make_sender(
    tracker: str,
    run: Path,
    start: dict[str, Any],
    tell: Callable[[dict[str, Any]], None],
    warn: Callable[[str], None],
) -> Sender:
    """The sender called `mlflow` or `wandb`."""
    if tracker == "mlflow":
        from etude.tracking.mlflow_sender import MlflowSender

        return MlflowSender(run, start, tell, warn)
    if tracker == "wandb":
        from etude.tracking.wandb_sender import WandbSender

        return WandbSender(run, start, tell, warn)
    raise TrackingError(f"unknown tracker {tracker!r}")
