"""Resource Manager and the workspace's own API: which path is answered by whom."""

from __future__ import annotations

from typing import Any

from tests.emulators.azureml.assets import KINDS, Assets
from tests.emulators.azureml.identity import Identities
from tests.emulators.azureml.jobs import Jobs
from tests.emulators.azureml.paging import page
from tests.emulators.azureml.state import Compute, Datastore, State
from tests.emulators.azureml.wire import Request, Response, ServiceError, answer

__all__ = ["Service"]

AUDIENCES = ("https://management.azure.com", "https://ml.azure.com", "https://management.core.windows.net")
PREFIXES = ("history/v1.0", "data/v1.0", "modelregistry/v1.0")


class Service:
    """Answers at management.azure.com and at the workspace's API host."""

    def __init__(
        self,
        state: State,
        identities: Identities,
        assets: Assets,
        jobs: Jobs,
        account_key: str,
        tracking: str,
    ) -> None:
        self._state, self._identities = state, identities
        self._assets, self._jobs = assets, jobs
        self._account_key, self._tracking = account_key, tracking

    def manage(self, request: Request) -> Response:
        """management.azure.com."""
        self._identities.check(request, AUDIENCES, "workspace")
        words = self._inside(request.path)
        if words is None:
            return page(request, [self._workspace()])
        if not words:
            return answer(self._workspace())
        kind, rest = words[0].lower(), words[1:]
        if kind in KINDS:
            return self._assets.answer(request, kind, rest)
        if kind == "jobs":
            return self._jobs.answer(request, rest)
        if kind == "mfeoperationresults":
            return self._jobs.operation(rest[0])
        if kind == "computes":
            return self._computes(request, rest)
        if kind == "datastores":
            return self._datastores(request, rest)
        if kind == "listkeys" and request.method == "POST":
            return answer({"userStorageKey": self._account_key})
        raise ServiceError(404, "NotEmulated", f"{request.method} {request.path} is not emulated.")

    def serve(self, request: Request) -> Response:
        """The workspace's API host: discovery, run history, data."""
        workspace = self._state.workspace
        if request.path.rstrip("/").endswith("/discovery"):
            base = f"https://{workspace.api_host}"
            return answer({"api": base, "history": base, "studio": "https://ml.azure.com", "modelmanagement": base})
        self._identities.check(request, AUDIENCES, "workspace")
        path = request.path.lstrip("/")
        prefix = next((prefix for prefix in PREFIXES if path.startswith(prefix)), None)
        words = self._inside(path.removeprefix(prefix)) if prefix else None
        if not words:
            raise ServiceError(404, "NotEmulated", f"{request.method} {request.path} is not emulated.")
        if prefix == "history/v1.0":
            return self._jobs.history(request, words)
        if words[-1].lower() == "batchgetresolveduris":
            return answer({"values": self._jobs.resolve(list(request.json().get("values") or []))})
        raise ServiceError(404, "NotEmulated", f"{request.method} {request.path} is not emulated.")

    def _inside(self, path: str) -> list[str] | None:
        """The path's parts below our workspace; None for the list of workspaces.

        Raises:
            ServiceError: 404 naming the first part that is not there.
        """
        workspace = self._state.workspace
        words = [word for word in path.split("/") if word]
        named = dict(zip((word.lower() for word in words[0:8:2]), words[1:8:2], strict=False))
        if named.get("subscriptions", "").lower() != workspace.subscription.lower():
            message = f"The subscription '{named.get('subscriptions')}' could not be found."
            raise ServiceError(404, "SubscriptionNotFound", message)
        if "resourcegroups" not in named and words[-1].lower() == "workspaces":
            return None
        if named.get("resourcegroups", "").lower() != workspace.group.lower():
            message = f"Resource group '{named.get('resourcegroups')}' could not be found."
            raise ServiceError(404, "ResourceGroupNotFound", message)
        if words[-1].lower() == "workspaces" and len(words) == 7:
            return None
        if named.get("workspaces", "").lower() != workspace.name.lower():
            message = (
                f"The Resource 'Microsoft.MachineLearningServices/workspaces/{named.get('workspaces')}' under resource "
                f"group '{workspace.group}' was not found."
            )
            raise ServiceError(404, "ResourceNotFound", message)
        return words[8:]

    def _workspace(self) -> dict[str, Any]:
        workspace = self._state.workspace
        group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}/providers"
        properties = {
            "friendlyName": workspace.name,
            "description": "",
            "workspaceId": workspace.guid,
            "discoveryUrl": f"https://{workspace.api_host}/discovery",
            "mlFlowTrackingUri": self._tracking or f"azureml://{workspace.api_host}/mlflow/v1.0{workspace.path}",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/{workspace.account}",
            "keyVault": f"{group}/Microsoft.KeyVault/vaults/{workspace.vault}",
            "applicationInsights": f"{group}/Microsoft.Insights/components/{workspace.name}",
            "containerRegistry": None,
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
        }
        return {
            "id": workspace.path,
            "name": workspace.name,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": workspace.region,
            "kind": "Default",
            "tags": {},
            "identity": {"type": "SystemAssigned", "tenantId": workspace.tenant, "principalId": workspace.guid},
            "properties": properties,
        }

    def _computes(self, request: Request, rest: list[str]) -> Response:
        with self._state.changed:
            computes = dict(self._state.computes)
        if not rest:
            return page(request, [self._compute(compute) for compute in computes.values()])
        found = next((item for name, item in computes.items() if name.lower() == rest[0].lower()), None)
        if found is None:
            message = f"The Resource 'computes/{rest[0]}' in workspace '{self._state.workspace.name}' was not found."
            raise ServiceError(404, "ResourceNotFound", message)
        return answer(self._compute(found))

    def _compute(self, compute: Compute) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "computeType": compute.kind,
            "provisioningState": "Succeeded",
            "computeLocation": self._state.workspace.region,
            "disableLocalAuth": True,
        }
        if compute.kind == "Kubernetes":
            types = compute.instance_types
            default = next(iter(types), None)
            properties["resourceId"] = f"/subscriptions/{self._state.workspace.subscription}/clusters/{compute.name}"
            properties["properties"] = {
                "namespace": "azureml",
                "defaultInstanceType": default,
                "instanceTypes": {name: {"nodeSelector": None, **fields} for name, fields in types.items()},
            }
        else:
            scale = {
                "minNodeCount": 0,
                "maxNodeCount": compute.nodes,
                "nodeIdleTimeBeforeScaleDown": "PT120S",
            }
            properties["properties"] = {
                "vmSize": compute.size,
                "vmPriority": "LowPriority" if compute.low_priority else "Dedicated",
                "scaleSettings": scale,
                "allocationState": "Steady",
                "currentNodeCount": 0,
                "targetNodeCount": 0,
            }
        path = f"{self._state.workspace.path}/computes/{compute.name}"
        resource = {"id": path, "name": compute.name, "location": self._state.workspace.region, "tags": {}}
        kind = "Microsoft.MachineLearningServices/workspaces/computes"
        return {**resource, "type": kind, "properties": properties}

    def _datastores(self, request: Request, rest: list[str]) -> Response:
        stores = self._state.datastores
        if not rest:
            chosen = [store for store in stores.values() if store.default or request.query.get("isdefault") != "true"]
            return page(request, [self._datastore(store) for store in chosen])
        if rest[0] not in stores:
            raise ServiceError(404, "NotFound", f"Datastore {rest[0]} was not found.")
        if len(rest) == 2 and rest[1].lower() == "listsecrets":
            return answer({"secretsType": "AccountKey", "key": self._account_key})
        return answer(self._datastore(stores[rest[0]]))

    def _datastore(self, store: Datastore) -> dict[str, Any]:
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": self._state.workspace.account,
            "containerName": store.container,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentials": {"credentialsType": "AccountKey"},
            "isDefault": store.default,
            "tags": {},
            "properties": {},
        }
        path = f"{self._state.workspace.path}/datastores/{store.name}"
        kind = "Microsoft.MachineLearningServices/workspaces/datastores"
        return {"id": path, "name": store.name, "type": kind, "properties": properties}
