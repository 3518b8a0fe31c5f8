"""Blob Storage: what clients reach by its real host name, and what the emulator itself keeps there."""

from __future__ import annotations

import datetime
import http.client
import ssl
import threading
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, generate_container_sas

from tests.emulators.azureml.azurite import Azurite
from tests.emulators.azureml.certificates import Certificates
from tests.emulators.azureml.wire import Request, Response

__all__ = ["Blobs"]

HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"}


class Blobs:
    """The account's containers, by the emulator's own way in; and `forward`, the way in of everyone else."""

    def __init__(self, azurite: Azurite, certificates: Certificates, containers: tuple[str, ...]) -> None:
        self._azurite = azurite
        self._context: ssl.SSLContext = certificates.client_context()
        self._connections = threading.local()
        self._service = BlobServiceClient(
            azurite.url,
            credential=azurite.key,
            connection_verify=str(certificates.authority),
            retry_total=2,
        )
        for name in containers:
            self.create(name)

    def create(self, container: str) -> None:
        self._service.create_container(container)

    def container(self, name: str) -> ContainerClient:
        return self._service.get_container_client(name)

    def names(self, container: str, prefix: str) -> list[str]:
        return list(self.container(container).list_blob_names(name_starts_with=prefix))

    def exists(self, container: str, path: str) -> bool:
        """Is `path` a blob, or a folder that holds one?"""
        return any(name == path or name.startswith(f"{path}/") for name in self.names(container, path.rstrip("/")))

    def read(self, container: str, name: str) -> bytes:
        return bytes(self.container(container).download_blob(name).readall())

    def download_folder(self, container: str, prefix: str, folder: Path) -> int:
        """Write every blob below `prefix` into `folder`; the number of files."""
        prefix = prefix.rstrip("/") + "/"
        names = self.names(container, prefix)
        for name in names:
            if name.endswith("/"):
                continue
            file = folder / name[len(prefix) :]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.read(container, name))
        return len(names)

    def upload(self, container: str, name: str, file: Path) -> None:
        with file.open("rb") as stream:
            self.container(container).upload_blob(name, stream, overwrite=True)

    def delete(self, container: str, name: str) -> None:
        try:
            self.container(container).delete_blob(name)
        except ResourceNotFoundError:
            return

    def append(self, container: str, name: str, content: bytes) -> None:
        blob = self.container(container).get_blob_client(name)
        try:
            blob.append_block(content)
        except ResourceNotFoundError:
            blob.create_append_blob()
            blob.append_block(content)

    def container_sas(self, container: str) -> str:
        signature: str = generate_container_sas(
            self._azurite.account,
            container,
            self._azurite.key,
            permission=ContainerSasPermissions(read=True, write=True, create=True, list=True, add=True),
            expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=4),
        )
        return signature

    def forward(self, request: Request) -> Response:
        """Azurite's answer. The host name stays the account's: it is part of what a client signed."""
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        headers["content-length"] = str(len(request.body))
        for attempt in (0, 1):
            connection = self._connection(fresh=attempt == 1)
            try:
                connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders(request.body)
                response = connection.getresponse()
                break
            except (http.client.HTTPException, OSError):  # a kept connection that Azurite had closed
                if attempt:
                    raise
        body = response.read()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
        if request.method != "HEAD":
            kept = [(name, value) for name, value in kept if name.lower() != "content-length"]
        return Response(response.status, body, kept)

    def _connection(self, *, fresh: bool) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._connections, "kept", None)
        if connection is None or fresh:
            connection = http.client.HTTPSConnection("127.0.0.1", self._azurite.port, context=self._context, timeout=60)
            self._connections.kept = connection
        return connection
