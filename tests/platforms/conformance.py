"""What every platform must do: a test class for each platform inherits from `Conformance`.

A subclass gives the fixture `platform`; jobs really run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etude.errors import JobError, PlatformError
from etude.platforms.downloading import download
from etude.platforms.following import LogReader, follow
from etude.platforms.handles import Handle
from etude.platforms.job import Resources
from etude.platforms.seam import Platform, RemoteFile
from etude.platforms.states import JobState
from tests.platforms.jobs import acting_job, finished, has_said, log_of, state, submitted, until


class Broken:
    """A platform whose connection breaks now and then."""

    def __init__(self, platform: Platform, share: float) -> None:
        self._platform, self._share, self._random = platform, share, random.Random(7)

    def __getattr__(self, name: str) -> object:
        method = getattr(self._platform, name)

        def call(*arguments: object) -> object:
            if self._random.random() < self._share:
                raise PlatformError("the connection was reset")
            return method(*arguments)

        return call

    def read_output(self, handle: Handle, output: str, path: str, offset: int) -> Iterator[bytes]:
        for piece in self._platform.read_output(handle, output, path, offset):
            yield piece[: max(1, len(piece) // 2)]
            raise PlatformError("the connection was closed")


class Conformance:
    """The tests.

    Attributes:
        tells_attempts: whether the platform says how often a job was started.
    """

    tells_attempts = True

    def test_a_job_runs_to_its_end(self, platform: Platform, tmp_path: Path) -> None:
        steps = ["say=hello", "write={output:checkpoint}/a/result.txt:done", "say=bye"]
        handle = submitted(platform, acting_job(tmp_path, steps))
        assert Handle.parse(str(handle)) == handle
        status = finished(platform, handle)
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 1)
        assert status.started is not None
        assert status.ended is not None
        lines = log_of(platform, handle).splitlines()
        assert lines.index("hello") < lines.index("bye")
        assert platform.outputs(handle) == ["checkpoint"]
        found = download(platform, handle, "checkpoint", tmp_path / "here")
        assert (tmp_path / "here" / "a" / "result.txt").read_text() == "done"
        assert (found.files, found.bytes, found.fetched, found.verified) == (1, 4, 1, 1)

    def test_a_job_that_fails_says_so(self, platform: Platform, tmp_path: Path) -> None:
        steps = ["write={output:checkpoint}/kept.txt:x", "say=trouble", "exit=3"]
        handle = submitted(platform, acting_job(tmp_path, steps))
        status = finished(platform, handle)
        assert status.state is JobState.FAILED
        assert status.exit_code == 3 or "3" in status.reason
        assert "trouble" in log_of(platform, handle)
        assert [file.path for file in platform.output_files(handle, "checkpoint") if file.path[0] != "."] == [
            "kept.txt"
        ]

    def test_the_same_name_is_one_job(self, platform: Platform, tmp_path: Path) -> None:
        job = acting_job(tmp_path, ["say=once"])
        request = platform.plan(job)
        handles = {str(platform.submit(job, request)) for _ in range(3)}
        assert len(handles) == 1
        handle = Handle.parse(handles.pop())
        assert platform.find(job.name) == handle
        finished(platform, handle)
        platform.submit(job, request)
        assert state(platform, handle) is JobState.SUCCEEDED
        assert log_of(platform, handle).count("once") == 1
        assert sum(status.handle == str(handle) for status in platform.jobs(100)) == 1

    def test_a_job_that_is_not_there(self, platform: Platform, tmp_path: Path) -> None:
        assert platform.find("never-sent-0123456789") is None
        known = submitted(platform, acting_job(tmp_path, ["say=x"]))
        handle = Handle(known.platform, "never-sent-0123456789", known.place)
        for ask in (platform.status, platform.cancel, platform.log_files, platform.outputs):
            with pytest.raises(JobError, match="never-sent"):
                ask(handle)
        with pytest.raises(JobError, match="has no output"):
            download(platform, known, "chekpoint", tmp_path / "x")
        finished(platform, known)

    def test_cancelling_lets_it_save(self, platform: Platform, tmp_path: Path) -> None:
        handle = submitted(platform, acting_job(tmp_path, ["wait"]))
        has_said(platform, handle, "waiting")
        platform.cancel(handle)
        assert finished(platform, handle).state is JobState.CANCELLED
        assert "asked to stop: saving" in log_of(platform, handle)
        platform.cancel(handle)
        assert state(platform, handle) is JobState.CANCELLED

    def test_a_job_that_takes_too_long_is_stopped(self, platform: Platform, tmp_path: Path) -> None:
        handle = submitted(platform, acting_job(tmp_path, ["wait"], resources=Resources(timeout_s=4)))
        status = finished(platform, handle)
        assert status.state in (JobState.FAILED, JobState.CANCELLED)
        assert status.state is not JobState.CANCELLED or status.reason

    def test_following_gives_every_line_once(self, platform: Platform, tmp_path: Path) -> None:
        handle = submitted(platform, acting_job(tmp_path, ["lines=400", "sleep=1", "lines=400", "say=ende"]))
        told: list[str] = []
        reader = LogReader(Broken(platform, share=0.3), handle)  # type: ignore[arg-type]
        lines = list(follow(reader, every_s=0.2, tell=told.append, sleep=lambda _: time.sleep(0.2)))
        whole = log_of(platform, handle).splitlines()
        assert lines == whole
        assert sum(line.startswith("line ") for line in lines) == 800
        assert any("reset" in sentence for sentence in told)
        assert "succeeded" in told[-1]

    def test_following_goes_on_where_it_stopped(self, platform: Platform, tmp_path: Path) -> None:
        handle = submitted(platform, acting_job(tmp_path, ["lines=50", "say=half", "sleep=1", "lines=50"]))
        has_said(platform, handle, "half")
        first = LogReader(platform, handle)
        before = list(first.new_lines())
        finished(platform, handle)
        after = list(first.new_lines(to_the_end=True))
        assert before + after == log_of(platform, handle).splitlines()

    def test_inputs_secrets_and_variables_arrive(
        self,
        platform: Platform,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        shared_input: str,
        secret: tuple[str, str],
    ) -> None:
        reference, value = secret
        job = acting_job(
            tmp_path,
            ["write={output:checkpoint}/where.txt:{input:dataset}", "show=COLOUR", "length=MY_TOKEN"],
            inputs={"dataset": shared_input},
            environment={"COLOUR": "green"},
            secrets={"MY_TOKEN": reference},
        )
        for file in job.bundle.folder.rglob("*"):
            assert not file.is_file() or value.encode() not in file.read_bytes()
        assert value not in platform.plan(job).text
        handle = submitted(platform, job)
        assert finished(platform, handle).state is JobState.SUCCEEDED
        assert "COLOUR=green" in log_of(platform, handle)
        assert f"MY_TOKEN has {len(value)} characters" in log_of(platform, handle)
        assert value not in log_of(platform, handle)

    def test_an_interrupted_download_goes_on(self, platform: Platform, tmp_path: Path) -> None:
        steps = [f"write={{output:checkpoint}}/{name}.txt:{name * 3000}" for name in ("a", "b", "c")]
        handle = submitted(platform, acting_job(tmp_path, steps))
        finished(platform, handle)
        here = tmp_path / "here"
        broken = Broken(platform, share=0.0)
        found = download(broken, handle, "checkpoint", here)  # type: ignore[arg-type]
        assert (found.files, found.verified) == (3, 3)
        assert (here / "b.txt").read_text() == "b" * 3000
        (here / "b.txt").write_text("damaged")
        (here / "c.txt").unlink()
        (here / "c.txt.partial").write_text("c" * 1000)
        again = download(platform, handle, "checkpoint", here)
        assert again.fetched == 2
        assert (here / "b.txt").read_text() == "b" * 3000
        assert (here / "c.txt").read_text() == "c" * 3000
        assert not list(here.rglob("*.partial"))

    def test_what_a_killed_job_left_is_used_again(self, platform: Platform, tmp_path: Path) -> None:
        """Killed from outside after a checkpoint: the next attempt resumes, in the same output."""
        job = acting_job(
            tmp_path,
            ["say=first", "checkpoint={output:checkpoint}/checkpoints/000010", "sleep=2", "die"],
            resume=["say=resumed", "checkpoint={output:checkpoint}/checkpoints/000020", "say=end"],
        )
        handle = submitted(platform, job)
        self.after_a_kill(platform, handle)
        status = finished(platform, handle)
        assert status.state is JobState.SUCCEEDED, status
        assert status.attempt == (2 if self.tells_attempts else 1)
        text = log_of(platform, handle)
        assert text.index("first") < text.index("resumed") < text.index("end")
        here = tmp_path / "here"
        download(platform, handle, "checkpoint", here)
        assert (here / "checkpoints" / "last").resolve().name == "000020"
        assert {path.name for path in (here / "checkpoints").iterdir()} == {"000010", "000020", "last"}

    def after_a_kill(self, platform: Platform, handle: Handle) -> None:
        """What the world does when a job was killed; a platform that notices by itself needs nothing."""

    def test_listing(self, platform: Platform, tmp_path: Path) -> None:
        handles = [submitted(platform, acting_job(tmp_path, [f"say={number}"])) for number in range(3)]
        listed = [status.handle for status in platform.jobs(100)]
        assert {str(handle) for handle in handles} <= set(listed)
        assert len(platform.jobs(2)) == 2
        for handle in handles:
            finished(platform, handle)


def sizes(files: list[RemoteFile]) -> dict[str, int]:
    return {file.path: file.bytes for file in files}


__all__ = ["Broken", "Conformance", "sizes", "until"]
