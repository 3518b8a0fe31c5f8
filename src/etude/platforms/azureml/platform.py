"""Azure Machine Learning behind the seam."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from etude.errors import JobError
from etude.platforms.azureml.check import problems_of
from etude.platforms.azureml.client import Client
from etude.platforms.azureml.context import Context
from etude.platforms.azureml.existence import missing_in_workspace
from etude.platforms.azureml.latest import resolve_latest
from etude.platforms.azureml.logs import log_files, read_log, signed_log_files, signed_read_log
from etude.platforms.azureml.outputs import find_output, output_files, read_output
from etude.platforms.azureml.refusals import ServiceError
from etude.platforms.azureml.request import build_request, draft_request, render
from etude.platforms.azureml.storage import Storage
from etude.platforms.azureml.told import ToldJob, status_of
from etude.platforms.handles import Handle
from etude.platforms.job import Job
from etude.platforms.problems import Problem, RefusedJobError
from etude.platforms.seam import RemoteFile, Request
from etude.platforms.states import JobStatus

__all__ = ["AzureML"]

FORBIDDEN = (401, 403)


class AzureML:
    """The jobs of a workspace.

    Args:
        context: which workspace, which compute.
        online: whether `check` asks the workspace too; `--dry-run` needs no login.
    """

    name = "azureml"

    def __init__(self, context: Context, *, online: bool = True) -> None:
        self.context, self._online = context, online
        self._places: dict[str, _Place] = {}

    @property
    def client(self) -> Client:
        """The workspace of the context.

        Raises:
            RefusedJobError: it is not known which.
        """
        return self._place().client

    @property
    def storage(self) -> Storage:
        """The containers of that workspace."""
        return self._place().storage

    @property
    def place(self) -> Mapping[str, str]:
        """See `Platform.place`."""
        context = self.context
        known = {
            "subscription_id": context.subscription,
            "resource_group": context.resource_group,
            "workspace": context.workspace,
        }
        return {name: found.value for name, found in known.items() if found is not None}

    def keyvault(self) -> str:
        """Name of the Key Vault that belongs to the workspace.

        Raises:
            PlatformError: the workspace cannot be asked.
        """
        told = self.client.get("", "open the workspace").get("properties") or {}
        return str(told.get("keyVault") or "").rsplit("/", 1)[-1]

    def check(self, job: Job) -> list[Problem]:
        """See `Platform.check`."""
        request, problems = draft_request(job, self._compute)
        problems += problems_of(job, request.data)
        if not self._online:
            return problems
        # A compute that is missing is among the job's own problems: a job may name one itself.
        missing = self.context.missing(compute=False)
        if not missing:
            problems += missing_in_workspace(self.client, job, request.data)
        return problems + missing

    def plan(self, job: Job) -> Request:
        """See `Platform.plan`: what `az ml job create -f` takes."""
        return build_request(job, self._compute)

    def submit(self, job: Job, request: Request) -> Handle:
        """See `Platform.submit`. `@latest` becomes the version that it is now, and a tag records it."""
        place = self._place()
        handle = Handle(self.name, job.name, place.client.workspace)
        if self.find(job.name) is not None:
            return handle
        data = resolve_latest(place.client, request.data)
        try:
            place.client.send_job(render(data), f"run job {job.name}")
        except ServiceError:
            # The answer may be lost while the job runs; and a second sending of it is refused, as its name is taken.
            if self.find(job.name) is None:
                raise
        return handle

    def find(self, name: str) -> Handle | None:
        """See `Platform.find`."""
        place = self._place()
        try:
            place.job(name)
        except JobError:
            return None
        return Handle(self.name, name, place.client.workspace)

    def status(self, handle: Handle) -> JobStatus:
        """See `Platform.status`."""
        place = self._place(handle.place)
        job = place.job(handle.name)
        return status_of(str(self._at(handle, place)), job, place.details(job))

    def log_files(self, handle: Handle) -> Sequence[RemoteFile]:
        """See `Platform.log_files`."""
        place = self._place(handle.place)
        job = place.job(handle.name)
        try:
            return log_files(place.storage, job)
        except ServiceError as error:
            if error.status not in FORBIDDEN:
                raise
            return signed_log_files(place.details(job, fresh=True))

    def read_log(self, handle: Handle, path: str, offset: int) -> bytes:
        """See `Platform.read_log`."""
        place = self._place(handle.place)
        job = place.known_job(handle.name)
        try:
            return read_log(place.storage, job, path, offset)
        except ServiceError as error:
            if error.status not in FORBIDDEN:
                raise
            return signed_read_log(place.client, place.details(job), path, offset)

    def cancel(self, handle: Handle) -> None:
        """See `Platform.cancel`."""
        place = self._place(handle.place)
        status = status_of(str(handle), place.job(handle.name))
        if status.state.is_final:
            return
        try:
            place.client.post(f"/jobs/{quote(handle.name)}/cancel", f"cancel job {handle.name}")
        except ServiceError:
            if not status_of(str(handle), place.job(handle.name)).state.is_final:  # else it ended in between
                raise

    def outputs(self, handle: Handle) -> Sequence[str]:
        """See `Platform.outputs`."""
        return self._place(handle.place).job(handle.name).outputs

    def output_files(self, handle: Handle, output: str) -> Sequence[RemoteFile]:
        """See `Platform.output_files`."""
        place = self._place(handle.place)
        return output_files(place.storage, place.output(handle.name, output))

    def read_output(self, handle: Handle, output: str, path: str, offset: int) -> Iterator[bytes]:
        """See `Platform.read_output`."""
        place = self._place(handle.place)
        return read_output(place.storage, place.output(handle.name, output), path, offset)

    def jobs(self, limit: int) -> Sequence[JobStatus]:
        """See `Platform.jobs`; the list has no times but that of creation."""
        place = self._place()
        found: list[JobStatus] = []
        if limit > 0:
            for body in place.client.pages("/jobs", "list jobs"):
                job = ToldJob(body)
                found.append(status_of(str(Handle(self.name, job.name, place.client.workspace)), job))
                if len(found) == limit:
                    break
        return found

    @property
    def _compute(self) -> str | None:
        return self.context.compute.value if self.context.compute else None

    def _at(self, handle: Handle, place: _Place) -> Handle:
        return dataclasses.replace(handle, place=place.client.workspace)

    def _place(self, workspace: str = "") -> _Place:
        """The workspace of a handle: that of the context, or another one of the same resource group.

        Raises:
            RefusedJobError: it is not known which.
        """
        known = self.context
        missing = known.missing(compute=False)
        if workspace:
            missing = [problem for problem in missing if "workspace" not in problem.message]
        if missing or known.subscription is None or known.resource_group is None:
            raise RefusedJobError(missing)
        name = workspace or (known.workspace.value if known.workspace else "")
        if name not in self._places:
            self._places[name] = _Place(Client(known.subscription.value, known.resource_group.value, name))
        return self._places[name]


class _Place:
    """A workspace: its client, its storage, and where the outputs of its jobs are."""

    def __init__(self, client: Client) -> None:
        self.client, self.storage = client, Storage(client)
        self._known: dict[str, ToldJob] = {}
        self._outputs: dict[tuple[str, str], str] = {}
        self._details: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def job(self, name: str) -> ToldJob:
        """A job as it is now.

        Raises:
            JobError: there is none.
        """
        try:
            told = ToldJob(self.client.get(f"/jobs/{quote(name, safe='')}", f"read job {name}"))
        except ServiceError as error:
            if (
                error.status != 404
                or "workspaces/" in error.message
                or error.code in ("ResourceGroupNotFound", "SubscriptionNotFound")
            ):
                raise
            raise JobError(
                f"there is no job {name!r} in workspace {self.client.workspace}", hint="etude jobs list"
            ) from None
        self._known[name] = told
        return told

    def known_job(self, name: str) -> ToldJob:
        """A job as it was when it was last asked for; where its logs are does not change."""
        return self._known.get(name) or self.job(name)

    def details(self, job: ToldJob, *, fresh: bool = False) -> Mapping[str, Any]:
        """What the run history adds; nothing when it has nothing yet.

        Args:
            fresh: ask in any case; else only when the job does something else than the last time.
        """
        said, told = self._details.get(job.name, ("", {}))
        if not fresh and said == job.said and told.get("startTimeUtc"):
            return told
        try:
            told = self.client.service(
                "GET", "history", f"/runs/{quote(job.name, safe='')}/details", f"read job {job.name}"
            )
        except ServiceError as error:
            if error.status not in (*FORBIDDEN, 404):
                raise
            told = {}
        self._details[job.name] = (job.said, told)
        return told

    def output(self, name: str, output: str) -> str:
        """The address of an output."""
        job = self.known_job(name)
        key = (name, output)
        if key not in self._outputs:
            address = find_output(self.client, self.storage, job, output)
            if job.properties.get("status") not in ("NotStarted", "Queued"):
                self._outputs[key] = address
            return address
        return self._outputs[key]
