"""The process that looks after one local job: `python -m etude.platforms.local.supervisor FOLDER`.

It outlives the command that sent the job. It starts the bundle, stops it when it is cancelled or takes too long,
starts it again when it was killed from outside, and writes down how it ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from etude.platforms.local.folder import JobFolder, Record
from etude.platforms.states import JobState

__all__ = ["main"]

LOOK_EVERY_S = 0.2
GRACE_S = 60.0
"""Between SIGTERM and SIGKILL: a training saves a checkpoint in it."""
PR_SET_PDEATHSIG = 1
TAKEN_AWAY = {128 + signal.SIGTERM, 128 + signal.SIGKILL, -signal.SIGTERM, -signal.SIGKILL}


def main(folder: Path) -> int:
    """Look after the job until it has ended; 1 when another process does."""
    job = JobFolder(folder)
    lock = job.hold()
    if lock is None:
        return 1
    record = job.record() or Record()
    if JobState(record.state).is_final:
        return 0
    if record.started is not None:  # its supervisor was killed, with the machine perhaps
        record.attempt += 1
    _Supervisor(job, record).run()
    return 0


class _Supervisor:
    def __init__(self, job: JobFolder, record: Record) -> None:
        self._job, self._record, self._request = job, record, job.request()
        self._process: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, lambda *_: job.cancel())

    def run(self) -> None:
        """Attempts until one is the last."""
        retries = int(self._request["retries"])
        while True:
            if self._job.is_cancelled:
                self._end(JobState.CANCELLED, "")
                return
            code, reason = self._attempt()
            if self._job.is_cancelled:
                self._end(JobState.CANCELLED, "", code)
                return
            if code == 0:
                self._end(JobState.SUCCEEDED, "", code)
                return
            if reason or code not in TAKEN_AWAY or self._record.attempt > retries:
                self._end(JobState.FAILED, reason or f"exit code {code}", code)
                return
            self._record.attempt += 1
            self._say(f"the job was killed from outside (exit code {code}); attempt {self._record.attempt} begins")

    def _attempt(self) -> tuple[int, str]:
        """Exit code, and why it was stopped if we did that."""
        with open(self._job.log, "ab") as log:
            self._process = subprocess.Popen(
                self._request["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._request["environment"]},
                cwd=self._request["cwd"] if os.path.isdir(self._request["cwd"]) else self._job.root,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  there is one thread here
            )
        began = time.monotonic()
        self._record.state, self._record.pid = JobState.RUNNING.value, self._process.pid
        self._record.started = self._record.started or time.time()
        self._job.write(self._record)
        timeout_s = self._request["timeout_s"]
        while (code := self._process.poll()) is None:
            late = timeout_s is not None and time.monotonic() - began > timeout_s
            if late or self._job.is_cancelled:
                return self._stop(), f"it ran longer than {timeout_s} s" if late else ""
            time.sleep(LOOK_EVERY_S)
        self._kill_group()
        return code, ""

    def _stop(self) -> int:
        assert self._process is not None
        if self._job.is_cancelled:
            self._record.state = JobState.CANCELLING.value
            self._job.write(self._record)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._request.get("grace_s", GRACE_S))
        self._kill_group()
        return self._process.wait()

    def _kill_group(self) -> None:
        """What the command left running."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self, state: JobState, reason: str, code: int | None = None) -> None:
        self._record.state, self._record.reason, self._record.exit_code = state.value, reason, code
        self._record.ended = time.time()
        self._job.write(self._record)

    def _say(self, sentence: str) -> None:
        with open(self._job.log, "ab") as log:
            log.write(f"local: {sentence}\n".encode())


def _end_with_parent() -> None:
    """In the new process: be told to stop when the supervisor is killed. Only Linux can; elsewhere it goes on."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
