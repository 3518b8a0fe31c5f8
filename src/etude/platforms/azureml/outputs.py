"""A job's named outputs: where they are, and what they hold, also while the job runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etude.errors import JobError, nearest
from etude.platforms.azureml.client import Client
from etude.platforms.azureml.refusals import ServiceError
from etude.platforms.azureml.storage import Storage
from etude.platforms.azureml.told import ToldJob
from etude.platforms.seam import RemoteFile

__all__ = ["find_output", "output_files", "read_output"]


def find_output(client: Client, storage: Storage, job: ToldJob, output: str) -> str:
    """The address of an output.

    Raises:
        JobError: the job has none of that name.
    """
    if output not in job.outputs:
        close = nearest(output, job.outputs)
        raise JobError(
            f"job {job.name} has no output {output!r}; it has {', '.join(job.outputs) or 'none'}",
            hint=f"did you mean {close[0]}?" if close else "etude jobs status shows its outputs",
        )
    address = job.address(output)
    if "datastores/" in address and "${{" not in address:
        return address.rstrip("/")
    return _resolved(client, job, output) or f"{_default_folder(storage)}/azureml/{job.name}/{output}"


def output_files(storage: Storage, address: str) -> Sequence[RemoteFile]:
    """What an output holds, sorted; the job's own manifest among them."""
    found = [RemoteFile(blob.name, blob.bytes, md5=blob.md5) for blob in storage.listing(address)]
    return sorted(found, key=lambda file: file.path)


def read_output(storage: Storage, address: str, path: str, offset: int) -> Iterator[bytes]:
    """A file of an output, from byte `offset` on.

    Raises:
        JobError: it has no such file.
    """
    try:
        yield from storage.read(address, path, offset)
    except ServiceError as error:
        if error.status == 404:
            raise JobError(f"there is no file {path!r} in {address}", hint="etude jobs status") from None
        raise


def _resolved(client: Client, job: ToldJob, output: str) -> str:
    """Where the run history says that an output is; empty before the job has begun."""
    body = {"runId": job.name, "selectRunMetadata": True}
    told = client.service("POST", "history", "/rundata", f"read the outputs of {job.name}", body)
    metadata: dict[str, Any] = (told.get("runMetadata") or {}).get("outputs") or {}
    asset = (metadata.get(output) or {}).get("assetId")
    if not asset:
        return ""
    action = f"find output {output} of {job.name}"
    answer = client.service("POST", "data", "/dataversion/batchGetResolvedUris", action, {"values": [asset]})
    return str(((answer.get("values") or {}).get(asset) or {}).get("uri") or "").rstrip("/")


def _default_folder(storage: Storage) -> str:
    """Outputs without a path of their own lie on the default datastore."""
    datastore, _ = storage.default()
    return f"azureml://datastores/{datastore.name}/paths"
