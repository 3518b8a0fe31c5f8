"""The run's side of a courier: starts the process, hears what it says, ends it in bounded time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from etude.tracking.spool import DeliveryQueue, MetricsQueue, Spool

__all__ = ["Courier"]

logger = logging.getLogger(__name__)

LOADING_GRACE_S = 60.0  # importing an SDK and making a local store is slow, but always ends
RESTARTS = 3


class Courier:
    """A process that sends a run's files to one tracker.

    Args:
        tracker: "mlflow" or "wandb".
        run: the run folder; `Spool.write_start` was called.
        mode: "training" keeps trying; "sync" gives up after a few failures.
        environment: variables added to this process's own.
        local: the tracker is a file, so opening it always ends.
        on_identity: called, from another thread, with the run's identity at the tracker.
        on_note: called, from another thread, with a line for the user.
    """

    def __init__(
        self,
        tracker: str,
        run: Path,
        *,
        mode: str = "training",
        environment: Mapping[str, str] | None = None,
        local: bool = False,
        on_identity: Callable[[str, dict[str, Any]], None] = lambda tracker, identity: None,
        on_note: Callable[[str], None] = logger.warning,
    ) -> None:
        self.tracker = tracker
        self.mode = mode
        self.local = local
        self.run = run
        self.points_sent = 0
        self.uploads_sent = 0
        self.state = "loading"  # loading, opening, ready, failed, busy, done
        self.reason: str | None = None  # of the last failure
        self._environment = {**os.environ, **(environment or {})}
        self._on_identity = on_identity
        self._on_note = on_note
        self._started = time.monotonic()
        self._prepared_at: float | None = None  # when the importing, and the making of a local store, were over
        self._closing: str | None = None
        self._offset = 0  # in the metrics file: what lies before it is sent
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._listener = threading.Thread(target=self._listen, name=f"courier-{tracker}", daemon=True)

    def start(self) -> None:
        """Start the process; returns within milliseconds and never raises."""
        self._spawn()
        self._listener.start()

    def close(self, status: str | None) -> None:
        """Tell it to send what is left and to end the run; then `wait`. None leaves the run's status."""
        with self._lock:
            self._closing = status or "-"
            self._command(self._closing)

    def wait(self, timeout_s: float, *, patient: bool = True) -> bool:
        """Wait for the end, at most `timeout_s`.

        Args:
            patient: count from when the tracker could first be asked anything, so that a short run's points
                arrive although importing an SDK takes longer than the run.
        """
        closed = time.monotonic()
        while not self._ended.wait(0.05):
            now = time.monotonic()
            if not patient:
                late = now > closed + timeout_s
            elif self._prepared_at is None:
                late = now > max(closed + timeout_s, self._started + LOADING_GRACE_S)
            else:
                late = now > max(closed, self._prepared_at) + timeout_s
            if late:
                return False
        return self.state == "done"

    def kill(self) -> None:
        """End the process and its children now."""
        with self._lock:
            self._closing = self._closing or "-"
            process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2.0)

    def remaining(self) -> tuple[int, int]:
        """Points and uploads that this courier has not reported as sent."""
        if self.state == "done":
            return 0, 0
        spool = Spool(self.run)
        points = MetricsQueue(spool.metrics, self._offset).pending()
        return points, DeliveryQueue(spool, self.tracker).pending()

    # the process

    def _spawn(self) -> None:
        command = [sys.executable, "-P", "-m", "etude.tracking.courier_process"]
        try:
            process = subprocess.Popen(
                [*command, self.tracker, str(self.run.absolute()), self.mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C at the terminal is not for it
            )
        except OSError as error:
            self._process = None
            self.state, self.reason = "failed", str(error)
            return
        with self._lock:
            self._process = process
            if self._closing:
                self._command(self._closing)

    def _command(self, status: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError, OSError):
                self._process.stdin.write(f"close {status}\n")
                self._process.stdin.flush()

    def _listen(self) -> None:
        """Hear the process to its end; start another one when it ends without being asked to."""
        for attempt in range(RESTARTS + 1):
            process = self._process
            if process is not None and process.stdout is not None:
                self._hear(process.stdout)
                process.wait()
            if self._closing or self.state in ("done", "busy") or attempt == RESTARTS:
                break
            logger.debug("the %s courier ended by itself; starting it again", self.tracker)
            time.sleep(1.0 + attempt)
            self._spawn()
        self._ended.set()

    def _hear(self, lines: IO[str]) -> None:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            with contextlib.suppress(OSError):  # a full disk must not end the listening
                self._handle(event)

    def _handle(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if name == "phase":
            self.state = event["phase"]
            if self.state == "ready" or (self.state == "opening" and not self.local):
                self._prepared_at = self._prepared_at or time.monotonic()
        elif name == "sent":
            self.points_sent += event["points"]
            self._offset = event["offset"]
            self.uploads_sent += event["uploads"]
        elif name == "failed":
            self.state, self.reason = "failed", event["reason"]
            self._prepared_at = self._prepared_at or time.monotonic()
        elif name in ("busy", "done"):
            self.state = name
        elif name == "note":
            self._on_note(event["line"])
        elif name == "identity":
            self._on_identity(self.tracker, event["identity"])
