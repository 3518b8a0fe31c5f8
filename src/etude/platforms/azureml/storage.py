"""The workspace's containers by the names of their datastores, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from etude.errors import PlatformError
from etude.platforms.azureml.blobs import Blob, Datastore, datastore_of, parse_address
from etude.platforms.azureml.client import Blobs, Client
from etude.platforms.azureml.refusals import ServiceError

__all__ = ["Storage"]


class Storage:
    """Reads by address: `azureml://datastores/NAME/paths/PATH`, short or long."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._opened: dict[str, Blobs] = {}
        self._default: Datastore | None = None

    def listing(self, address: str) -> list[Blob]:
        """Files below a folder; their names begin behind it."""
        store, folder = parse_address(address)
        prefix = f"{folder}/" if folder else ""
        found = self._blobs(store).listing(prefix)
        return [Blob(blob.name.removeprefix(prefix), blob.bytes, blob.md5) for blob in found]

    def read(self, address: str, path: str, offset: int) -> Iterator[bytes]:
        """A file below a folder, from byte `offset` on.

        Raises:
            ServiceError: with status 404, it is not there.
        """
        store, folder = parse_address(address)
        return self._blobs(store).read(f"{folder}/{path}" if folder else path, offset)

    def default(self) -> tuple[Datastore, Blobs]:
        """The workspace's default datastore, where data and outputs go."""
        if self._default is None:
            told = self._client.get("/datastores", "find the default datastore", isDefault="true").get("value", [])
            if not told:
                raise PlatformError(
                    f"workspace {self._client.workspace} has no default datastore", hint="az ml datastore list"
                )
            self._default = datastore_of(told[0])
            self._opened.setdefault(self._default.name, self._client.blobs(self._default))
        return self._default, self._opened[self._default.name]

    def _blobs(self, store: str) -> Blobs:
        if store not in self._opened:
            try:
                told = self._client.get(f"/datastores/{quote(store)}", f"open datastore {store}")
            except ServiceError as error:
                if error.status != 404:
                    raise
                raise PlatformError(f"workspace {self._client.workspace} has no datastore {store!r}") from None
            self._opened[store] = self._client.blobs(datastore_of(told))
        return self._opened[store]
