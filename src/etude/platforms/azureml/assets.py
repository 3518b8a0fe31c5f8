"""Putting things into the workspace: versions of data sets, and environments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from etude.errors import DatasetError, PlatformError
from etude.platforms.azureml.client import Blobs, Client
from etude.platforms.azureml.platform import AzureML
from etude.platforms.azureml.refusals import ServiceError

__all__ = ["Pushed", "create_environment", "push_data"]

CONTENT_TAG = "etude.sha256"
"""Tag of a data version: SHA-256 of the names and contents of its files."""
UPLOADS = 4
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
# What is beside a dataset and not of it.
_SKIPPED = (".tmp-", ".git", ".cache", ".amlignore", "__pycache__", ".DS_Store")

type Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


@dataclass(frozen=True)
class Pushed:
    """A data version.

    Attributes:
        is_new: false when a version with this very content was there.
        bytes, files: of the folder.
    """

    name: str
    version: str
    is_new: bool
    bytes: int
    files: int

    @property
    def reference(self) -> str:
        """As a job takes it."""
        return f"azureml:{self.name}:{self.version}"


@dataclass(frozen=True)
class _File:
    path: Path
    name: str
    sha256: str
    md5: bytes
    bytes: int


def push_data(
    platform: AzureML,
    name: str,
    folder: Path,
    *,
    version: str | None = None,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    progress: Progress | None = None,
) -> Pushed:
    """Make a folder a version of a data asset. The same content twice is one version.

    An upload that was interrupted goes on: files that are there with the right checksum are not sent again, and the
    version exists only when all of them are there.

    Args:
        version: the next number by default.

    Raises:
        DatasetError: the folder is absent or empty.
        PlatformError: the name cannot be, or the version holds something else already.
    """
    if not _NAME.fullmatch(name):
        raise PlatformError(f"data asset {name!r} is not allowed: letters, digits, '-', '_' and '.', up to 255 of them")
    client = platform.client
    files = _files(folder)
    digest = hashlib.sha256("".join(f"{file.name}\0{file.bytes}\0{file.sha256}\n" for file in files).encode())
    content, size = digest.hexdigest(), sum(file.bytes for file in files)
    there = _versions(client, name)
    same = next((known for known, tag in there.items() if tag == content and version in (None, known)), None)
    if same is not None:
        return Pushed(name, same, False, size, len(files))
    if version is not None and version in there:
        raise PlatformError(
            f"version {version!r} of data asset {name} holds something else; a version never changes",
            hint=f"leave --version out; the next one is {_next(there)}",
        )
    datastore, blobs = platform.storage.default()
    prefix = f"etude/data/{name}/{content[:32]}"
    _upload(blobs, prefix, files, progress)
    chosen = version or _next(there)
    address = f"azureml://datastores/{datastore.name}/paths/{prefix}/"
    all_tags = {**(tags or {}), CONTENT_TAG: content}
    try:
        client.create_data(name, chosen, address, all_tags, description)
    except ServiceError:
        # Its answer may be lost; and someone else may have taken the number meanwhile.
        if _versions(client, name).get(chosen) != content:
            raise
    return Pushed(name, chosen, True, size, len(files))


def create_environment(
    platform: AzureML,
    name: str,
    *,
    image: str | None = None,
    build_context: Path | None = None,
    version: str | None = None,
) -> str:
    """Register an environment from an image, or from a folder with a Dockerfile; returns its version.

    Registering starts nothing: an image is built when a job first needs it.

    Raises:
        PlatformError: neither or both are given, there is no Dockerfile, or the version is something else already.
    """
    if not _NAME.fullmatch(name):
        raise PlatformError(f"environment {name!r} is not allowed: letters, digits, '-', '_' and '.'")
    if (image is None) == (build_context is None):
        raise PlatformError("an environment is an image or a build context, one of the two", hint="--image IMAGE")
    if build_context is not None and not (build_context / "Dockerfile").is_file():
        raise PlatformError(f"there is no Dockerfile in {build_context}", hint="--build-context FOLDER")
    return platform.client.create_environment(name, version, image, build_context)


def _files(folder: Path) -> list[_File]:
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}")
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(_SKIPPED) for part in parts):
            found.append(_digested(path, "/".join(parts)))
    if not found:
        raise DatasetError(f"{folder} holds no files")
    return found


def _digested(path: Path, name: str) -> _File:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return _File(path, name, sha256.hexdigest(), md5.digest(), size)


def _versions(client: Client, name: str) -> dict[str, str]:
    """Versions of a data asset, and the content that their tags tell of."""
    try:
        found: list[dict[str, Any]] = list(client.pages(f"/data/{quote(name)}/versions", f"list versions of {name}"))
    except ServiceError as error:
        if error.status == 404:
            return {}
        raise
    return {str(item["name"]): str(_tags(item).get(CONTENT_TAG, "")) for item in found}


def _tags(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return (item.get("properties") or {}).get("tags") or {}


def _next(versions: Mapping[str, str]) -> str:
    return str(max((int(version) for version in versions if version.isdigit()), default=0) + 1)


def _upload(blobs: Blobs, prefix: str, files: list[_File], progress: Progress | None) -> None:
    total = sum(file.bytes for file in files)
    there = {blob.name: (blob.bytes, blob.md5) for blob in blobs.listing(f"{prefix}/")}
    wanted = [file for file in files if there.get(f"{prefix}/{file.name}") != (file.bytes, file.md5.hex())]
    done = total - sum(file.bytes for file in wanted)
    if progress is not None:
        progress(done, total)

    def send(file: _File) -> int:
        blobs.upload(f"{prefix}/{file.name}", file.path, file.md5)
        return file.bytes

    with ThreadPoolExecutor(UPLOADS) as pool:
        for sent in pool.map(send, wanted):
            done += sent
            if progress is not None:
                progress(done, total)
