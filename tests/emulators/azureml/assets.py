"""The workspace's assets over REST: environments, data, models and code folders, each with versions."""

from __future__ import annotations

import uuid
from typing import Any

from tests.emulators.azureml.blobs import Blobs
from tests.emulators.azureml.locations import locate
from tests.emulators.azureml.paging import page
from tests.emulators.azureml.state import Asset, State
from tests.emulators.azureml.wire import Request, Response, ServiceError, answer

__all__ = ["KINDS", "Assets"]

KINDS = ("environments", "data", "models", "codes")
# What says what an asset is: a version that exists keeps these.
FIXED = {
    "environments": ("image", "build", "condaFile"),
    "data": ("dataUri", "dataType"),
    "models": ("modelUri", "modelType"),
    "codes": ("codeUri",),
}


class Assets:
    """Answers below `{workspace}/{kind}`."""

    def __init__(self, state: State, blobs: Blobs) -> None:
        self._state, self._blobs = state, blobs

    def answer(self, request: Request, kind: str, words: list[str]) -> Response:
        """`words` are the path's parts after the kind: `[name, "versions", version]` or fewer."""
        if not words:
            names = dict.fromkeys(asset.name for asset in self._state.all_assets(kind))
            return page(request, [self._container(kind, name) for name in names])
        name = words[0]
        if len(words) == 1:
            if not self._state.versions(kind, name):
                raise self._missing(kind, name)
            return answer(self._container(kind, name))
        if len(words) == 2:
            return self._list(request, kind, name)
        version = words[2]
        if len(words) == 4 and words[3].lower() == "startpendingupload":
            return self._pending_upload(kind, name, version)
        if request.method == "PUT":
            return self._put(kind, name, version, dict(request.json().get("properties") or {}))
        asset = self._state.asset(kind, name, version)
        if asset is None:
            raise self._missing(kind, f"{name}:{version}")
        return answer(self._version(asset))

    def _list(self, request: Request, kind: str, name: str) -> Response:
        versions = self._state.versions(kind, name)
        if kind == "codes" and "hash" in request.query:  # the same content may have been uploaded under any name
            wanted = request.query["hash"]
            versions = [
                asset
                for asset in self._state.all_assets(kind)
                if wanted in (asset.properties.get("properties") or {}).values()
            ]
        elif not versions and "orderby" not in request.query:
            raise self._missing(kind, name)
        if request.query.get("orderby", "").endswith("asc"):
            versions = versions[::-1]
        return page(request, [self._version(asset) for asset in versions])

    def _put(self, kind: str, name: str, version: str, properties: dict[str, Any]) -> Response:
        if kind == "models":
            container, path = locate(self._state, str(properties.get("modelUri")))
            if not self._blobs.exists(container, path.rstrip("/")):
                message = f"The model's path {properties.get('modelUri')} holds no file."
                raise ServiceError(400, "UserError", message)
            properties["modelUri"] = self._long(container, path)
            properties.setdefault("flavors", {})
        if kind == "data" and not properties.get("dataUri"):
            raise ServiceError(400, "ValidationError", "A data version needs a dataUri.")
        if kind == "environments" and not (properties.get("image") or properties.get("build")):
            raise ServiceError(400, "ValidationError", "An environment needs an image or a build context.")
        if kind == "environments" and properties.get("build"):
            build = dict(properties["build"])
            properties["build"] = {**build, "dockerfilePath": build.get("dockerfilePath") or "Dockerfile"}
        with self._state.changed:
            there = self._state.asset(kind, name, version)
            if there is None:
                return answer(self._version(self._state.add_asset(kind, name, version, properties)), 201)
            changed = [key for key in FIXED[kind] if there.properties.get(key) != properties.get(key)]
            if changed:
                message = f"{kind} version {name}:{version} exists already; its {', '.join(changed)} cannot change."
                raise ServiceError(409, "Conflict", message)
            there.properties.update(properties)
            return answer(self._version(there))

    def _pending_upload(self, kind: str, name: str, version: str) -> Response:
        """A container of its own, since clients name the folder in it by the local folder only; and a signature."""
        if self._state.asset(kind, name, version):
            raise ServiceError(409, "Conflict", f"{kind} version {name}:{version} exists already.")
        upload_id = str(uuid.uuid4())
        self._blobs.create(upload_id)
        uri = f"https://{self._state.workspace.blob_host}/{upload_id}"
        credential = {"credentialType": "SAS", "sasUri": f"{uri}?{self._blobs.container_sas(upload_id)}"}
        reference = {
            "blobUri": uri,
            "storageAccountArmId": f"{self._state.workspace.path}/storage",
            "credential": credential,
        }
        return answer(
            {"pendingUploadId": upload_id, "pendingUploadType": "None", "blobReferenceForConsumption": reference}
        )

    def _long(self, container: str, path: str) -> str:
        datastore = next(item for item in self._state.datastores.values() if item.container == container)
        return self._state.workspace.long_uri(datastore.name, path)

    def _container(self, kind: str, name: str) -> dict[str, Any]:
        newest = self._state.versions(kind, name)[0]
        numbers = [int(asset.version) for asset in self._state.versions(kind, name) if asset.version.isdigit()]
        following = str(max(numbers, default=0) + 1)
        properties = {"latestVersion": newest.version, "nextVersion": following, "isArchived": False, "tags": {}}
        if kind == "data":
            properties["dataType"] = newest.properties.get("dataType", "uri_folder")
        return self._resource(kind, name, f"{self._state.workspace.path}/{kind}/{name}", properties, newest.created)

    def _version(self, asset: Asset) -> dict[str, Any]:
        path = f"{self._state.workspace.path}/{asset.kind}/{asset.name}/versions/{asset.version}"
        properties = {"isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}, **asset.properties}
        return self._resource(f"{asset.kind}/versions", asset.version, path, properties, asset.created)

    def _resource(self, kind: str, name: str, path: str, properties: dict[str, Any], created: str) -> dict[str, Any]:
        return {
            "id": path,
            "name": name,
            "type": f"Microsoft.MachineLearningServices/workspaces/{kind}",
            "properties": properties,
            "systemData": {"createdAt": created, "lastModifiedAt": created, "createdByType": "Application"},
        }

    def _missing(self, kind: str, name: str) -> ServiceError:
        return ServiceError(404, "NotFound", f"Not found: {kind} {name} in workspace {self._state.workspace.name}.")
