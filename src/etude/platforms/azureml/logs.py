"""A job's logs: what each of its processes wrote, as files that grow while it runs.

They are read from the workspace's storage. Where this login may not, the run history signs an address for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from etude.platforms.azureml.client import Client
from etude.platforms.azureml.refusals import ServiceError
from etude.platforms.azureml.storage import Storage
from etude.platforms.azureml.told import ToldJob
from etude.platforms.seam import RemoteFile

__all__ = ["log_files", "read_log", "signed_log_files", "signed_read_log"]

FOLDER = "user_logs"
_LOG = re.compile(r"std_log[^/]*\.txt")
_NUMBER = re.compile(r"\d+")


def log_files(storage: Storage, job: ToldJob) -> Sequence[RemoteFile]:
    """The logs of a job, that of its first process first."""
    blobs = storage.listing(f"{job.artifacts}/{FOLDER}")
    found = [RemoteFile(f"{FOLDER}/{blob.name}", blob.bytes) for blob in blobs if _LOG.fullmatch(blob.name)]
    return sorted(found, key=lambda file: _order(file.path))


def read_log(storage: Storage, job: ToldJob, path: str, offset: int) -> bytes:
    """What a log holds from byte `offset` on; empty where it ends there, or is not there yet."""
    try:
        return b"".join(storage.read(job.artifacts, path, offset))
    except ServiceError as error:
        if error.status == 404:
            return b""
        raise


def signed_log_files(details: Mapping[str, Any]) -> Sequence[RemoteFile]:
    """The logs that the run history names; it does not tell their sizes."""
    paths = [path for path in details.get("logFiles") or {} if _LOG.fullmatch(path.removeprefix(f"{FOLDER}/"))]
    return [RemoteFile(path, 0) for path in sorted(paths, key=_order)]


def signed_read_log(client: Client, details: Mapping[str, Any], path: str, offset: int) -> bytes:
    """What a log holds from byte `offset` on, by its signed address."""
    address = (details.get("logFiles") or {}).get(path)
    return b"".join(client.signed(str(address), offset)) if address else b""


def _order(path: str) -> tuple[list[int], str]:
    """`std_log_process_2.txt` before `std_log_process_10.txt`."""
    return [int(number) for number in _NUMBER.findall(path)], path
