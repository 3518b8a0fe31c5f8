"""A job's logs: what each of its processes wrote, as files that grow while it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from etude.platforms.azureml.refusals import ServiceError
from etude.platforms.azureml.storage import Storage
from etude.platforms.azureml.told import ToldJob
from etude.platforms.seam import RemoteFile

__all__ = ["log_files", "read_log"]

FOLDER = "user_logs"
_LOG = re.compile(r"std_log[^/]*\.txt")
_NUMBER = re.compile(r"\d+")


def log_files(storage: Storage, job: ToldJob) -> Sequence[RemoteFile]:
    """The logs of a job, that of its first process first."""
    blobs = storage.listing(f"{job.artifacts}/{FOLDER}")
    found = [RemoteFile(f"{FOLDER}/{blob.name}", blob.bytes) for blob in blobs if _LOG.fullmatch(blob.name)]
    return sorted(found, key=_order)


def read_log(storage: Storage, job: ToldJob, path: str, offset: int) -> bytes:
    """What a log holds from byte `offset` on; empty where it ends there, or is not there yet."""
    try:
        return b"".join(storage.read(job.artifacts, path, offset))
    except ServiceError as error:
        if error.status == 404:
            return b""
        raise


def _order(file: RemoteFile) -> tuple[list[int], str]:
    """`std_log_process_2.txt` before `std_log_process_10.txt`."""
    return [int(number) for number in _NUMBER.findall(file.path)], file.path
