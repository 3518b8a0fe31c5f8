"""The models of an Azure ML workspace. The only file of this room that imports Azure's libraries.

The service keeps no files of its own beside a model: tags are for people, properties carry the lineage. Its client
uploads a folder under the hash of its content before it creates the version, so an interrupted call leaves no version.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from etude.errors import EtudeError, RegistryError
from etude.extras import require
from etude.registry.base import Facts, ModelVersion, latest_first
from etude.registry.lineage import Lineage
from etude.secrets.redaction import redact

__all__ = ["AzureMlRegistry"]

ATTEMPTS = 5
MODEL_TYPE = "custom_model"
_PLACE = re.compile(r"^azureml://(?:subscriptions/.*?/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)$")
# What the client says when two of them chose the same number for a version.
_TAKEN = re.compile(r"already exists|cannot change|AssetPath|conflict", re.IGNORECASE)


class AzureMlRegistry:
    """Models in an Azure ML workspace.

    Args:
        subscription, resource_group, workspace: where.
        credential: an object with `get_token`; by default the environment's, a managed identity, or the Azure CLI's.

    Raises:
        MissingExtraError: Azure's libraries are not installed.
    """

    kind = "azureml"
    longest_fact = 900  # of 1000 that the service takes

    def __init__(self, subscription: str, resource_group: str, workspace: str, credential: Any = None) -> None:
        require("azure.ai.ml", extra="azure")
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential

        # The client's notices ("class X is experimental", progress of uploads) would stand among our own lines.
        logging.getLogger("azure").setLevel(logging.ERROR)
        self.title = f"the Azure ML workspace {workspace}"
        self._credential = credential or DefaultAzureCredential(
            exclude_interactive_browser_credential=True,
            # A job's identity is named there; the library itself does not look.
            managed_identity_client_id=os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
            or os.environ.get("AZURE_CLIENT_ID"),
        )
        self._client = MLClient(
            self._credential, subscription, resource_group, workspace, show_progress=False, enable_telemetry=False
        )
        self._containers: dict[str, Any] = {}

    @classmethod
    def of_this_job(cls, environ: Mapping[str, str]) -> AzureMlRegistry | None:
        """The workspace that the process runs in as a job, with the job's identity; None outside of one."""
        place = [environ.get(f"AZUREML_ARM_{name}", "") for name in ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME")]
        return cls(*place) if all(place) else None

    def names(self) -> list[str]:
        """Every model, sorted."""
        with self._asking():
            return sorted({str(model.name) for model in self._client.models.list()})

    def versions(self, name: str) -> list[ModelVersion]:
        """The versions of a model, latest first; none for a name that is not there."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._asking():
            try:
                return latest_first(_version(model) for model in self._client.models.list(name=name))
            except ResourceNotFoundError as error:
                if _names_a_place(error):
                    raise
                return []

    def publish(self, name: str, folder: Path, lineage: Lineage, facts: Facts, source: str | None) -> ModelVersion:
        """See `Registry.publish`."""
        from azure.ai.ml.entities import Model
        from azure.core.exceptions import AzureError

        with self._asking():
            for attempt in range(ATTEMPTS):
                model = Model(
                    name=name,
                    path=source or str(folder),
                    type=MODEL_TYPE,
                    tags=facts.tags,
                    properties=facts.properties,
                    description=_description(lineage),
                )
                try:
                    return _version(self._client.models.create_or_update(model))
                except AzureError as error:
                    if attempt == ATTEMPTS - 1 or not _TAKEN.search(str(error)):
                        raise
                    # Somebody else made the version of that number meanwhile; the files are uploaded already.
        raise AssertionError

    def files(self, version: ModelVersion) -> dict[str, int]:
        """The version's files and their sizes, bytes."""
        with self._asking():
            container, prefix = self._place(version)
            found = {blob.name: int(blob.size) for blob in container.list_blobs(name_starts_with=prefix)}
        inside = {name[len(prefix) + 1 :]: size for name, size in found.items() if name.startswith(f"{prefix}/")}
        # A model may also be one file.
        return inside or {Path(name).name: size for name, size in found.items() if name == prefix}

    def read(self, version: ModelVersion, file: str, target: Path) -> None:
        """Copy one file to `target`, continuing where an interrupted call stopped."""
        with self._asking():
            container, prefix = self._place(version)
            single = Path(prefix).name == file
            blob = container.get_blob_client(prefix if single else f"{prefix}/{file}")
            size = int(blob.get_blob_properties().size)
            begun = target.stat().st_size if target.is_file() else 0
            if begun >= size:  # as long as it must be, and still not right: then all of it again
                begun = 0
            with open(target, "ab" if begun else "wb") as opened:
                if size:
                    blob.download_blob(offset=begun, length=size - begun).readinto(opened)

    # where files are

    def _place(self, version: ModelVersion) -> tuple[Any, str]:
        """The container that holds a version's files, and the path in it."""
        match = _PLACE.match(version.source)
        if match is None:
            raise RegistryError(
                f"the files of {version.reference} lie at {version.source}, which is no datastore of the workspace",
                hint="download them with that service's own tool",
            )
        return self._container(match["datastore"]), match["path"].rstrip("/")

    def _container(self, datastore: str) -> Any:
        if datastore not in self._containers:
            from azure.storage.blob import ContainerClient

            store: Any = self._client.datastores.get(datastore, include_secrets=True)
            secrets = store.credentials
            key = getattr(secrets, "account_key", None) or getattr(secrets, "sas_token", None) or self._credential
            self._containers[datastore] = ContainerClient(
                f"{store.protocol or 'https'}://{store.account_name}.blob.{store.endpoint or 'core.windows.net'}",
                getattr(store, "container_name", None) or store.filesystem,
                credential=key,
            )
        return self._containers[datastore]

    # talking

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """What the client raises becomes one sentence; what it prints goes nowhere.

        Raises:
            RegistryError: the workspace cannot be reached, or refuses.
        """
        from azure.core.exceptions import AzureError

        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                yield
        except EtudeError:
            raise
        except AzureError as error:
            raise _told(error, self.title) from error


def _version(model: Any) -> ModelVersion:
    created = getattr(model.creation_context, "created_at", None)
    return ModelVersion(
        kind="azureml",
        name=str(model.name),
        version=str(model.version),
        created_at=created.astimezone(UTC).isoformat(timespec="seconds") if created else "",
        source=str(model.path),
        facts={str(key): str(value) for key, value in {**(model.tags or {}), **(model.properties or {})}.items()},
    )


def _description(lineage: Lineage) -> str:
    parts = [
        lineage.policy.get("type"),
        f"on {lineage.dataset['repo_id']}" if lineage.dataset.get("repo_id") else None,
        f"step {lineage.checkpoint['step']}" if "step" in lineage.checkpoint else None,
    ]
    return ", ".join(str(part) for part in parts if part)


def _names_a_place(error: Exception) -> bool:
    """Whether what was not found is the workspace, or what holds it, and not the model."""
    text = str(error)
    return any(
        sign in text for sign in ("ResourceGroupNotFound", "SubscriptionNotFound", "MachineLearningServices/workspaces")
    )


def _told(error: Exception, title: str) -> RegistryError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError

    first = redact((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if isinstance(error, ClientAuthenticationError) or status == 401:
        return RegistryError(f"{title} wants a login", hint="az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID …")
    if status == 403:
        return RegistryError(
            f"{title} does not permit this: {first}", hint="the role `AzureML Data Scientist` on the workspace does"
        )
    if isinstance(error, ServiceRequestError):
        return RegistryError(f"{title} does not answer: {first}", hint="check the network, and HTTPS_PROXY")
    return RegistryError(f"{title} refuses: {first}")
