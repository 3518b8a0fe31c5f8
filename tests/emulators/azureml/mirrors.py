"""What a job writes on its node, copied to Blob Storage as it goes on."""

from __future__ import annotations

from pathlib import Path

from tests.emulators.azureml.blobs import Blobs

__all__ = ["FolderMirror", "LogMirror"]

BLOCK = 4 << 20


class FolderMirror:
    """A folder whose files are kept as blobs below `prefix`: what a mounted output is.

    Blob Storage has no links and no empty folders, so a mount has none either: they are not copied.
    """

    def __init__(self, blobs: Blobs, container: str, prefix: str, folder: Path) -> None:
        self._blobs, self._container = blobs, container
        self._prefix = prefix.strip("/") + "/"
        self._folder = folder
        self._copied: dict[str, tuple[int, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self) -> None:
        """Start with what is stored, as a mount shows it."""
        self._blobs.download_folder(self._container, self._prefix, self._folder)
        self._copied = self._files()

    def copy(self) -> None:
        """Store what is new or changed, and delete what is gone."""
        files = self._files()
        for name, state in files.items():
            if self._copied.get(name) == state:
                continue
            try:
                self._blobs.upload(self._container, self._prefix + name, self._folder / name)
            except FileNotFoundError:  # renamed or deleted since; the next round sees it
                continue
            self._copied[name] = state
        for name in [name for name in self._copied if name not in files]:
            self._blobs.delete(self._container, self._prefix + name)
            del self._copied[name]

    def _files(self) -> dict[str, tuple[int, int]]:
        found = {}
        for file in sorted(self._folder.rglob("*")):
            try:
                if file.is_file() and not file.is_symlink():
                    status = file.stat()
                    found[file.relative_to(self._folder).as_posix()] = (status.st_size, status.st_mtime_ns)
            except FileNotFoundError:
                continue
        return found


class LogMirror:
    """A log file whose new bytes are appended to a blob; `fresh`: to an empty one."""

    def __init__(self, blobs: Blobs, container: str, name: str, file: Path, *, fresh: bool) -> None:
        self._blobs, self._container, self._name, self._file = blobs, container, name, file
        self._copied = 0
        file.touch()
        if fresh:
            blobs.delete(container, name)

    def copy(self) -> None:
        with self._file.open("rb") as stream:
            stream.seek(self._copied)
            while block := stream.read(BLOCK):
                self._blobs.append(self._container, self._name, block)
                self._copied += len(block)
