"""Azure Key Vault: the one file of this room that knows its client.

The client sends a request again after 429, 5xx and broken connections, as long as `Retry-After` asks it to wait.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etude.errors import SecretError, nearest
from etude.extras import require
from etude.secrets.redaction import remember
from etude.secrets.vault_errors import Attempt, no_answer, no_login, not_found, refused

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient, SecretProperties

__all__ = ["KeyVault", "StoredSecret", "open_vault"]

POLLING_S, WAIT_S = 1, 60  # a vault takes some seconds to remove a secret, or to bring it back
JOB_VARIABLES = ("AZUREML_RUN_ID", "DEFAULT_IDENTITY_CLIENT_ID")
# Where the clouds log in; another one is named by AZURE_AUTHORITY_HOST.
AUTHORITIES = {
    "vault.azure.net": "login.microsoftonline.com",
    "vault.usgovcloudapi.net": "login.microsoftonline.us",
    "vault.azure.cn": "login.chinacloudapi.cn",
}


@dataclass(frozen=True)
class StoredSecret:
    """A secret of a vault, without its value.

    Attributes:
        enabled: a disabled one cannot be read.
        updated: when it was set, ISO 8601; empty where the vault does not tell.
    """

    name: str
    enabled: bool
    updated: str


class KeyVault:
    """One vault. Every method raises `SecretError`, whose text holds no value, where the vault cannot or will not.

    Args:
        host: as `spelling.vault_host` gives it.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._client = _client(host)

    def get(self, name: str) -> str:
        """The value of the current version.

        Raises:
            MissingSecretError: there is no such secret; the message has the nearest names.
        """
        with self._attempt("read", name):
            value = self._client.get_secret(name).value or ""
        remember(value)
        return value

    def put(self, name: str, value: str) -> None:
        """Add a version, which becomes the current one. A removed name is brought back with its old versions."""
        remember(value)  # before anything is sent: an answer might repeat it
        errors = require("azure.core.exceptions", "azure")
        with self._attempt("write", name):
            try:
                self._client.set_secret(name, value)
            except errors.ResourceExistsError:  # removed, and kept by the vault for some weeks
                self._client.begin_recover_deleted_secret(name, _polling_interval=POLLING_S).wait(WAIT_S)
                self._client.set_secret(name, value)

    def listing(self) -> list[StoredSecret]:
        """What the vault holds, by name."""
        with self._attempt("list"):
            found = [
                StoredSecret(
                    str(item.name), item.enabled is not False, item.updated_on.isoformat() if item.updated_on else ""
                )
                for item in self._client.list_properties_of_secrets()
            ]
        return sorted(found, key=lambda item: item.name)

    def remove(self, name: str) -> None:
        """Delete all versions; the vault can bring them back for as long as it is set to.

        Raises:
            MissingSecretError: there is no such secret; the message has the nearest names.
        """
        with self._attempt("remove", name):
            self._client.begin_delete_secret(name, _polling_interval=POLLING_S).wait(WAIT_S)

    @contextlib.contextmanager
    def _attempt(self, action: str, name: str = "") -> Iterator[None]:
        errors = require("azure.core.exceptions", "azure")
        attempt = Attempt(action, self.host, name, in_job=_in_job())
        problem: SecretError
        try:
            yield
        except errors.ResourceNotFoundError:
            problem = not_found(attempt, nearest(name, self._names()) if name else [])
        except errors.HttpResponseError as error:
            problem = self._explain(attempt, error)
        except errors.AzureError as error:
            problem = no_answer(attempt, f"{error!r} {getattr(error, 'inner_exception', None)!r}")
        except ValueError:  # the challenge of a host that is no vault
            problem = no_answer(attempt, "what answers there is no Key Vault")
        else:
            return
        raise problem from None  # the client's own error might repeat the value

    def _explain(self, attempt: Attempt, error: Any) -> SecretError:
        if error.status_code is None:  # no request was sent: there is no token to send with it
            return no_login(attempt, str(error.message))
        inner = getattr(error.error, "innererror", None) or {}
        code = str(inner.get("code") or getattr(error.error, "code", None) or "")
        challenge = error.response.headers.get("WWW-Authenticate", "") if error.response is not None else ""
        return refused(attempt, error.status_code, code, challenge)

    def _names(self) -> list[str]:
        """The names, for a suggestion only: none where they may not be listed."""
        try:
            return [item.name for item in self.listing()]
        except SecretError:
            return []


@functools.lru_cache(maxsize=16)
def open_vault(host: str) -> KeyVault:
    """The vault, with one login for as long as this process lives.

    Raises:
        MissingExtraError: the client is not installed.
    """
    return KeyVault(host)


def _stored(item: SecretProperties) -> StoredSecret:
    updated = item.updated_on.isoformat() if item.updated_on else ""
    return StoredSecret(str(item.name), item.enabled is not False, updated)


def _client(host: str) -> SecretClient:
    sdk = require("azure.keyvault.secrets", "azure")
    client: SecretClient = sdk.SecretClient(
        f"https://{host}",
        _credential(host),
        retry_status=5,
        retry_connect=2,
        retry_backoff_max=30,
        logging_enable=False,  # or the client's debug log would hold values
    )
    return client


def _credential(host: str) -> TokenCredential:
    """A login that never asks: the job's managed identity, else a service principal's, a workload's or `az login`'s."""
    identity = require("azure.identity", "azure")
    log = logging.getLogger("azure.identity")
    if log.level == logging.NOTSET:
        log.setLevel(logging.ERROR)  # what it warns of is in our errors
    credential: TokenCredential
    if _in_job():
        credential = identity.ManagedIdentityCredential(client_id=os.environ.get("DEFAULT_IDENTITY_CLIENT_ID") or None)
        return credential
    cloud = host.partition(".")[2]
    authority = os.environ.get("AZURE_AUTHORITY_HOST") or AUTHORITIES.get(cloud, AUTHORITIES["vault.azure.net"])
    chain = [identity.EnvironmentCredential(authority=authority)]
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE") and os.environ.get("AZURE_CLIENT_ID"):
        chain.append(identity.WorkloadIdentityCredential(authority=authority))
    chain.append(identity.AzureCliCredential(process_timeout=30))
    credential = identity.ChainedTokenCredential(*chain)
    return credential


def _in_job() -> bool:
    return any(os.environ.get(name) for name in JOB_VARIABLES)
