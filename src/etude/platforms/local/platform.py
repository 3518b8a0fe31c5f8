"""The platform that is always there: this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.errors import JobError, StorageError, nearest
from etude.platforms.handles import Handle
from etude.platforms.job import Job
from etude.platforms.local.check import problems_of
from etude.platforms.local.folder import JobFolder, Record
from etude.platforms.problems import Problem
from etude.platforms.seam import RemoteFile, Request
from etude.platforms.states import JobState, JobStatus
from etude.runs.atomic import TEMPORARY_PREFIX, write_json

__all__ = ["Local"]

SUPERVISOR = "etude.platforms.local.supervisor"
BLOCK = 1 << 20


class Local:
    """Background jobs of this user.

    Args:
        root: folder of all jobs.
        python: an interpreter for the jobs; the bundle's bootstrap takes it when it has the requirements.
    """

    name = "local"

    def __init__(self, root: Path, *, python: str = sys.executable) -> None:
        self._root, self._python = root, python

    @property
    def place(self) -> Mapping[str, str]:
        """See `Platform.place`: there is one such place."""
        return {}

    def check(self, job: Job) -> list[Problem]:
        """See `Platform.check`."""
        return problems_of(job)

    def plan(self, job: Job) -> Request:
        """See `Platform.plan`; folders are filled in when it is submitted."""
        data: dict[str, Any] = {
            "name": job.name,
            "title": job.title,
            "experiment": job.experiment,
            "bundle": str(job.bundle.folder),
            "inputs": {item.name: item.reference for item in job.inputs},
            "outputs": list(job.outputs),
            "timeout_s": job.resources.timeout_s,
            "retries": job.resources.retries,
            "tags": dict(job.tags),
        }
        return Request(job.name, json.dumps(data, indent=2) + "\n", data)

    def submit(self, job: Job, request: Request) -> Handle:
        """See `Platform.submit`. The job exists once its `request.json` is there; its supervisor is started then."""
        folder = self._folder(job.name)
        try:
            if not folder.exists:
                self._write(job, request, folder)
        except OSError as error:
            raise StorageError(
                f"{folder.root} cannot be written: {error.strerror or error}", hint="ETUDE_STATE names another folder"
            ) from error
        self._look_after(folder)
        return Handle(self.name, job.name)

    def find(self, name: str) -> Handle | None:
        """See `Platform.find`."""
        folder = self._folder(name)
        if not folder.exists:
            return None
        self._look_after(folder)
        return Handle(self.name, name)

    def status(self, handle: Handle) -> JobStatus:
        """See `Platform.status`."""
        folder = self._known(handle)
        record = folder.record() or Record()
        state, reason = JobState(record.state), record.reason
        if not state.is_final and record.started is not None and not folder.is_looked_after:
            record = folder.record() or record  # it may have ended between the two looks
            state, reason = JobState(record.state), record.reason
            if not state.is_final:
                state, reason = JobState.FAILED, "its supervisor is gone: was this machine restarted?"
        elif record.started is None and (trouble := folder.trouble()) and not folder.is_looked_after:
            state, reason = JobState.FAILED, f"its supervisor could not start: {trouble}"
        return JobStatus(
            handle=str(handle),
            state=state,
            said=record.state,
            reason=reason,
            exit_code=record.exit_code,
            attempt=record.attempt,
            created=(folder.root / "request.json").stat().st_mtime,
            started=record.started,
            ended=record.ended,
        )

    def log_files(self, handle: Handle) -> Sequence[RemoteFile]:
        """See `Platform.log_files`."""
        log = self._known(handle).log
        return [RemoteFile(log.name, log.stat().st_size)] if log.exists() else []

    def read_log(self, handle: Handle, path: str, offset: int) -> bytes:
        """See `Platform.read_log`."""
        log = self._known(handle).log
        with open(log.with_name(Path(path).name), "rb") as reading:
            reading.seek(offset)
            return reading.read(BLOCK)

    def cancel(self, handle: Handle) -> None:
        """See `Platform.cancel`."""
        folder = self._known(handle)
        if self.status(handle).state.is_final:
            return
        folder.cancel()
        self._look_after(folder)

    def outputs(self, handle: Handle) -> Sequence[str]:
        """See `Platform.outputs`."""
        return list(self._known(handle).request()["outputs"])

    def output_files(self, handle: Handle, output: str) -> Sequence[RemoteFile]:
        """See `Platform.output_files`."""
        root = self._output(handle, output)
        files = sorted(path for path in root.rglob("*") if path.is_file() and not _behind_link(path, root))
        return [RemoteFile(path.relative_to(root).as_posix(), path.stat().st_size) for path in files]

    def read_output(self, handle: Handle, output: str, path: str, offset: int) -> Iterator[bytes]:
        """See `Platform.read_output`."""
        with open(self._output(handle, output) / path, "rb") as reading:
            reading.seek(offset)
            while block := reading.read(BLOCK):
                yield block

    def jobs(self, limit: int) -> Sequence[JobStatus]:
        """See `Platform.jobs`."""
        folders = [JobFolder(path) for path in self._root.glob("[!.]*")]
        found = [self.status(Handle(self.name, folder.root.name)) for folder in folders if folder.exists]
        return sorted(found, key=lambda status: status.created or 0.0, reverse=True)[:limit]

    def _write(self, job: Job, request: Request, folder: JobFolder) -> None:
        scratch = JobFolder(self._root / f"{TEMPORARY_PREFIX}{job.name}-{uuid.uuid4().hex[:8]}")
        try:
            scratch.log.parent.mkdir(parents=True)
            scratch.log.touch()
            shutil.copytree(job.bundle.folder, scratch.bundle)
            places = [
                *(f"--input={item.name}={Path(item.reference).expanduser().absolute()}" for item in job.inputs),
                *(f"--output={name}={folder.output(name)}" for name in job.outputs),
            ]
            command = ["sh", str(folder.bundle / "bootstrap.sh"), *places]
            environment = {"ETUDE_PYTHON": self._python, **job.environment}
            # Relative paths in settings, and MLflow's database, mean what they mean where the job was sent.
            started = {"command": command, "environment": environment, "cwd": os.getcwd()}
            write_json(scratch.root / "request.json", {**request.data, **started})
            os.rename(scratch.root, folder.root)
        except OSError:
            shutil.rmtree(scratch.root, ignore_errors=True)
            if not folder.exists:  # not another process that sent the same name
                raise

    def _look_after(self, folder: JobFolder) -> None:
        """Start the supervisor of a job that has none yet; a second one would end at once."""
        record = folder.record()
        if folder.is_looked_after or (record is not None and JobState(record.state).is_final):
            return
        if record is not None and not folder.is_cancelled:
            return  # it was begun: going on is the user's decision
        subprocess.Popen(
            [sys.executable, "-m", SUPERVISOR, str(folder.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(folder.supervisor_log, "ab"),  # noqa: SIM115  the child keeps it
            start_new_session=True,
        )
        for _ in range(100):  # until it holds its lock, so that two calls in a row start one
            if folder.is_looked_after or folder.record() is not None:
                return
            time.sleep(0.05)

    def _folder(self, name: str) -> JobFolder:
        return JobFolder(self._root / name)

    def _known(self, handle: Handle) -> JobFolder:
        folder = self._folder(handle.name)
        if not folder.exists:
            names = [path.name for path in self._root.glob("[!.]*")]
            close = nearest(handle.name, names)
            raise JobError(
                f"there is no local job {handle.name}", hint=f"did you mean {close[0]}?" if close else "etude jobs list"
            )
        return folder

    def _output(self, handle: Handle, output: str) -> Path:
        names = self.outputs(handle)
        if output not in names:
            raise JobError(f"job {handle.name} has no output {output!r}; it has {', '.join(names) or 'none'}")
        return self._known(handle).output(output)


def _behind_link(path: Path, root: Path) -> bool:
    return any(part.is_symlink() for part in (path, *path.parents) if part != root and root in part.parents)
