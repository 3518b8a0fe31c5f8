"""The process that sends to one tracker: `python -m etude.tracking.courier_process TRACKER RUN MODE`.

It takes its work from the run folder's files, tells its parent what happens on standard output (one JSON
object a line), and obeys `close STATUS` on standard input. When its parent dies it finishes its request and
goes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etude.secrets.redaction import redact
from etude.tracking.sender import make_sender
from etude.tracking.spool import DeliveryQueue, MetricsQueue, Spool

__all__ = ["main"]

TITLES = {"mlflow": "MLflow", "wandb": "Weights & Biases"}
NICENESS = 10  # training goes first
BUSY_SHARE = 0.01  # of one core, at most, while a run is going on
LONGEST_PAUSE_S = 60.0
LONGEST_BACKOFF_S = 30.0
ORPHAN_GRACE_S = 15.0  # longer than the timeout of a request
SYNC_ATTEMPTS = 3


class CourierProcess:
    """Reads the queue and sends, until it is told to close and nothing is left."""

    def __init__(self, tracker: str, run: Path, mode: str, events: Events) -> None:
        spool = Spool(run)
        start = spool.read_start() or {}
        self.title = TITLES[tracker]
        self.tracker = tracker
        self.run_folder = run
        self.spool = spool
        self.events = events
        self.sync = mode == "sync"
        self.interval_s = float(start.get("interval_s", 2.0))
        self.sender = make_sender(tracker, run, {**start, "training": not self.sync}, events.identity, events.note)
        self.metrics = MetricsQueue(spool.metrics)
        self.deliveries = DeliveryQueue(spool, tracker)
        self.opened = False
        self.failures = 0
        self.status: str | None = None  # set by `close`
        self.orphaned = False
        self.wake = threading.Event()

    def work(self) -> int:
        """Returns the exit code: 0 when everything is sent."""
        with self.spool.lock(self.tracker, patience_s=3.0 if self.sync else 3600.0) as held:
            if not held:
                self.events.say("busy")
                return 1
            while not self.orphaned:
                # Looked at before reading: what was written before `close` is in the file by then.
                status = self.status
                try:
                    drained, busy_s = self._send_some(last=status is not None)
                    if drained and status is not None:
                        self.sender.close(status) if status != "-" else None
                        self.events.say("done")
                        return 0
                except Exception as error:  # noqa: BLE001  an SDK may raise anything; none of it may end the courier
                    if not self._failed(error):
                        return 1
                    continue
                if drained:
                    self._pause(max(self.interval_s, min(busy_s / BUSY_SHARE, LONGEST_PAUSE_S)))
        return 1

    def _send_some(self, *, last: bool) -> tuple[bool, float]:
        """One round; returns whether nothing is left, and the CPU seconds that it took."""
        if not self.opened:
            self.events.say("phase", phase="loading")
            self.sender.load()
            self.events.say("phase", phase="opening")
            if self.sender.open():
                self.metrics.offset = 0
            self.opened = True
            self.events.say("phase", phase="ready")
        began = time.process_time()
        records = self.metrics.peek(self.sender.largest_batch)
        complete = len(records) < self.sender.largest_batch
        points = self.sender.send(records, last=last and complete) if records or last else 0
        self.metrics.commit()
        uploaded = complete and self._upload_one()
        if self.failures:
            self.events.note(f"{self.title} answers again")
            self.failures = 0
        if records or uploaded:
            self.events.say("sent", points=points, uploads=int(uploaded), offset=self.metrics.offset)
        return complete and not uploaded, time.process_time() - began

    def _upload_one(self) -> bool:
        """Do the next delivery; False when there is none."""
        delivery = self.deliveries.peek()
        if delivery is None:
            return False
        self.sender.deliver(delivery, self.run_folder / delivery.path)
        self.deliveries.commit()
        return True

    def _failed(self, error: Exception) -> bool:
        """Note a failure and wait; False to give up."""
        self.opened = False  # what became of the request is unknown, so ask again
        self.failures += 1
        reason = _reason(error)
        if self.failures == 1:
            self.events.note(f"{self.title} does not answer ({reason}); the points are kept for later")
        self.events.say("failed", reason=reason)
        if self.sync and self.failures >= SYNC_ATTEMPTS:
            return False
        self._pause(min(0.5 * 2**self.failures, 2.0 if self.status else LONGEST_BACKOFF_S))
        return True

    def _pause(self, seconds: float) -> None:
        self.wake.wait(seconds)
        self.wake.clear()

    def obey(self) -> None:
        """Read commands until the parent closes the pipe or dies."""
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "close":
                self.status = rest or "-"
                self.wake.set()
        self.leave()

    def watch_parent(self, parent: int) -> None:
        """Notice the parent's death also when a forked child of its keeps the pipe open."""
        while os.getppid() == parent:
            time.sleep(0.5)
        self.leave()

    def leave(self) -> None:
        """Finish the request in progress, so that a resumed run finds its outcome, and go."""
        self.orphaned = True
        self.wake.set()
        time.sleep(ORPHAN_GRACE_S)
        os._exit(1)


class Events:
    """One JSON object a line, to the parent. Nothing else in this process reaches the parent's output."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)

    def say(self, event: str, **details: Any) -> None:
        try:
            self._file.write(json.dumps({"event": event, **details}) + "\n")
            self._file.flush()
        except (BrokenPipeError, ValueError):
            return  # the parent is gone; the watchers see to it

    def note(self, line: str) -> None:
        self.say("note", line=redact(line))

    def identity(self, identity: dict[str, Any]) -> None:
        self.say("identity", identity=identity)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return redact(f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__)


def main(argv: Sequence[str]) -> int:
    """Run one courier to its end."""
    tracker, run, mode = argv
    # A Ctrl-C or a cluster's SIGTERM is for the trainer, which then closes this process in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = os.getppid()
    os.nice(NICENESS)
    courier = CourierProcess(tracker, Path(run), mode, Events())
    threading.Thread(target=courier.obey, daemon=True).start()
    threading.Thread(target=courier.watch_parent, args=(parent,), daemon=True).start()
    code = courier.work()
    # No interpreter shutdown: an SDK's threads and exit hooks may wait for a server.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
