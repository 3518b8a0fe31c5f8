"""What a local job leaves on the disk.

STATE/local/NAME/
    request.json        what was asked for; once it is there, the job exists
    bundle/
    status.json         written by the supervisor only
    cancel              there when somebody asked it to stop
    supervisor.lock     held by the one process that looks after the job
    logs/std_log.txt
    outputs/NAME/
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etude.platforms.states import JobState
from etude.runs.atomic import write_json

__all__ = ["JobFolder", "Record"]


@dataclass
class Record:
    """`status.json`."""

    state: str = JobState.QUEUED.value
    reason: str = ""
    exit_code: int | None = None
    attempt: int = 1
    started: float | None = None
    ended: float | None = None
    pid: int | None = None


@dataclass(frozen=True)
class JobFolder:
    """The folder of one job."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "logs" / "std_log.txt"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself complained about: nothing, as a rule."""
        return self.root / "logs" / "supervisor.txt"

    def trouble(self) -> str:
        """The last line of that."""
        try:
            lines = self.supervisor_log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1] if lines else ""

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    def output(self, name: str) -> Path:
        return self.root / "outputs" / name

    @property
    def exists(self) -> bool:
        """Whether the job was accepted."""
        return (self.root / "request.json").is_file()

    def request(self) -> dict[str, Any]:
        """What was asked for."""
        body: dict[str, Any] = json.loads((self.root / "request.json").read_text(encoding="utf-8"))
        return body

    def record(self) -> Record | None:
        """What the supervisor wrote last; None before it began."""
        try:
            return Record(**json.loads((self.root / "status.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def write(self, record: Record) -> None:
        write_json(self.root / "status.json", asdict(record))

    @property
    def is_cancelled(self) -> bool:
        return (self.root / "cancel").exists()

    def cancel(self) -> None:
        (self.root / "cancel").touch()

    def hold(self) -> int | None:
        """Become the job's supervisor: a descriptor to keep, or None when there is one."""
        descriptor = os.open(self.root / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    @property
    def is_looked_after(self) -> bool:
        """Whether a supervisor lives."""
        descriptor = self.hold()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False
