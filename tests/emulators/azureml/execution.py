"""One attempt of a job, for real: code and inputs onto a folder, processes in it, logs and outputs to Blob Storage."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.emulators.azureml.blobs import Blobs
from tests.emulators.azureml.commands import fill_in, rank_variables, run_variables
from tests.emulators.azureml.locations import locate, output_path
from tests.emulators.azureml.mirrors import FolderMirror, LogMirror
from tests.emulators.azureml.processes import Processes, Start
from tests.emulators.azureml.state import Compute, Job, State
from tests.emulators.azureml.submissions import seconds

__all__ = ["Attempt", "Node"]

COPY_EVERY_S = 0.5
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Node:
    """What a job finds on a compute node of this emulator.

    Args:
        folder: where attempts have their folders.
        environment: variables of every process.
        grace_s: from SIGTERM to SIGKILL.
        whole_group: SIGTERM goes to the job's process group, not to its first process only.
        keep_folders: leave the folders of finished attempts, for a look at them.
        fresh_logs: an attempt after the first one starts its logs anew instead of going on with them.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 5.0
    whole_group: bool = True
    keep_folders: bool = False
    fresh_logs: bool = False


class Attempt:
    """`run()` returns how it ended: `Completed`, `Failed`, `Canceled` or `Preempted`."""

    def __init__(self, state: State, blobs: Blobs, node: Node, job: Job, compute: Compute) -> None:
        self._state, self._blobs, self._node, self._job = state, blobs, node, job
        self._compute = compute
        self._folder = node.folder / job.name / f"attempt_{job.attempt}"
        self._outputs: dict[str, Path] = {}
        self._mirrors: list[FolderMirror] = []
        self._at_the_end: list[FolderMirror] = []
        self._logs: list[LogMirror] = []

    def run(self, variables: Mapping[str, str]) -> str:
        """`variables`: what this job's processes see besides the node's and Azure ML's own."""
        try:
            self._state.set_status(self._job, "Preparing")
            starts = self._prepare(variables)
            if self._job.cancel.is_set():
                return "Canceled"
            self._state.set_status(self._job, "Running")
            processes = Processes(starts, whole_group=self._node.whole_group)
            try:
                outcome = self._watch(processes)
            finally:
                processes.end()
            if outcome != "Preempted":
                self._state.set_status(self._job, "Finalizing")
            self._copy()
            for mirror in self._at_the_end if outcome != "Preempted" else ():
                mirror.copy()
            return outcome
        finally:
            if not self._node.keep_folders:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self, variables: Mapping[str, str]) -> list[Start]:
        code = self._folder / "code"
        code.mkdir(parents=True)
        home = self._folder / "home"
        home.mkdir()
        if self._job.properties.get("codeId"):
            self._blobs.download_folder(*locate(self._state, str(self._job.properties["codeId"])), code)
        inputs = self._bring_inputs()
        self._open_outputs(code)
        outputs = {name: str(path) for name, path in self._outputs.items()}
        environment = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **run_variables(self._state.workspace, self._job, self._compute, outputs),
            **self._node.environment,
            **variables,
            **(self._job.properties.get("environmentVariables") or {}),
        }
        command = fill_in(str(self._job.properties["command"]), inputs, outputs)
        ranks = rank_variables(self._job, _free_port())
        return [
            Start(command, code, {**environment, **rank}, self._open_log(number, len(ranks)))
            for number, rank in enumerate(ranks)
        ]

    def _bring_inputs(self) -> dict[str, str]:
        """Every input's place: a literal's value, an address as it is (`direct`), or a copy in a folder."""
        inputs = {}
        for name, given in (self._job.properties.get("inputs") or {}).items():
            address = str(given.get("uri") or "")
            if given.get("jobInputType") == "literal":
                inputs[name] = str(given.get("value"))
            elif given.get("mode") == "Direct" or address.startswith("http"):
                inputs[name] = address
            else:
                container, path = locate(self._state, address)
                place = self._folder / "inputs" / name
                place.mkdir(parents=True)
                if given.get("jobInputType") == "uri_file":
                    place = place / path.rsplit("/", 1)[-1]
                    place.write_bytes(self._blobs.read(container, path))
                else:
                    self._blobs.download_folder(container, path, place)
                inputs[name] = str(place)
        return inputs

    def _open_outputs(self, code: Path) -> None:
        for name, asked in (self._job.properties.get("outputs") or {}).items():
            datastore, path = output_path(self._job, name)
            self._outputs[name] = self._folder / "outputs" / name
            container = self._state.datastores[datastore].container
            mirror = FolderMirror(self._blobs, container, path, self._outputs[name])
            if (asked or {}).get("mode") == "Upload":
                self._at_the_end.append(mirror)
            else:
                mirror.restore()
                self._mirrors.append(mirror)
        artifacts = self._state.datastores["workspaceartifactstore"].container
        for name in ("outputs", "logs"):  # these two folders of a job are kept without being asked for
            self._at_the_end.append(FolderMirror(self._blobs, artifacts, f"{self._job.artifacts}/{name}", code / name))

    def _open_log(self, number: int, count: int) -> Path:
        name = "user_logs/std_log.txt" if count == 1 else f"user_logs/std_log_process_{number}.txt"
        container = self._state.datastores["workspaceartifactstore"].container
        file = self._folder / f"log_{number}.txt"
        fresh = self._node.fresh_logs and self._job.attempt > 0
        self._logs.append(LogMirror(self._blobs, container, f"{self._job.artifacts}/{name}", file, fresh=fresh))
        if name not in self._job.log_files:
            self._job.log_files.append(name)
        return file

    def _watch(self, processes: Processes) -> str:
        limit = seconds((self._job.properties.get("limits") or {}).get("timeout"))
        deadline = None if limit is None else time.monotonic() + limit
        copied = time.monotonic()
        while True:
            code = processes.exit_code()
            if code is not None:
                return self._ended(code)
            if self._job.preempt.is_set():
                processes.ask_to_end(self._job.preempt_grace_s)
                return "Preempted"
            if self._job.cancel.is_set():
                processes.ask_to_end(self._node.grace_s)
                return "Canceled"
            if deadline is not None and time.monotonic() > deadline:
                processes.ask_to_end(self._node.grace_s)
                message = f"The job ran longer than its limit of {limit:g} seconds and was canceled."
                self._job.error = {"code": "JobTimedOut", "message": message}
                return "Canceled"
            if time.monotonic() - copied >= COPY_EVERY_S:
                self._copy()
                copied = time.monotonic()
            time.sleep(LOOK_EVERY_S)

    def _ended(self, code: int) -> str:
        self._job.exit_code = code
        if self._job.preempt.is_set():
            return "Preempted"
        if code == 0:
            return "Completed"
        message = (
            f"Execution failed. User process 'bash' exited with status code {code}. Please check log file "
            f"'{self._job.log_files[0]}' for error details."
        )
        self._job.error = {"code": "UserError", "message": message}
        return "Failed"

    def _copy(self) -> None:
        for log in self._logs:
            log.copy()
        for mirror in self._mirrors:
            mirror.copy()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
