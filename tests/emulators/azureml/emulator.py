"""Azure ML on this machine: every part started, joined and ended together."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from unittest import mock

from tests.emulators.azureml.assets import Assets
from tests.emulators.azureml.azure_cli import write_azure_cli
from tests.emulators.azureml.azurite import Azurite, install_azurite
from tests.emulators.azureml.blobs import Blobs
from tests.emulators.azureml.certificates import make_certificates
from tests.emulators.azureml.execution import Attempt, Node
from tests.emulators.azureml.faults import Faults
from tests.emulators.azureml.guard import VARIABLE, processes_with
from tests.emulators.azureml.identity import Identities, Principal
from tests.emulators.azureml.jobs import Jobs
from tests.emulators.azureml.locations import output_path
from tests.emulators.azureml.mlflow_runs import MLflowRuns
from tests.emulators.azureml.proxy import ConnectProxy
from tests.emulators.azureml.scheduler import Scheduler
from tests.emulators.azureml.server import CloudServer
from tests.emulators.azureml.service import Service
from tests.emulators.azureml.state import Asset, Compute, Job, State, Workspace
from tests.emulators.azureml.vault import Vault
from tests.emulators.azureml.wire import App, Records

__all__ = ["AzureMLEmulator"]

LOGIN_HOST = "login.microsoftonline.com"
MANAGEMENT_HOST = "management.azure.com"
LOOPBACK = "127.0.0.1,localhost"
Login = Literal["secret", "cli", "none"]


class AzureMLEmulator:
    """A workspace with its storage, vault and logins, for clients in processes that have `environment()`.

    Args:
        job_environment: variables that every executed job sees, `PATH` with a certain Python for one.
        mlflow_tracking_uri: a running MLflow server; jobs get a run on it. Without one they get none.
        grace_s: from SIGTERM to SIGKILL when a job is cancelled, times out or is preempted.
        terminate_whole_group: whether SIGTERM goes to all processes of a job or to its first one only.
        jobs_at_once: over all computes.
        keep_folders: leave the working folders of ended attempts below `folder` until the emulator closes.
        fresh_logs: a job that runs again starts its log anew, instead of going on with it.

    Attributes:
        workspace: names and addresses.
        client: the service principal of `environment()`; it may reach the workspace and the vault.
        node_identity: the managed identity of the computes; it may reach the vault, not the workspace.
        requests: a record of every request, with its body.
        faults: what goes wrong next.

    Raises:
        AzuriteMissingError: no node or npm on this machine.
    """

    def __init__(
        self,
        *,
        workspace: Workspace | None = None,
        job_environment: Mapping[str, str] | None = None,
        mlflow_tracking_uri: str = "",
        grace_s: float = 5.0,
        terminate_whole_group: bool = True,
        jobs_at_once: int = 4,
        keep_folders: bool = False,
        fresh_logs: bool = False,
    ) -> None:
        install_azurite()
        self.workspace = workspace or Workspace()
        self.job_environment = dict(job_environment or {})
        self.folder = Path(tempfile.mkdtemp(prefix="etude-azureml-"))
        self.node = Node(self.folder / "jobs", {}, grace_s, terminate_whole_group, keep_folders, fresh_logs)
        self._stack = contextlib.ExitStack()
        self._marker = secrets.token_hex(16)
        self._start_guard()
        try:
            self._start(mlflow_tracking_uri, jobs_at_once)
        except BaseException:
            self.close()
            raise

    def _start(self, mlflow_tracking_uri: str, jobs_at_once: int) -> None:
        place = self.workspace
        hosts = [MANAGEMENT_HOST, LOGIN_HOST, place.api_host, place.blob_host, f"{place.vault}.vault.azure.net"]
        self._certificates = make_certificates(self.folder / "certificates", hosts)
        self.requests = Records(self.folder / "bodies")
        self._stack.callback(self.requests.close)
        self.faults = Faults()
        self.state = State(place)
        self.identities = Identities(place.tenant)
        self.client: Principal = self.identities.add(("workspace", "secrets"))
        self.node_identity: Principal = self.identities.add(("secrets",))
        self.vault = Vault(place.vault, self.identities)
        self._account_key = base64.b64encode(secrets.token_bytes(64)).decode()
        marker = {VARIABLE: self._marker}
        azurite = Azurite(place.account, self._account_key, self._certificates, marker)
        self._stack.callback(azurite.close)
        containers = tuple(store.container for store in self.state.datastores.values())
        self.blobs = Blobs(azurite, self._certificates, containers)
        self.mlflow = MLflowRuns(mlflow_tracking_uri) if mlflow_tracking_uri else None
        self._scheduler = Scheduler(self.state, self._attempt, jobs_at_once)
        jobs = Jobs(self.state, self.blobs, self._scheduler.submit)
        assets = Assets(self.state, self.blobs)
        service = Service(self.state, self.identities, assets, jobs, self._account_key, mlflow_tracking_uri)
        self._start_servers(service)
        self._stack.callback(self._scheduler.close)

    def _start_servers(self, service: Service) -> None:
        apps: dict[str, App] = {
            MANAGEMENT_HOST: service.manage,
            self.workspace.api_host: service.serve,
            self.workspace.blob_host: self.blobs.forward,
            self.vault.host: self.vault.answer,
            LOGIN_HOST: self.identities.login,
        }
        cloud = CloudServer(self._certificates.server_context(), apps.get, self.faults, self.requests)
        self._stack.callback(cloud.close)
        node = CloudServer(None, lambda host: self.identities.node, self.faults, self.requests)
        self._stack.callback(node.close)
        self._identity_endpoint = f"http://127.0.0.1:{node.port}/msi/token"
        self._azure_cli = write_azure_cli(self.folder / "bin")
        self.proxy = ConnectProxy(lambda host: cloud.port if host in apps else None)
        self._stack.callback(self.proxy.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End jobs, servers and Azurite, and delete everything."""
        self._stack.close()

    # --- for the clients -----------------------------------------------------------------------------------------

    def environment(self, principal: Principal | None = None, *, login: Login = "secret") -> dict[str, str]:
        """The variables of a client's process, that of `self.client` if no other is given.

        `login`: with a client secret in the environment, with the Azure CLI (an `az` on `PATH`), or not at all.
        """
        principal = principal or self.client
        place = self.workspace
        words = (self._identity_endpoint, self.identities.node_secret, principal.client_id)
        return {
            **self._network(),
            "PATH": f"{self._azure_cli}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "ETUDE_AZ_LOGIN": " ".join((*words, place.tenant, place.subscription)) if login == "cli" else "",
            **(self._login(principal) if login == "secret" else {}),
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self._identity_endpoint.removesuffix("/msi/token"),
            "AZURE_SUBSCRIPTION_ID": self.workspace.subscription,
            "AZURE_RESOURCE_GROUP": self.workspace.group,
            "AZUREML_WORKSPACE_NAME": self.workspace.name,
            # The SDK's own floor is two seconds between two looks; it is read when the SDK is imported.
            "AZUREML_RUN_POLLING_INTERVAL_MIN": "1",
        }

    @contextlib.contextmanager
    def in_this_process(self, principal: Principal | None = None, *, login: Login = "secret") -> Iterator[Self]:
        """`environment()` for the clients of this process."""
        with mock.patch.dict(os.environ):
            for name in self._login(self.client):
                os.environ.pop(name, None)
            os.environ.update(self.environment(principal, login=login))
            yield self

    def add_service_principal(self, *access: str) -> Principal:
        """Someone who may reach `workspace`, `secrets`, both or nothing."""
        return self.identities.add(access)

    # --- what is in the workspace --------------------------------------------------------------------------------

    def add_compute(
        self,
        name: str,
        kind: str = "AmlCompute",
        *,
        nodes: int = 4,
        instance_types: Mapping[str, Mapping[str, Any]] | None = None,
        low_priority: bool = False,
        identity: bool = True,
    ) -> Compute:
        """A managed cluster, or with `kind="Kubernetes"` an attached one. `nodes=0` leaves jobs queued."""
        types = {key: dict(value) for key, value in (instance_types or {}).items()}
        compute = Compute(name, kind, nodes, "Standard_NC24ads_A100_v4", low_priority, types, identity)
        with self.state.changed:
            self.state.computes[name] = compute
        self._scheduler.start_what_fits()
        return compute

    def add_secret(self, name: str, value: str) -> None:
        self.vault.set(name, value)

    @property
    def computes(self) -> dict[str, Compute]:
        return dict(self.state.computes)

    @property
    def jobs(self) -> dict[str, Job]:
        return dict(self.state.jobs)

    @property
    def environments(self) -> list[Asset]:
        return self.state.all_assets("environments")

    @property
    def data_assets(self) -> list[Asset]:
        return self.state.all_assets("data")

    @property
    def models(self) -> list[Asset]:
        return self.state.all_assets("models")

    # --- what happens to jobs ------------------------------------------------------------------------------------

    def preempt(self, name: str, grace_s: float | None = None) -> None:
        """Take the job's node: SIGTERM, after `grace_s` SIGKILL, and the job is queued again. Returns after that."""
        job = self.jobs[name]
        with self.state.changed:
            attempt = job.attempt
            job.preempt_grace_s = self.node.grace_s if grace_s is None else grace_s
            job.preempt.set()
            if not self.state.changed.wait_for(lambda: job.attempt > attempt or job.finished, timeout=120):
                raise TimeoutError(f"job {name} is {job.status} and was not preempted")

    def wait(self, name: str, until: Callable[[Job], bool] | None = None, timeout_s: float = 120) -> Job:
        """Wait for a job's end, or for `until(job)`, which may look at anything."""
        job = self.jobs[name]
        deadline = time.monotonic() + timeout_s
        while not (job.finished or (until is not None and until(job))):
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {name} is {job.status} after {timeout_s:g} s; its log:\n{self.log(name)}")
            with self.state.changed:
                if not job.finished:
                    self.state.changed.wait(0.1)
        return job

    def log(self, name: str) -> str:
        """What the job has printed so far, as it is stored."""
        job = self.jobs[name]
        container = self.state.datastores["workspaceartifactstore"].container
        stored = self.blobs.names(container, f"{job.artifacts}/user_logs/")
        return "".join(self.blobs.read(container, blob).decode(errors="replace") for blob in stored)

    def output_files(self, name: str, output: str) -> dict[str, int]:
        """Path in the output and size in bytes of every file that is stored now."""
        datastore, path = output_path(self.jobs[name], output)
        container = self.blobs.container(self.state.datastores[datastore].container)
        blobs = container.list_blobs(name_starts_with=f"{path}/")
        return {str(blob.name)[len(path) + 1 :]: int(blob.size) for blob in blobs}

    def process_ids(self, name: str) -> list[int]:
        """Every process of a running job, with those that its own processes started."""
        return processes_with(f"{VARIABLE}={self._marker}", f"AZUREML_RUN_ID={name}")

    # --- inside --------------------------------------------------------------------------------------------------

    def _attempt(self, job: Job) -> str:
        compute = self.state.computes[job.compute]
        environment = {**self._network(), VARIABLE: self._marker}
        if compute.identity:
            environment |= {
                "MSI_ENDPOINT": self._identity_endpoint,
                "MSI_SECRET": self.identities.node_secret,
                "DEFAULT_IDENTITY_CLIENT_ID": self.node_identity.client_id,
            }
        environment |= self.job_environment
        node = dataclasses.replace(self.node, environment=environment)
        outcome = Attempt(self.state, self.blobs, node, job, compute).run(self.mlflow.open(job) if self.mlflow else {})
        if self.mlflow and outcome != "Preempted":
            self.mlflow.close(job, outcome)
        return outcome

    def _login(self, principal: Principal) -> dict[str, str]:
        known = {"AZURE_CLIENT_ID": principal.client_id, "AZURE_CLIENT_SECRET": principal.secret}
        return {"AZURE_TENANT_ID": self.workspace.tenant, **known}

    def _network(self) -> dict[str, str]:
        """What lets a process reach this cloud by its real names, and nothing else."""
        authority = str(self._certificates.authority)
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.proxy.url)
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), LOOPBACK)
        return {**proxies, **direct, "REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority}

    def _start_guard(self) -> None:
        """Another process that ends all of this should this one be killed; its end is also the usual end."""
        program = str(Path(__file__).with_name("guard.py"))
        guard = subprocess.Popen(
            [sys.executable, "-I", program, self._marker, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.callback(guard.wait)
        assert guard.stdin is not None
        self._stack.callback(guard.stdin.close)
