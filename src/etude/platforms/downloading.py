"""An output brought to this machine: complete and verified, or absent; what an interrupted download left is used."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from etude.errors import JobError, PlatformError, StorageError, nearest
from etude.platforms.handles import Handle
from etude.platforms.seam import Platform, RemoteFile
from etude.runs.atomic import replace_symlink

__all__ = ["Download", "download"]

MANIFEST = ".etude-files.json"
PARTIAL = ".partial"
ATTEMPTS = 5

type Progress = Callable[[str, int, int], None]
"""Called with a sentence, the bytes that are here and the bytes in all."""


@dataclass(frozen=True)
class Download:
    """What was brought.

    Attributes:
        fetched: files that were not here already.
        verified: files whose SHA-256 or MD5 was known and is right; the others have the right size.
    """

    folder: Path
    files: int
    bytes: int
    fetched: int
    verified: int


def download(
    platform: Platform, handle: Handle, output: str, folder: Path, *, progress: Progress | None = None
) -> Download:
    """Bring an output of a job into `folder`, which may hold what an earlier call brought.

    Raises:
        JobError: the job has no such output, or the output holds nothing.
        PlatformError: a file is not what the platform says, or it does not answer.
        StorageError: this disk.
    """
    names = platform.outputs(handle)
    if output not in names:
        close = nearest(output, names)
        raise JobError(
            f"job {handle.name} has no output {output!r}; it has {', '.join(names) or 'none'}",
            hint=f"did you mean {close[0]}?" if close else "etude jobs status shows its outputs",
        )
    listed = [file for file in platform.output_files(handle, output) if not _is_scratch(file.path)]
    files, links = _with_hashes(platform, handle, output, listed)
    if not files:
        raise JobError(
            f"output {output!r} of job {handle.name} holds nothing (yet)", hint=f"etude jobs logs {handle.name}"
        )
    total, done, fetched = sum(file.bytes for file in files), 0, 0
    try:
        for file in files:
            target = folder / _safe(file.path)
            if not _is_here(target, file):
                _fetch(platform, handle, output, file, target)
                fetched += 1
            done += file.bytes
            if progress is not None:
                progress(f"downloading {output}", done, total)
        for name, to in links.items():
            link = folder / _safe(name)
            _safe(str(PurePosixPath(name).parent / to))
            link.parent.mkdir(parents=True, exist_ok=True)
            replace_symlink(link, to)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}", hint="the same command goes on from there"
        ) from error
    verified = sum(bool(file.sha256 or file.md5) for file in files)
    return Download(folder, len(files), total, fetched, verified)


def _with_hashes(
    platform: Platform, handle: Handle, output: str, listed: Sequence[RemoteFile]
) -> tuple[list[RemoteFile], dict[str, str]]:
    """The files with what the job itself wrote down about them, and its links."""
    manifest = next((file for file in listed if file.path == MANIFEST), None)
    files = [file for file in listed if file.path != MANIFEST]
    if manifest is None:
        return files, {}
    try:
        body = json.loads(b"".join(_blocks(platform, handle, output, MANIFEST, 0, manifest.bytes)))
    except ValueError:  # being written just now
        return files, {}
    present = {file.path: file for file in files}
    links = {name: str(about["link"]) for name, about in body.items() if "link" in about}
    missing = [name for name in body if name not in present and name not in links]
    if missing and platform.status(handle).state.is_final:
        raise PlatformError(
            f"output {output!r} of job {handle.name} lacks {len(missing)} of its {len(body)} files, "
            f"for example {missing[0]}",
            hint="look at the end of its log: etude jobs logs " + handle.name,
        )
    known = []
    for name, file in present.items():
        about = body.get(name, {})
        is_told = about.get("bytes") == file.bytes  # else it changed after the job wrote that down
        known.append(RemoteFile(file.path, file.bytes, str(about.get("sha256", "")), file.md5) if is_told else file)
    return known, links


def _fetch(platform: Platform, handle: Handle, output: str, file: RemoteFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    for _ in range(2):  # the second time from the start: the file has changed since, or the disk lost something
        if partial.exists() and partial.stat().st_size > file.bytes:
            partial.unlink()
        with open(partial, "ab") as writing:
            for block in _blocks(platform, handle, output, file.path, writing.tell(), file.bytes):
                writing.write(block)
            writing.flush()
            os.fsync(writing.fileno())
        if _matches(partial, file):
            os.replace(partial, target)
            return
        partial.unlink()
    raise PlatformError(
        f"{file.path} of output {output!r} is not what the platform says it is (size or checksum)",
        hint="while the job runs its files change: call it again, or wait for its end",
    )


def _blocks(
    platform: Platform, handle: Handle, output: str, path: str, offset: int, total: int | None = None
) -> Iterator[bytes]:
    """A file from `offset` on; where the connection breaks it is taken up again at that byte.

    Raises:
        PlatformError: it broke several times without a byte in between.
    """
    in_vain = 0
    while total is None or offset < total:
        try:
            for block in platform.read_output(handle, output, path, offset):
                if block:
                    offset, in_vain = offset + len(block), 0
                    yield block
            return
        except PlatformError:
            in_vain += 1
            if in_vain == ATTEMPTS:
                raise
            time.sleep(min(2.0**in_vain / 2, 10.0) if in_vain > 1 else 0.0)


def _is_here(target: Path, file: RemoteFile) -> bool:
    return target.is_file() and bool(file.sha256 or file.md5) and _matches(target, file)


def _matches(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.bytes:
        return False
    for name, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected:
            with open(path, "rb") as reading:
                return hashlib.file_digest(reading, name).hexdigest() == expected
    return True


def _is_scratch(path: str) -> bool:
    return any(part.startswith(".tmp-") for part in PurePosixPath(path).parts)


def _safe(path: str) -> Path:
    """A path from elsewhere, below a folder of ours.

    Raises:
        PlatformError: it would lead out of the folder.
    """
    parts = PurePosixPath(path).parts
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            raise PlatformError(f"the platform names a file {path!r}, which would lie outside the folder")
    return Path(*parts)
