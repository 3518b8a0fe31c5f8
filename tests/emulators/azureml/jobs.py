"""Jobs over REST: submitting, reading, cancelling, and their run history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.emulators.azureml.blobs import Blobs
from tests.emulators.azureml.locations import output_path
from tests.emulators.azureml.paging import page
from tests.emulators.azureml.state import Job, State
from tests.emulators.azureml.submissions import check_job, unchanged
from tests.emulators.azureml.wire import Request, Response, ServiceError, answer

__all__ = ["Jobs"]


# How the run history calls the types of outputs that are models.
MODEL_OUTPUTS = {"custom_model": "CustomModel", "mlflow_model": "MLFlowModel", "triton_model": "TritonModel"}


class Jobs:
    """Answers below `{workspace}/jobs` and below the run history.

    Args:
        submit: starts a job that was accepted.
    """

    def __init__(self, state: State, blobs: Blobs, submit: Callable[[Job], None]) -> None:
        self._state, self._blobs, self._submit = state, blobs, submit

    def answer(self, request: Request, words: list[str]) -> Response:
        """`words` are the path's parts after `jobs`."""
        if not words:
            return page(request, [self._resource(job) for job in self._listed(request)])
        name = words[0]
        if len(words) == 2 and words[1].lower() == "cancel" and request.method == "POST":
            return self._cancel(request, self.find(name))
        if request.method == "PUT":
            return self._put(name, dict(request.json().get("properties") or {}))
        return answer(self._resource(self.find(name)))

    def find(self, name: str) -> Job:
        with self._state.changed:
            job = self._state.jobs.get(name)
        if job is None:
            where = self._state.workspace.name
            raise ServiceError(404, "UserError", f"Not found: run {name} in workspace {where}.")
        return job

    def operation(self, name: str) -> Response:
        """Where a cancellation is polled: 202 until it is done."""
        job = self.find(name)
        if job.finished:
            return Response(200)
        where = f"{self._state.workspace.path}/mfeOperationResults/{name}"
        return Response(202, headers=[("Location", f"https://management.azure.com{where}"), ("Retry-After", "1")])

    def history(self, request: Request, words: list[str]) -> Response:
        """Run history: details, data and changes of a run. `words` follow the workspace's path."""
        if words[-1] == "rundata":
            return answer({"runMetadata": self._metadata(self.find(str(request.json().get("runId"))))})
        job = self.find(words[words.index("runs") + 1])
        if words[-1] == "details":
            return answer(self._details(job))
        if request.method == "PATCH":
            self._change(job, request.json())
        return answer(self._metadata(job))

    def resolve(self, asset_ids: list[str]) -> dict[str, Any]:
        """Where the outputs lie whose ids the run history gave out."""
        found = {}
        for asset_id in asset_ids:
            name, _, output = asset_id.rsplit("/", 1)[-1].partition("_output_data_")
            datastore, path = output_path(self.find(name), output.removesuffix(":1"))
            where = self._state.workspace.long_uri(datastore, f"{path}/")
            found[asset_id] = {"uri": where, "path": where, "type": "UriFolder"}
        return found

    def _listed(self, request: Request) -> list[Job]:
        archived = {"ArchivedOnly": (True,), "All": (True, False)}.get(request.query.get("listviewtype", ""), (False,))
        with self._state.changed:
            jobs = sorted(self._state.jobs.values(), key=lambda job: -job.order)
        return [job for job in jobs if job.archived in archived]

    def _put(self, name: str, properties: dict[str, Any]) -> Response:
        with self._state.changed:
            there = self._state.jobs.get(name)
            if there is not None:
                return self._update(there, properties)
            check_job(self._state, name, properties)
            job = Job(name, properties, self._state.next_order())
            self._state.jobs[name] = job
        self._submit(job)
        return answer(self._resource(job), 201)

    def _update(self, job: Job, properties: dict[str, Any]) -> Response:
        if not unchanged(job, properties):
            message = (
                f"A job with this name already exists. If you are trying to submit a new job, use a different name. If "
                f"you are trying to update an existing job, only description, displayName, tags and isArchived of "
                f"{job.name} can be changed."
            )
            raise ServiceError(400, "UserError", message)
        for key in ("description", "displayName", "tags"):
            if properties.get(key):
                job.properties[key] = properties[key]
        return answer(self._resource(job))

    def _cancel(self, request: Request, job: Job) -> Response:
        with self._state.changed:
            if job.finished:
                raise ServiceError(400, "UserError", f"Run {job.name} is in the terminal state {job.status} already.")
            job.cancel.set()
            self._state.set_status(job, "CancelRequested")
        where = f"{self._state.workspace.path}/mfeOperationResults/{job.name}"
        return Response(202, headers=[("Location", request.url(where)), ("Retry-After", "0")])

    def _change(self, job: Job, changes: dict[str, Any]) -> None:
        with self._state.changed:
            for key in ("displayName", "description"):
                if changes.get(key) is not None:
                    job.properties[key] = changes[key]
            for key in ("tags", "properties"):
                job.properties[key] = {**(job.properties.get(key) or {}), **(changes.get(key) or {})}
            if changes.get("hidden") is not None:
                job.archived = bool(changes["hidden"])

    def _resource(self, job: Job) -> dict[str, Any]:
        workspace = self._state.workspace
        studio = f"https://ml.azure.com/runs/{job.name}?wsid={workspace.path}&tid={workspace.tenant}"
        outputs = {**(job.properties.get("outputs") or {})}
        store = "azureml://datastores/workspaceartifactstore"
        outputs["default"] = {
            "jobOutputType": "uri_folder",
            "mode": "ReadWriteMount",
            "uri": f"{store}/{job.artifacts}",
        }
        properties = {
            "tags": {},
            "properties": {},
            "displayName": job.name,
            "experimentName": "Default",
            **{key: value for key, value in job.properties.items() if value is not None},
            "isArchived": job.archived,
            "status": job.status,
            "services": {"Studio": {"jobServiceType": "Studio", "endpoint": studio}},
            "outputs": outputs,
        }
        return {
            "id": f"{workspace.path}/jobs/{job.name}",
            "name": job.name,
            "type": "Microsoft.MachineLearningServices/workspaces/jobs",
            "properties": properties,
            "systemData": {"createdAt": job.created, "createdBy": "etude", "createdByType": "Application"},
        }

    def _metadata(self, job: Job) -> dict[str, Any]:
        outputs = {}
        if job.started:  # before that the outputs do not exist
            for name in job.properties.get("outputs") or {}:
                asset = f"azureml://locations/{self._state.workspace.region}/workspaces/{self._state.workspace.guid}"
                asked = str((job.properties["outputs"][name] or {}).get("jobOutputType") or "uri_folder")
                identifier = f"{asset}/data/{job.name}_output_data_{name}:1"
                outputs[name] = {"assetId": identifier, "type": MODEL_OUTPUTS.get(asked, asked)}
        return {
            "runId": job.name,
            "status": job.status,
            "displayName": job.properties.get("displayName") or job.name,
            "createdUtc": job.created,
            "startTimeUtc": job.started,
            "endTimeUtc": job.ended,
            "tags": job.properties.get("tags") or {},
            "properties": job.properties.get("properties") or {},
            "outputs": outputs,
        }

    def _details(self, job: Job) -> dict[str, Any]:
        container = self._state.datastores["workspaceartifactstore"].container
        base = f"https://{self._state.workspace.blob_host}/{container}/{job.artifacts}"
        logs = {}
        if job.log_files:
            signature = self._blobs.container_sas(container)
            logs = {name: f"{base}/{name}?{signature}" for name in job.log_files}
        return {
            "runId": job.name,
            "target": job.compute,
            "status": job.status,
            "startTimeUtc": job.started,
            "endTimeUtc": job.ended,
            "error": {"error": job.error} if job.error else None,
            "warnings": None,
            "properties": job.properties.get("properties") or {},
            "logFiles": logs,
        }
