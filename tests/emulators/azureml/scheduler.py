"""Which job runs when: a queue a compute, as many at once as it has nodes, and again after a preemption."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from tests.emulators.azureml.state import Job, State

__all__ = ["Scheduler"]


class Scheduler:
    """Runs submitted jobs in threads of their own.

    Args:
        attempt: runs a job once, and says how it ended; `Preempted` queues it again.
        at_once: jobs at once over all computes: this machine has an end too.
    """

    def __init__(self, state: State, attempt: Callable[[Job], str], at_once: int) -> None:
        self._state, self._attempt, self._at_once = state, attempt, at_once
        self._queue: list[Job] = []
        self._running: list[Job] = []
        self._closed = False
        threading.Thread(target=self._cancel_queued, daemon=True, name="scheduler").start()

    def submit(self, job: Job) -> None:
        with self._state.changed:
            self._state.set_status(job, "Queued")
            self._queue.append(job)
        self.start_what_fits()

    def start_what_fits(self) -> None:
        with self._state.changed:
            for job in list(self._queue):
                if self._closed or len(self._running) >= self._at_once:
                    return
                compute = self._state.computes[job.compute]
                used = sum(other.nodes for other in self._running if other.compute == job.compute)
                if used + job.nodes <= compute.nodes and not job.cancel.is_set():
                    self._queue.remove(job)
                    self._running.append(job)
                    threading.Thread(target=self._run, args=(job,), daemon=True, name=job.name).start()

    def close(self) -> None:
        """Cancel everything and wait for the threads' ends."""
        with self._state.changed:
            self._closed = True
            for job in self._running:
                job.cancel.set()
            self._state.changed.notify_all()
            self._state.changed.wait_for(lambda: not self._running, timeout=30)

    def _run(self, job: Job) -> None:
        try:
            outcome = self._attempt(job)
        except Exception:  # noqa: BLE001  # the service's own failure is a failed job, with the reason to read
            outcome = "Failed"
            job.error = {"code": "SystemError", "message": traceback.format_exc()}
        with self._state.changed:
            self._running.remove(job)
            if outcome == "Preempted" and not job.cancel.is_set() and not self._closed:
                job.attempt += 1
                job.preempt.clear()
                job.error = None
                self._state.set_status(job, "Queued")
                self._queue.append(job)
            else:
                self._state.set_status(job, "Canceled" if outcome == "Preempted" else outcome)
        self.start_what_fits()

    def _cancel_queued(self) -> None:
        with self._state.changed:
            while not self._closed:
                for job in [job for job in self._queue if job.cancel.is_set()]:
                    self._queue.remove(job)
                    self._state.set_status(job, "Canceled")
                self._state.changed.wait()
