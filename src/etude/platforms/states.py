"""What a job can be doing. Each platform maps its own words to these in one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["JobState", "JobStatus"]


class JobState(StrEnum):
    """The states of a job, in the order in which it passes through them."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The platform says something that is not in our table; the job may well be alive."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class JobStatus:
    """What a platform says of a job now.

    Attributes:
        handle: of the job, see `handles`.
        state: in our words.
        said: in the platform's own words.
        reason: why it failed, or what it waits for; empty when there is nothing to say.
        exit_code: of the command, where the platform tells.
        attempt: 1, and one more for each time that it was started again.
        created, started, ended: seconds since 1970; None when that has not happened, or is not told.
        url: of a page about the job.
    """

    handle: str
    state: JobState
    said: str = ""
    reason: str = ""
    exit_code: int | None = None
    attempt: int = 1
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    url: str = ""
