"""Making jobs for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.platforms.bundle.folder import BundledCommand, write_bundle
from etude.platforms.handles import Handle
from etude.platforms.job import Input, Job, Resources
from etude.platforms.ledger import unique_name
from etude.platforms.seam import Platform
from etude.platforms.states import JobState, JobStatus

HERE = Path(__file__).parent


def acting_job(
    bundles: Path,
    steps: Sequence[str],
    *,
    resume: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    outputs: Sequence[str] = ("checkpoint",),
    secrets: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    title: str = "act",
    resources: Resources | None = None,
    **fields: Any,
) -> Job:
    """A job that does these steps (see `acting`)."""
    inputs = inputs or {}
    # The program of the tests is not in our wheel: the interpreter of a job finds it here.
    environment = {"PYTHONPATH": str(HERE), **(environment or {})}
    command = BundledCommand(
        command=tuple(steps),
        resume=tuple(resume),
        run_output="checkpoint" if resume else "",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        environment=environment,
        secrets=secrets or {},
        module="acting",
    )
    return Job(
        name=unique_name(title),
        title=title,
        experiment="tests",
        bundle=write_bundle(command, bundles, requirements="base"),
        inputs=tuple(Input(name, reference) for name, reference in inputs.items()),
        outputs=tuple(outputs),
        environment=environment,
        secrets=secrets or {},
        resources=resources or Resources(),
        **fields,
    )


def submitted(platform: Platform, job: Job) -> Handle:
    """Send a job that must have no problem."""
    assert platform.check(job) == []
    return platform.submit(job, platform.plan(job))


def until(condition: Callable[[], Any], what: str, timeout_s: float = 90.0) -> Any:
    """Wait for something that must happen."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} has not happened"
        time.sleep(0.1)
    return value


def finished(platform: Platform, handle: Handle) -> JobStatus:
    """The status of a job, once it has ended."""
    until(lambda: platform.status(handle).state.is_final, f"the end of {handle}")
    return platform.status(handle)


def log_of(platform: Platform, handle: Handle) -> str:
    """All that a job wrote."""
    return b"".join(
        piece for file in platform.log_files(handle) for piece in _pieces(platform, handle, file.path)
    ).decode()


def _pieces(platform: Platform, handle: Handle, path: str) -> Sequence[bytes]:
    pieces: list[bytes] = []
    while data := platform.read_log(handle, path, sum(map(len, pieces))):
        pieces.append(data)
    return pieces


def has_said(platform: Platform, handle: Handle, text: str) -> None:
    """Wait until a job wrote `text`."""
    until(
        lambda: text in log_of(platform, handle) or platform.status(handle).state.is_final,
        f"{text!r} in the log of {handle}",
    )
    assert text in log_of(platform, handle)


def state(platform: Platform, handle: Handle) -> JobState:
    return platform.status(handle).state
