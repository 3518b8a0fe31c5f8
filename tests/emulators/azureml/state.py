"""What the workspace knows: assets, computes, jobs. Plain data behind one lock."""

from __future__ import annotations

import datetime
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FINISHED", "Asset", "Compute", "Datastore", "Job", "State", "Workspace", "now"]

FINISHED = frozenset({"Completed", "Failed", "Canceled"})


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Workspace:
    """Where the workspace is. Every host name follows from it."""

    subscription: str = "00000000-1111-2222-3333-444444444444"
    group: str = "robots"
    name: str = "etude-tests"
    region: str = "westeurope"
    account: str = "etudeteststore"
    vault: str = "etude-tests-vault"
    tenant: str = "99999999-8888-7777-6666-555555555555"
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def path(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    @property
    def api_host(self) -> str:
        return f"{self.region}.api.azureml.ms"

    @property
    def blob_host(self) -> str:
        return f"{self.account}.blob.core.windows.net"

    def long_uri(self, datastore: str, path: str) -> str:
        return (
            f"azureml://subscriptions/{self.subscription}/resourcegroups/{self.group}/workspaces/{self.name}"
            f"/datastores/{datastore}/paths/{path}"
        )


@dataclass(frozen=True)
class Datastore:
    name: str
    container: str
    default: bool = False


@dataclass
class Asset:
    """One version of an environment, a data set, a model or a code folder."""

    kind: str
    name: str
    version: str
    properties: dict[str, Any]
    order: int
    created: str = field(default_factory=now)


@dataclass(frozen=True)
class Compute:
    """A place where jobs run.

    `nodes` is how many jobs run at once (a job on several nodes takes several); with 0 they stay queued.
    """

    name: str
    kind: str = "AmlCompute"
    nodes: int = 4
    size: str = "Standard_NC24ads_A100_v4"
    low_priority: bool = False
    instance_types: dict[str, dict[str, Any]] = field(default_factory=dict)
    identity: bool = True


@dataclass
class Job:
    """A submitted job: what the client asked for, and how far it is. `attempt` counts from 0."""

    name: str
    properties: dict[str, Any]
    order: int
    status: str = "NotStarted"
    attempt: int = 0
    error: dict[str, str] | None = None
    exit_code: int | None = None
    created: str = field(default_factory=now)
    started: str | None = None
    ended: str | None = None
    history: list[str] = field(default_factory=list)
    archived: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)
    preempt: threading.Event = field(default_factory=threading.Event)
    preempt_grace_s: float = 0.0
    log_files: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def nodes(self) -> int:
        return int((self.properties.get("resources") or {}).get("instanceCount") or 1)

    @property
    def compute(self) -> str:
        return str(self.properties.get("computeId") or "").rsplit("/", 1)[-1]

    @property
    def artifacts(self) -> str:
        """The folder of its logs and artifacts in the artifact store."""
        return f"ExperimentRun/dcid.{self.name}"


class State:
    """Everything that was registered, behind `changed`, a lock that also tells who waits that something is new."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.changed = threading.Condition(threading.RLock())
        self.assets: dict[tuple[str, str], dict[str, Asset]] = {}
        self.computes: dict[str, Compute] = {}
        self.jobs: dict[str, Job] = {}
        self.datastores = {
            "workspaceblobstore": Datastore("workspaceblobstore", f"azureml-blobstore-{workspace.guid}", default=True),
            "workspaceartifactstore": Datastore("workspaceartifactstore", "azureml"),
        }
        self._order = 0

    def next_order(self) -> int:
        with self.changed:
            self._order += 1
            return self._order

    def versions(self, kind: str, name: str) -> list[Asset]:
        """Newest first."""
        with self.changed:
            found = self.assets.get((kind, name), {}).values()
            return sorted(found, key=lambda asset: -asset.order)

    def asset(self, kind: str, name: str, version: str) -> Asset | None:
        with self.changed:
            return self.assets.get((kind, name), {}).get(version)

    def all_assets(self, kind: str) -> list[Asset]:
        """Every version of every name, newest first."""
        with self.changed:
            found = [asset for (of, _), versions in self.assets.items() if of == kind for asset in versions.values()]
            return sorted(found, key=lambda asset: -asset.order)

    def add_asset(self, kind: str, name: str, version: str, properties: dict[str, Any]) -> Asset:
        with self.changed:
            asset = Asset(kind, name, version, properties, self.next_order())
            self.assets.setdefault((kind, name), {})[version] = asset
            self.changed.notify_all()
            return asset

    def set_status(self, job: Job, status: str) -> None:
        with self.changed:
            if job.finished or (job.cancel.is_set() and status not in FINISHED | {"CancelRequested"}):
                return
            job.status = status
            job.history.append(status)
            if status == "Running" and job.started is None:
                job.started = now()
            if status in FINISHED:
                job.ended = now()
            self.changed.notify_all()
