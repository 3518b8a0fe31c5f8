"""Background jobs on this machine: the conformance suite, and what happens to processes here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from etude.platforms.handles import Handle
from etude.platforms.job import Resources
from etude.platforms.local.folder import JobFolder
from etude.platforms.local.platform import Local
from etude.platforms.states import JobState
from tests.platforms.conformance import Conformance
from tests.platforms.jobs import acting_job, finished, has_said, log_of, submitted, until


@pytest.fixture
def platform(tmp_path: Path) -> Local:
    return Local(tmp_path / "local")


@pytest.fixture
def shared_input(tmp_path: Path) -> str:
    folder = tmp_path / "data"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("THE_TOKEN", "hush-9f8e7d6c5b4a")
    return "env://THE_TOKEN", "hush-9f8e7d6c5b4a"


class TestLocal(Conformance):
    pass


def test_the_job_outlives_who_sent_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from etude.platforms.local.platform import Local\n"
        "from tests.platforms.jobs import acting_job, submitted\n"
        "root = Path(sys.argv[1])\n"
        "print(submitted(Local(root / 'local'), acting_job(root, ['sleep=1', 'say=still here'])), flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    sender = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[3])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert sender.returncode == -signal.SIGKILL
    platform, handle = Local(tmp_path / "local"), Handle.parse(sender.stdout.strip())
    assert finished(platform, handle).state is JobState.SUCCEEDED
    assert "still here" in log_of(platform, handle)


def test_a_request_whose_sender_died_before_the_start_is_started_when_found(
    platform: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = acting_job(tmp_path, ["say=late"])
    with monkeypatch.context() as patch:
        patch.setattr(Local, "_look_after", lambda *_: None)
        handle = platform.submit(job, platform.plan(job))
    assert platform.status(handle).state is JobState.QUEUED
    assert platform.find(job.name) == handle
    assert finished(platform, handle).state is JobState.SUCCEEDED


def test_a_supervisor_that_is_killed_takes_the_job_along_and_is_told(platform: Local, tmp_path: Path) -> None:
    handle = submitted(platform, acting_job(tmp_path, ["wait"]))
    has_said(platform, handle, "waiting")
    folder = JobFolder(tmp_path / "local" / handle.name)
    record = folder.record()
    assert record is not None
    assert record.pid is not None
    supervisor = int(Path(f"/proc/{record.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: platform.status(handle).state is JobState.FAILED, "noticing")
    assert "supervisor is gone" in platform.status(handle).reason
    until(lambda: not Path(f"/proc/{record.pid}/cmdline").exists(), "the end of the command")


def test_a_supervisor_that_cannot_start_is_told(
    platform: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etude.platforms.local.platform.SUPERVISOR", "etude.platforms.local.nothing_there")
    handle = submitted(platform, acting_job(tmp_path, ["say=x"]))
    until(lambda: platform.status(handle).state is JobState.FAILED, "noticing")
    assert "nothing_there" in platform.status(handle).reason


def test_relative_paths_mean_what_they_mean_where_the_job_was_sent(
    platform: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    handle = submitted(platform, acting_job(tmp_path, ["write=made/file.txt:x"]))
    monkeypatch.chdir("/")
    assert finished(platform, handle).state is JobState.SUCCEEDED
    assert (tmp_path / "here/made/file.txt").exists()


def test_retries_end(platform: Local, tmp_path: Path) -> None:
    job = acting_job(tmp_path, ["die"], resources=Resources(retries=1))
    status = finished(platform, submitted(platform, job))
    assert (status.state, status.attempt) == (JobState.FAILED, 2)


def test_what_the_command_left_running_is_ended(platform: Local, tmp_path: Path) -> None:
    marker = tmp_path / "child.pid"
    job = acting_job(tmp_path, ["say=x"], environment={"BASH_ENV": ""})
    script = job.bundle.folder / "bootstrap.sh"
    script.write_text(f"sleep 300 & echo $! > {marker}\n" + script.read_text())
    handle = submitted(platform, job)
    finished(platform, handle)
    child = int(marker.read_text())
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text(), "its end")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resources": Resources(nodes=0)}, "--nodes must be at least 1"),
        ({"resources": Resources(nodes=2)}, "this machine is one"),
        ({"resources": Resources(timeout_s=-5)}, "--timeout"),
        ({"resources": Resources(compute="gpu")}, "--compute=gpu"),
        ({"image": "python:3.12"}, "--image"),
        ({"inputs": {"dataset": "azureml:pusht:1"}}, "not on this machine"),
        ({"inputs": {"dataset": "/nowhere/at/all"}}, "there is no folder"),
        ({"secrets": {"T": "osmo://t"}}, "OSMO"),
    ],
)
def test_problems_are_found_before_anything_is_written(
    platform: Local, tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    job = acting_job(tmp_path / "bundles", ["say=x"], **fields)  # type: ignore[arg-type]
    problems = platform.check(job)
    assert len(problems) == 1
    assert message in str(problems[0])
    assert not (tmp_path / "local").exists()


def test_all_problems_at_once(platform: Local, tmp_path: Path) -> None:
    job = acting_job(tmp_path, ["say=x"], resources=Resources(nodes=0, timeout_s=0, compute="x"), image="y")
    assert len(platform.check(job)) == 4
