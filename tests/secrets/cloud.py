"""A cloud with one vault: real host names and real clients, through a proxy that knows no other hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.azureml.certificates import make_certificates
from tests.emulators.azureml.faults import Faults
from tests.emulators.azureml.identity import Identities, Principal
from tests.emulators.azureml.proxy import ConnectProxy
from tests.emulators.azureml.server import CloudServer
from tests.emulators.azureml.vault import Vault
from tests.emulators.azureml.wire import Records, Request, Response, ServiceError, answer

__all__ = ["VARIABLES", "Cloud", "KeepingVault", "open_cloud"]

TENANT = "11111111-2222-3333-4444-555555555555"
# What would lead a client elsewhere: of the machine that runs the tests.
VARIABLES = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "AZUREML_KEYVAULT_NAME",
    "AZUREML_RUN_ID",
    "DEFAULT_IDENTITY_CLIENT_ID",
    "ETUDE_KEYVAULT",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
)


class KeepingVault(Vault):
    """A vault that keeps what was removed, as all real ones do: the name is taken until it is recovered."""

    def __init__(self, name: str, identities: Identities) -> None:
        super().__init__(name, identities)
        self._kept: dict[str, str] = {}
        self._busy: dict[str, int] = {}

    def answer(self, request: Request) -> Response:
        words = [word for word in request.path.split("/") if word]
        if words[0] == "deletedsecrets" and request.headers.get("authorization"):
            return self._of_the_removed(request.method, words[1])
        if request.method == "PUT" and words[1] in self._kept and request.headers.get("authorization"):
            raise ServiceError(409, "Conflict", f"Secret {words[1]} is currently in a deleted but recoverable state.")
        value = self._versions(words[1])[-1].value if request.method == "DELETE" and words[1] in self.names() else ""
        answered = super().answer(request)
        if request.method == "DELETE":
            self._kept[words[1]], self._busy[words[1]] = value, 1
            recovery = f"https://{self.host}/deletedsecrets/{words[1]}"
            return answer({"id": f"https://{self.host}/secrets/{words[1]}", "recoveryId": recovery, "attributes": {}})
        return answered

    def _of_the_removed(self, method: str, name: str) -> Response:
        if name not in self._kept or self._busy[name]:
            self._busy[name] = 0  # it is there when one asks again
            raise self._missing(name)
        identity = {"id": f"https://{self.host}/secrets/{name}", "attributes": {"enabled": True}}
        if method == "POST":
            self.set(name, self._kept.pop(name))
        return answer(identity)


@dataclass(frozen=True)
class Cloud:
    """Its vault, the identity endpoint of its compute nodes, and what a process must know to reach them."""

    vault: Vault
    identities: Identities
    faults: Faults
    requests: Records
    network: dict[str, str]
    node_endpoint: str

    def login(self, *access: str) -> dict[str, str]:
        """The variables of a service principal: one that may use the vault with the access `secrets`."""
        principal = self.identities.add(access)
        return {
            **self.network,
            "AZURE_TENANT_ID": self.identities.tenant,
            "AZURE_CLIENT_ID": principal.client_id,
            "AZURE_CLIENT_SECRET": principal.secret,
        }

    def node(self, *access: str) -> dict[str, str]:
        """The variables of a job on a compute that has a managed identity."""
        identity: Principal = self.identities.add(access)
        return {
            **self.network,
            "AZUREML_RUN_ID": "a-job",
            "DEFAULT_IDENTITY_CLIENT_ID": identity.client_id,
            "MSI_ENDPOINT": self.node_endpoint,
            "MSI_SECRET": self.identities.node_secret,
        }


@contextlib.contextmanager
def open_cloud(folder: Path, vault_name: str = "a-vault") -> Iterator[Cloud]:
    """Serve until the block ends."""
    identities = Identities(TENANT)
    vault = KeepingVault(vault_name, identities)
    apps = {vault.host: vault.answer, "login.microsoftonline.com": identities.login}
    certificates = make_certificates(folder, apps)
    faults, requests = Faults(), Records(folder / "bodies")
    server = CloudServer(certificates.server_context(), apps.get, faults, requests)
    node = CloudServer(None, lambda host: identities.node, faults, requests)
    proxy = ConnectProxy(lambda host: server.port if host in apps else None)
    network = {
        "HTTPS_PROXY": proxy.url,
        "https_proxy": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(certificates.authority),
        "SSL_CERT_FILE": str(certificates.authority),
    }
    try:
        yield Cloud(vault, identities, faults, requests, network, f"http://127.0.0.1:{node.port}/msi/token")
    finally:
        for part in (proxy, server, node, requests):
            part.close()
