"""The one file of this room that knows Azure's libraries: requests to the workspace, blobs, and sending jobs.

Small questions go over REST (0.3 s to load); `azure.ai.ml` (4 s to load) sends jobs and registers environments.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from etude.extras import require
from etude.platforms.azureml.blobs import Blob, Datastore
from etude.platforms.azureml.refusals import ServiceError, no_answer, no_login, refused

__all__ = ["Blobs", "Client"]

API_VERSION = "2024-10-01"
# Where each cloud is managed, and whom tokens for the workspace's own services are for.
CLOUDS = {
    "AzureCloud": ("https://management.azure.com", "https://ml.azure.com"),
    "AzureUSGovernment": ("https://management.usgovcloudapi.net", "https://ml.azure.us"),
    "AzureChinaCloud": ("https://management.chinacloudapi.cn", "https://ml.azure.cn"),
}
ATTEMPTS = 6
LONGEST_PAUSE_S = 60.0
REPEATED = (408, 429, 500, 502, 503, 504)
# Seconds; the libraries would wait five minutes for an answer that never comes.
TIMEOUTS: dict[str, Any] = {"connection_timeout": 15, "read_timeout": 60}
# Of `azure.ai.ml`: its own ten attempts would take eight minutes.
RETRIES: dict[str, Any] = {"retry_total": 5, "retry_backoff_factor": 0.5, "retry_backoff_max": 30}
# A job's own variables: there the compute's managed identity is the login.
IN_JOB = ("AZUREML_RUN_ID", "DEFAULT_IDENTITY_CLIENT_ID")


class Client:
    """One workspace. Every method raises `ServiceError`; what may be repeated is repeated, with pauses.

    Args:
        subscription, resource_group, workspace: where it is.
    """

    def __init__(self, subscription: str, resource_group: str, workspace: str) -> None:
        self.workspace = workspace
        self._where = (subscription, resource_group, workspace)
        self.path = (
            f"/subscriptions/{quote(subscription)}/resourceGroups/{quote(resource_group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(workspace)}"
        )
        self._pipelines: dict[str, Any] = {}
        cloud = os.environ.get("AZUREML_CURRENT_CLOUD", "AzureCloud")
        self._base, self._audience = CLOUDS.get(cloud, CLOUDS["AzureCloud"])

    def get(self, path: str, action: str, **query: str) -> dict[str, Any]:
        """An object below the workspace; `path` is empty for the workspace itself."""
        return self._ask("GET", self._url(path), action, query)

    def post(self, path: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An action below the workspace, one that may be repeated."""
        return self._ask("POST", self._url(path), action, {}, body)

    def pages(self, path: str, action: str, **query: str) -> Iterator[dict[str, Any]]:
        """All objects of a list, page by page."""
        answer = self._ask("GET", self._url(path), action, query)
        while True:
            yield from answer.get("value", [])
            following = answer.get("nextLink")
            if not following:
                return
            answer = self._ask("GET", following, action, None)

    def service(self, method: str, area: str, path: str, action: str, body: Any = None) -> dict[str, Any]:
        """A question to the workspace's own services (`history`, `data`), by a path below the workspace."""
        return self._ask(method, f"{self._services}/{area}/v1.0{self.path}{path}", action, None, body)

    def blobs(self, datastore: Datastore) -> Blobs:
        """The container of a datastore: by its key where this login may have it, else by the login itself."""
        key = None
        if datastore.has_key:
            with contextlib.suppress(ServiceError):
                told = self.post(f"/datastores/{quote(datastore.name)}/listSecrets", "read the key of a datastore", {})
                key = told.get("key") or told.get("sasToken")
        return Blobs(datastore, key or self._credential)

    def signed(self, address: str, offset: int) -> Iterator[bytes]:
        """A blob by an address that carries its permission, from byte `offset` on."""
        storage = require("azure.storage.blob", "azure")
        _quiet()
        blob = storage.BlobClient.from_blob_url(address, retry_total=ATTEMPTS, **TIMEOUTS)
        with _attempting(f"read {blob.blob_name}", f"container {blob.container_name}", blob.primary_hostname):
            yield from _chunks(blob.download_blob, offset)

    def send_job(self, text: str, action: str) -> None:
        """Send a job by its YAML: its code is uploaded first, unless the same was before."""
        with tempfile.TemporaryDirectory(prefix="etude-job-") as folder, self._sending(action):
            file = Path(folder) / "job.yaml"
            file.write_text(text, encoding="utf-8")
            _quiet()
            job = require("azure.ai.ml", "azure").load_job(file)
            self._ml.jobs.create_or_update(job)

    def create_environment(self, name: str, version: str | None, image: str | None, build: Path | None) -> str:
        """Register an environment; returns its version."""
        entities = require("azure.ai.ml.entities", "azure")
        context = entities.BuildContext(path=str(build)) if build else None
        with self._sending(f"register environment {name}"):
            given = entities.Environment(name=name, version=version, image=image, build=context)
            return str(self._ml.environments.create_or_update(given).version)

    def create_data(self, name: str, version: str, path: str, tags: Mapping[str, str], description: str) -> None:
        """Register a folder of a datastore as a version of a data asset."""
        entities = require("azure.ai.ml.entities", "azure")
        with self._sending(f"register data {name}:{version}"):
            asset = entities.Data(
                name=name, version=version, path=path, type="uri_folder", tags=dict(tags), description=description
            )
            self._ml.data.create_or_update(asset)

    def _url(self, path: str) -> str:
        return f"{self._base}{self.path}{path}"

    @functools.cached_property
    def _services(self) -> str:
        told = self.get("", "open the workspace")
        address = (told.get("properties") or {}).get("discoveryUrl", "")
        if not address:
            raise ServiceError(f"workspace {self.workspace} does not say where its services are", hint="etude doctor")
        return str(self._ask("GET", address, "find the workspace's services", None)["api"]).rstrip("/")

    @functools.cached_property
    def _credential(self) -> Any:
        return _login()

    def _pipeline(self, url: str) -> Any:
        """Sends a request with a token that is meant for the host of `url`."""
        audience = self._base if url.startswith(f"{self._base}/") else self._audience
        if audience not in self._pipelines:
            core = require("azure.core", "azure")
            policies = require("azure.core.pipeline.policies", "azure")
            login = policies.BearerTokenCredentialPolicy(self._credential, f"{audience}/.default")
            agent = policies.UserAgentPolicy("etude")
            self._pipelines[audience] = core.PipelineClient(audience, policies=[agent, login])
        return self._pipelines[audience]

    @functools.cached_property
    def _ml(self) -> Any:
        ml = require("azure.ai.ml", "azure")
        return ml.MLClient(
            self._credential, *self._where, show_progress=False, enable_telemetry=False, **RETRIES, **TIMEOUTS
        )

    def _ask(
        self, method: str, url: str, action: str, query: Mapping[str, str] | None, body: Any = None
    ) -> dict[str, Any]:
        """One question and its answer. With `query`, even an empty one, the API version goes along."""
        rest = require("azure.core.rest", "azure")
        errors = require("azure.core.exceptions", "azure")
        parameters = None if query is None else {"api-version": API_VERSION, **query}
        reason, last = "", None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(_pause(attempt, last.headers if last is not None else {}))
            request = rest.HttpRequest(method, url, params=parameters, json=body)
            try:
                last = self._pipeline(url).send_request(request, **TIMEOUTS)
                if last.status_code not in REPEATED:
                    return self._read(last, action)
            except errors.ClientAuthenticationError as error:
                raise no_login(str(error)) from None
            except (errors.AzureError, ValueError) as error:  # ValueError: an answer that is no JSON
                reason, last = f"{error!r} {getattr(error, 'inner_exception', None)!r}", None
        if last is not None:
            return self._read(last, action)
        raise no_answer(urlsplit(url).hostname or url, reason, ATTEMPTS)

    def _read(self, response: Any, action: str) -> dict[str, Any]:
        text = response.text() if response.status_code != 204 else ""
        if response.status_code < 400:
            body = json.loads(text) if text.strip() else {}
            return body if isinstance(body, dict) else {"value": body}
        code, message = _told(text)
        raise refused(response.status_code, code, message, action=action, place=f"workspace {self.workspace}")

    @contextlib.contextmanager
    def _sending(self, action: str) -> Iterator[None]:
        """What `azure.ai.ml` raises, in our words. It repeats by itself what may be repeated."""
        errors = require("azure.core.exceptions", "azure")
        try:
            yield
        except errors.HttpResponseError as error:
            if error.status_code is None:
                raise _without_status(error) from None
            code = getattr(error.error, "code", "") or ""
            message = getattr(error.error, "message", "") or error.message
            raise refused(
                error.status_code, str(code), str(message), action=action, place=f"workspace {self.workspace}"
            ) from None
        except errors.ServiceRequestError as error:
            raise no_answer("Azure", f"{error!r} {error.inner_exception!r}", ATTEMPTS) from None
        except errors.AzureError as error:  # the library's own validation among them
            raise _without_status(error) from None


class Blobs:
    """A container of a storage account."""

    def __init__(self, datastore: Datastore, credential: Any) -> None:
        storage = require("azure.storage.blob", "azure")
        _quiet()
        self._place = f"container {datastore.container} of {datastore.account}"
        self._container = storage.ContainerClient(
            datastore.url, datastore.container, credential=credential, retry_total=ATTEMPTS, **TIMEOUTS
        )

    def listing(self, prefix: str) -> Iterator[Blob]:
        """Blobs whose name begins with `prefix`; names of folders are left out."""
        with self._attempt("list files"):
            for item in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
                is_folder = (item.metadata or {}).get("hdi_isfolder") == "true"
                if not (is_folder or item.name.endswith("/")):
                    md5 = item.content_settings.content_md5
                    yield Blob(item.name, int(item.size), bytes(md5).hex() if md5 else "")

    def read(self, name: str, offset: int) -> Iterator[bytes]:
        """What a blob holds from byte `offset` on; nothing when it ends there.

        Raises:
            ServiceError: with status 404, there is no such blob.
        """
        with self._attempt(f"read {name}"):
            yield from _chunks(functools.partial(self._container.download_blob, name), offset)

    def upload(self, name: str, file: Path, md5: bytes) -> None:
        """Write a file; one that is there is replaced."""
        storage = require("azure.storage.blob", "azure")
        settings = storage.ContentSettings(content_md5=bytearray(md5))
        with self._attempt(f"write {name}"), open(file, "rb") as stream:
            self._container.upload_blob(name, stream, overwrite=True, content_settings=settings, max_concurrency=2)

    def _attempt(self, action: str) -> contextlib.AbstractContextManager[None]:
        return _attempting(action, self._place, self._container.primary_hostname)


@contextlib.contextmanager
def _attempting(action: str, place: str, host: str) -> Iterator[None]:
    """What the storage library raises, in our words. It repeats by itself what may be repeated."""
    errors = require("azure.core.exceptions", "azure")
    try:
        yield
    except errors.ClientAuthenticationError as error:
        if error.status_code is None:
            raise no_login(str(error)) from None
        raise refused(error.status_code, "", error.message, action=action, place=place) from None
    except errors.HttpResponseError as error:
        if error.status_code is None or error.status_code < 400:
            raise no_answer(host, repr(error), ATTEMPTS) from None
        code = str(getattr(error, "error_code", "") or "")
        raise refused(error.status_code, code, error.message, action=action, place=place) from None
    except errors.AzureError as error:
        inner = getattr(error, "inner_exception", None)
        raise no_answer(host, f"{error!r} {inner!r}", ATTEMPTS) from None


def _chunks(download: Callable[..., Any], offset: int) -> Iterator[bytes]:
    """A blob from byte `offset` on; nothing where it ends there."""
    errors = require("azure.core.exceptions", "azure")
    try:
        yield from download(offset=offset).chunks()
    except errors.HttpResponseError as error:
        if error.status_code != 416:  # the range begins behind the end
            raise


def _login() -> Any:
    """A login that never asks: a job's managed identity, a service principal, a workload, or what `az login` left."""
    identity = require("azure.identity", "azure")
    _quiet()
    chain = [identity.EnvironmentCredential()]
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE") and os.environ.get("AZURE_CLIENT_ID"):
        chain.append(identity.WorkloadIdentityCredential())
    if any(os.environ.get(name) for name in IN_JOB):
        client_id = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID") or None
        chain.insert(0, identity.ManagedIdentityCredential(client_id=client_id))
    chain += [identity.AzureCliCredential(process_timeout=30), identity.AzurePowerShellCredential(process_timeout=30)]
    return identity.ChainedTokenCredential(*chain)


def _quiet() -> None:
    """What these libraries warn of is in our errors, and their debug logs would hold tokens."""
    for name in ("azure", "azure.identity", "azure.ai.ml"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)


def _pause(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds until the next attempt: what the service asks for, else twice as long each time."""
    try:
        return min(float(headers.get("Retry-After", "")), LONGEST_PAUSE_S)
    except ValueError:
        return min(0.25 * 2.0**attempt, LONGEST_PAUSE_S)


def _told(text: str) -> tuple[str, str]:
    """Code and message of an error's body."""
    try:
        error = json.loads(text)["error"]
        return str(error.get("code", "")), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", text[:200]


def _without_status(error: Any) -> ServiceError:
    text = str(getattr(error, "message", "") or error)
    if "redential" in text and ("unavailable" in text or "AADSTS" in text or "failed to retrieve" in text):
        return no_login(text)
    return ServiceError(f"Azure ML's own library refuses the job: {text.strip()}", hint="etude submit ... --dry-run")
