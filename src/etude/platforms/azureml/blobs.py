"""Where files of a workspace are: datastores, and addresses that name a path of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etude.errors import PlatformError

__all__ = ["Blob", "Datastore", "datastore_of", "parse_address"]

_ADDRESS = re.compile(r"^azureml:/.*?/?datastores/(?P<datastore>[^/]+)/(?:paths/)?(?P<path>.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Blob:
    """A file in a container.

    Attributes:
        md5: hexadecimal; empty where the service recorded none.
    """

    name: str
    bytes: int
    md5: str = ""


@dataclass(frozen=True)
class Datastore:
    """A container of a storage account, under a name of the workspace.

    Attributes:
        url: of the account.
        has_key: whether the workspace keeps a key or a signature for it.
    """

    name: str
    account: str
    container: str
    url: str
    has_key: bool


def datastore_of(told: Mapping[str, Any]) -> Datastore:
    """A datastore as the workspace describes it.

    Raises:
        PlatformError: it is no Blob storage.
    """
    properties = told.get("properties") or {}
    account, container = properties.get("accountName"), properties.get("containerName") or properties.get("filesystem")
    if not account or not container:
        kind = properties.get("datastoreType", "unknown")
        raise PlatformError(f"datastore {told.get('name')} is of type {kind}, and only Blob storage can be read here")
    endpoint = properties.get("endpoint") or "core.windows.net"
    url = f"{properties.get('protocol') or 'https'}://{account}.blob.{endpoint}"
    kind = str((properties.get("credentials") or {}).get("credentialsType", "None"))
    return Datastore(str(told.get("name", "")), account, container, url, kind.lower() in ("accountkey", "sas"))


def parse_address(address: str) -> tuple[str, str]:
    """Datastore and path of `azureml://…/datastores/NAME/paths/PATH`, in its long and its short form.

    Raises:
        PlatformError: it is no such address.
    """
    match = _ADDRESS.match(address)
    if match is None:
        raise PlatformError(f"{address!r} names no path of a datastore")
    return match["datastore"], match["path"].strip("/")
