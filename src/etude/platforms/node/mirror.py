"""A job's folder and the place where the platform keeps its outputs.

On a disk of this machine the command writes there directly. Object storage that is mounted as a folder (blobfuse,
s3fs) has no links and no atomic renames, and a checkpoint is complete or absent by a rename: there the command writes
to a local folder, and what is complete is copied, again and again while the job runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MANIFEST", "Mirror", "keeps_renames", "restore"]

MANIFEST = ".etude-files.json"
"""In an output: `{path: {"bytes", "sha256"}}`, and `{path: {"link"}}` for links; a download is compared with it."""
TEMPORARY = ".tmp-"


def keeps_renames(folder: Path) -> bool:
    """Whether folders can be renamed and linked to there, as on a disk."""
    probe = folder / f"{TEMPORARY}probe-{uuid.uuid4().hex[:8]}"
    try:
        (probe / "a").mkdir(parents=True)
        (probe / "a" / "file").write_text("x")
        os.rename(probe / "a", probe / "b")
        (probe / "link").symlink_to("b")
        return (probe / "link" / "file").read_text() == "x"
    except OSError:
        return False
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def restore(source: Path, target: Path) -> int:
    """Copy back what an earlier attempt of the job left; returns the number of files.

    A copy that was interrupted may have left a checkpoint without some of its files: the trainer compares every
    checkpoint with its seal, and takes the newest that is whole.
    """
    copied = 0
    for file in _complete_files(source):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        copied += 1
    for name, about in _read_manifest(source).items():
        place = target / name
        if "link" in about and not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(str(about["link"]))
    return copied


@dataclass(frozen=True)
class _Seen:
    """What a file looked like when it was copied."""

    bytes: int
    modified: int
    sha256: str


class Mirror:
    """Copies a folder to another, file by file, again and again.

    Args:
        source: where the command writes.
        target: where the platform keeps it; only written to.
        every_s: seconds between two looks.
        tell: called with a sentence when copying fails; it is tried again at the next look.
    """

    def __init__(self, source: Path, target: Path, *, every_s: float = 10.0, tell: Callable[[str], None]) -> None:
        self._source, self._target, self._every_s, self._tell = source, target, every_s, tell
        self._seen: dict[str, _Seen] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def finish(self) -> bool:
        """Copy what is left, at the end of the command; returns whether everything is there."""
        self._stop.set()
        self._thread.join()
        return self._copy_all()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._copy_all()

    def _copy_all(self) -> bool:
        try:
            copy_changes(self._source, self._target, self._seen)
            return True
        except OSError as error:
            self._tell(f"{self._target}: an output cannot be kept: {error.strerror or error}; it is tried again")
            return False


def copy_changes(source: Path, target: Path, seen: dict[str, _Seen] | None = None) -> None:
    """Bring `target` up to `source`, then its manifest; what is gone from `source` goes last."""
    seen = {} if seen is None else seen
    links: dict[str, str] = {}
    present: set[str] = set()
    for file in _complete_files(source):
        name = file.relative_to(source).as_posix()
        if file.is_symlink():
            links[name] = os.readlink(file)
            continue
        present.add(name)
        about = file.stat()
        before = seen.get(name)
        if before is not None and (before.bytes, before.modified) == (about.st_size, about.st_mtime_ns):
            continue
        copied = _copy(file, target / name)
        if copied is not None:
            seen[name] = _Seen(copied[0], about.st_mtime_ns, copied[1])
    removed = [name for name in seen if name not in present]
    for name in removed:
        del seen[name]
    _write_manifest(target, seen, links)
    for name in removed:
        (target / name).unlink(missing_ok=True)


def write_manifest(folder: Path) -> None:
    """The manifest of a folder that the command wrote to directly."""
    seen: dict[str, _Seen] = {}
    links: dict[str, str] = {}
    for file in _complete_files(folder):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            links[name] = os.readlink(file)
        else:
            seen[name] = _Seen(file.stat().st_size, 0, _digest(file))
    _write_manifest(folder, seen, links)


def _complete_files(folder: Path) -> Iterator[Path]:
    """Files and links that are not being written; folders in the order of their names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:  # pruned just now
        return
    for entry in entries:
        if entry.name.startswith(TEMPORARY) or entry.name == MANIFEST:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _complete_files(Path(entry.path))
        else:
            yield Path(entry.path)


def _copy(file: Path, target: Path) -> tuple[int, str] | None:
    """Bytes and SHA-256 of what was copied; None when the file was removed meanwhile."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f"{TEMPORARY}{target.name}")
    try:
        with open(file, "rb") as reading, open(scratch, "wb") as writing:
            while block := reading.read(1 << 20):
                digest.update(block)
                size += len(block)
                writing.write(block)
    except FileNotFoundError:
        return None
    os.replace(scratch, target)
    return size, digest.hexdigest()


def _digest(file: Path) -> str:
    with open(file, "rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest()


def _write_manifest(folder: Path, seen: dict[str, _Seen], links: dict[str, str]) -> None:
    body: dict[str, dict[str, object]] = {
        name: {"bytes": item.bytes, "sha256": item.sha256} for name, item in sorted(seen.items())
    }
    body |= {name: {"link": to} for name, to in sorted(links.items())}
    folder.mkdir(parents=True, exist_ok=True)
    # One small file, written in one go: object storage replaces it as a whole when it is closed.
    (folder / MANIFEST).write_text(json.dumps(body, indent=0) + "\n", encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, dict[str, object]]:
    try:
        body = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
