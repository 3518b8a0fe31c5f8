"""Key Vault's secrets: set, get, list, delete; a challenge for who comes without a token."""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.azureml.identity import Identities
from tests.emulators.azureml.wire import Request, Response, ServiceError, answer

__all__ = ["Vault"]

RESOURCE = "https://vault.azure.net"


@dataclass(frozen=True)
class SecretVersion:
    value: str = field(repr=False)
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


class Vault:
    """One vault. A caller needs the permission `secrets`."""

    def __init__(self, name: str, identities: Identities) -> None:
        self.name = name
        self.host = f"{name}.vault.azure.net"
        self._identities = identities
        self._lock = threading.Lock()
        self._secrets: dict[str, list[SecretVersion]] = {}

    def set(self, name: str, value: str) -> SecretVersion:
        if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", name):
            message = (
                f"The request URI contains an invalid name: {name}. A secret's name holds letters, digits and '-' only."
            )
            raise ServiceError(400, "BadParameter", message)
        added = SecretVersion(value)
        with self._lock:
            self._secrets.setdefault(name, []).append(added)
        return added

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._secrets)

    def answer(self, request: Request) -> Response:
        if not request.headers.get("authorization"):
            where = f"https://login.microsoftonline.com/{self._identities.tenant}"
            challenge = f'Bearer authorization="{where}", resource="{RESOURCE}"'
            raise ServiceError(401, "Unauthorized", "AKV10000: No token.", {"WWW-Authenticate": challenge})
        self._identities.check(request, (RESOURCE,), "secrets")
        words = [word for word in request.path.split("/") if word]
        if not words or words[0] != "secrets" or len(words) > 3:
            raise ServiceError(404, "NotFound", f"{request.path} is not emulated.")
        if len(words) == 1:
            return self._list()
        name = words[1]
        if request.method == "PUT":
            return answer(self._bundle(name, self.set(name, str(request.json().get("value", "")))))
        versions = self._versions(name)
        if request.method == "DELETE":
            with self._lock:
                self._secrets.pop(name)
            return answer({"id": f"https://{self.host}/secrets/{name}", "attributes": {"enabled": True}})
        if len(words) == 3 and words[2] == "versions":
            return answer({"value": [self._item(name, version) for version in versions], "nextLink": None})
        chosen = [version for version in versions if len(words) == 2 or version.version == words[2]]
        if not chosen:
            raise self._missing(name)
        return answer(self._bundle(name, chosen[-1]))

    def _list(self) -> Response:
        items = []
        for name in self.names():
            item = self._item(name, self._versions(name)[-1])
            items.append({**item, "id": f"https://{self.host}/secrets/{name}"})
        return answer({"value": items, "nextLink": None})

    def _versions(self, name: str) -> list[SecretVersion]:
        with self._lock:
            versions = list(self._secrets.get(name, ()))
        if not versions:
            raise self._missing(name)
        return versions

    def _missing(self, name: str) -> ServiceError:
        message = f"A secret with (name/id) {name} was not found in this key vault."
        return ServiceError(404, "SecretNotFound", message)

    def _item(self, name: str, version: SecretVersion) -> dict[str, Any]:
        attributes: dict[str, Any] = {"enabled": True, "created": version.created, "updated": version.created}
        attributes |= {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}
        return {"id": f"https://{self.host}/secrets/{name}/{version.version}", "attributes": attributes, "tags": {}}

    def _bundle(self, name: str, version: SecretVersion) -> dict[str, Any]:
        return {**self._item(name, version), "value": version.value}
