"""What every platform can do. `tests/platforms/conformance.py` runs the same tests on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from etude.platforms.handles import Handle
from etude.platforms.job import Job
from etude.platforms.problems import Problem
from etude.platforms.states import JobStatus

__all__ = ["Platform", "RemoteFile", "Request"]


@dataclass(frozen=True)
class Request:
    """What a platform is asked, ready to be sent and to be printed.

    Attributes:
        name: of the job.
        text: what `--dry-run` prints; for Azure ML and OSMO the YAML that their own command-line tools take.
        data: the same as a mapping.
    """

    name: str
    text: str
    data: dict[str, Any]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a job's output or log.

    Attributes:
        path: relative to the output, with `/`.
        bytes: its size.
        sha256, md5: hexadecimal, where the platform or the job recorded one.
    """

    path: str
    bytes: int
    sha256: str = ""
    md5: str = ""


class Platform(Protocol):
    """A place where jobs run.

    Every method but `check` and `plan` may raise `PlatformError` (it cannot be reached or refuses; the message says
    what to do) and, when it takes a handle, `JobError` (there is no such job). What is safe to repeat is repeated
    inside, with pauses; callers need not.
    """

    name: str

    @property
    def place(self) -> Mapping[str, str]:
        """What `opening.open_platform` needs to find this place again, from any folder; nothing secret."""
        ...

    def check(self, job: Job) -> list[Problem]:
        """All problems that can be found before anything is sent."""
        ...

    def plan(self, job: Job) -> Request:
        """The job as this platform is asked for it. Pure: no network, no file, the same every time."""
        ...

    def submit(self, job: Job, request: Request) -> Handle:
        """Send it. Sending the same name twice gives the job that is there, never a second one."""
        ...

    def find(self, name: str) -> Handle | None:
        """The job of this name, if the platform knows it: after an answer was lost."""
        ...

    def status(self, handle: Handle) -> JobStatus:
        """What it is doing."""
        ...

    def log_files(self, handle: Handle) -> Sequence[RemoteFile]:
        """Its logs, in the order to read them; they grow while the job runs."""
        ...

    def read_log(self, handle: Handle, path: str, offset: int) -> bytes:
        """What the log holds from byte `offset` on; empty when there is nothing new."""
        ...

    def cancel(self, handle: Handle) -> None:
        """Ask it to stop; a job that has ended is left as it is."""
        ...

    def outputs(self, handle: Handle) -> Sequence[str]:
        """Names of its outputs."""
        ...

    def output_files(self, handle: Handle, output: str) -> Sequence[RemoteFile]:
        """What an output holds now.

        Raises:
            JobError: it has no output of that name.
        """
        ...

    def read_output(self, handle: Handle, output: str, path: str, offset: int) -> Iterator[bytes]:
        """A file of an output, from byte `offset` on, in pieces."""
        ...

    def jobs(self, limit: int) -> Sequence[JobStatus]:
        """The newest jobs that this platform knows, whoever sent them."""
        ...
