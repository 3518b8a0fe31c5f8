"""Where an address of Azure ML lies in Blob Storage: data sets, models, outputs of jobs, paths on a datastore."""

from __future__ import annotations

import re

from tests.emulators.azureml.state import Job, State
from tests.emulators.azureml.wire import ServiceError

__all__ = ["locate", "output_path", "parse_asset_id"]

ASSET = re.compile(r"/(data|models|environments|codes)/([^/]+)/versions/([^/]+)$", re.IGNORECASE)
SHORT_ASSET = re.compile(r"azureml:(?!//)([^:]+):([^:]+)$")
DATASTORE = re.compile(r"azureml:/.*?/?datastores/([^/]+)/(?:paths/)?(.*)$")
JOB_OUTPUT = re.compile(r"azureml:/.*?/?jobs/([^/]+)/outputs/([^/]+)(?:/(?:paths/)?(.*))?$")
ARTIFACTS = re.compile(r"runs:/([^/]+)/(.+)$")
BLOB = re.compile(r"https://[^/]+\.blob\.core\.windows\.net(?::443)?/([^/]+)/(.*)$")


def locate(state: State, address: str) -> tuple[str, str]:
    """The container and the path of `address`.

    Raises:
        ServiceError: it names something that is not there, or is written in no known way.
    """
    if found := ASSET.search(address):
        return _asset(state, found[1].lower(), found[2], found[3])
    if found := BLOB.match(address):
        return found[1], found[2].split("?")[0]
    if found := JOB_OUTPUT.match(address):
        job = state.jobs.get(found[1])
        if job is None:
            raise ServiceError(404, "NotFound", f"Run {found[1]} was not found.")
        datastore, path = output_path(job, found[2])
        return _container(state, datastore), f"{path.rstrip('/')}/{found[3] or ''}".rstrip("/")
    if found := ARTIFACTS.match(address):
        return _container(state, "workspaceartifactstore"), f"ExperimentRun/dcid.{found[1]}/{found[2]}"
    if found := DATASTORE.match(address):
        return _container(state, found[1]), found[2]
    if found := SHORT_ASSET.match(address):
        return _asset(state, "data", found[1], found[2])
    raise ServiceError(400, "UserError", f"The address '{address}' cannot be read.")


def parse_asset_id(address: str) -> tuple[str, str, str] | None:
    """Kind, name and version of an asset's ARM id."""
    found = ASSET.search(address)
    return (found[1].lower(), found[2], found[3]) if found else None


def output_path(job: Job, output: str) -> tuple[str, str]:
    """Datastore and folder of a job's named output (`default`: its artifacts)."""
    if output == "default":
        return "workspaceartifactstore", job.artifacts
    outputs = job.properties.get("outputs") or {}
    if output not in outputs:
        message = f"Output '{output}' was not found in run {job.name}. It has: {', '.join(outputs) or 'none'}."
        raise ServiceError(400, "UserError", message)
    asked = str((outputs[output] or {}).get("uri") or "")
    if found := DATASTORE.match(asked):
        return found[1], found[2].replace("${{name}}", job.name).replace("${{output_name}}", output).strip("/")
    return "workspaceblobstore", f"azureml/{job.name}/{output}"


def _asset(state: State, kind: str, name: str, version: str) -> tuple[str, str]:
    asset = state.asset(kind, name, version)
    if asset is None:
        raise ServiceError(404, "NotFound", f"{kind} version {name}:{version} was not found.")
    field = {"data": "dataUri", "models": "modelUri", "codes": "codeUri"}[kind]
    return locate(state, str(asset.properties[field]))


def _container(state: State, datastore: str) -> str:
    if datastore not in state.datastores:
        raise ServiceError(404, "NotFound", f"Datastore {datastore} was not found.")
    return state.datastores[datastore].container
