"""Azure ML's words for what a job is doing, and ours."""

from __future__ import annotations

from etude.platforms.states import JobState

__all__ = ["STATES", "state_of"]

STATES = {
    "NotStarted": JobState.QUEUED,
    "Scheduled": JobState.QUEUED,
    "Queued": JobState.QUEUED,
    "Paused": JobState.QUEUED,  # its machine was taken away; it goes on when there is another
    "Provisioning": JobState.STARTING,
    "Preparing": JobState.STARTING,
    "Starting": JobState.STARTING,
    "Running": JobState.RUNNING,
    "Finalizing": JobState.RUNNING,  # outputs are still being written
    "NotResponding": JobState.RUNNING,
    "CancelRequested": JobState.CANCELLING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Canceled": JobState.CANCELLED,
    "Unknown": JobState.UNKNOWN,
}
_FOLDED = {word.lower(): state for word, state in STATES.items()}


def state_of(said: str) -> JobState:
    """Our state for a word of the service, in whatever case."""
    return _FOLDED.get(said.lower(), JobState.UNKNOWN)
