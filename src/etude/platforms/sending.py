"""From a checked job to a job that runs: remembered first, then sent, and found again when the answer was lost."""

from __future__ import annotations

import time
from collections.abc import Sequence

from etude.errors import EtudeError, PlatformError
from etude.platforms.handles import Handle
from etude.platforms.job import Job
from etude.platforms.ledger import Entry, Ledger
from etude.platforms.problems import RefusedJobError
from etude.platforms.seam import Platform, Request

__all__ = ["recover", "send"]

SENDING_TAKES_S = 900.0
"""At most, with all repetitions and a bundle on a slow line."""


def send(
    platform: Platform,
    job: Job,
    request: Request,
    ledger: Ledger,
    *,
    command: Sequence[str],
) -> Handle:
    """Send a job that was checked.

    Whatever happens between here and the platform's answer, the ledger knows the name, and the name finds the job.

    Raises:
        RefusedJobError, PlatformError, StorageError: it was not sent. A `PlatformError` whose hint names
            `etude jobs status` was sent perhaps; that command finds out.
    """
    entry = Entry(
        name=job.name,
        platform=platform.name,
        title=job.title,
        command=list(command),
        bundle=job.bundle.digest,
        settings=dict(platform.place),
    )
    ledger.prepare(entry)
    try:
        handle = platform.submit(job, request)
    except RefusedJobError:
        ledger.forget(job.name)
        raise
    except EtudeError as error:
        handle = _found(platform, job.name, ledger, error)
    ledger.sent(entry, handle)
    return handle


def recover(platform: Platform, entry: Entry, ledger: Ledger) -> Entry | None:
    """An entry without a handle: the job, if the platform has it, else None.

    What was written down a while ago and is not there was never sent, and is forgotten; another process may be sending
    what was written down just now.
    """
    handle = platform.find(entry.name)
    if handle is not None:
        return ledger.sent(entry, handle)
    if time.time() - entry.created > SENDING_TAKES_S:
        ledger.forget(entry.name)
    return None


def _found(platform: Platform, name: str, ledger: Ledger, error: EtudeError) -> Handle:
    """The job, when sending it failed and it is there all the same."""
    try:
        handle = platform.find(name)
    except EtudeError:
        raise PlatformError(
            f"{error.message}. Whether {name} was sent is not known yet", hint=f"etude jobs status {name}"
        ) from error
    if handle is None:
        ledger.forget(name)
        raise error
    return handle
