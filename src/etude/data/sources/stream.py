"""Where a stream comes from: a folder that holds the dataset, or the hub, of which only the metadata is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from etude.data.sources import hub
from etude.data.sources.info import V30, UnreadableError
from etude.data.sources.layout import read_layout
from etude.data.sources.location import DatasetLocation, locate
from etude.errors import DatasetError

__all__ = ["StreamLocation", "locate_stream"]


@dataclass(frozen=True)
class StreamLocation:
    """What a stream is read from.

    Attributes:
        folder: holds the whole dataset; None when it is on the hub.
        revision: of the dataset on the hub: a branch, a tag or a commit.
        repo_type: dataset | bucket.
    """

    repo_id: str
    folder: Path | None
    revision: str | None = None
    repo_type: str = "dataset"

    def __str__(self) -> str:
        return str(self.folder or self.address)

    @property
    def is_remote(self) -> bool:
        return self.folder is None

    @property
    def address(self) -> str:
        """Of the dataset on the hub, as fsspec opens it."""
        if self.repo_type == "bucket":
            return f"hf://buckets/{self.repo_id}"
        return f"hf://datasets/{self.repo_id}" + (f"@{quote(self.revision, safe='')}" if self.revision else "")

    @property
    def root(self) -> Path | str:
        """The folder, or else the address."""
        return self.folder or self.address

    @property
    def check_hint(self) -> str:
        return f"etude data check {self.folder or self.repo_id}"

    @property
    def retry_hint(self) -> str:
        return "check the network and resume the run" if self.is_remote else self.check_hint

    def open_metadata(self) -> Any:
        """LeRobot's `LeRobotDatasetMetadata`; from the hub, `meta/` is downloaded.

        Raises:
            DatasetError: the hub cannot be reached, or has no such dataset in format v3.0.
        """
        from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

        return self._from_hub(
            lambda: LeRobotDatasetMetadata(
                self.repo_id, root=self.folder, revision=self.revision, repo_type=self.repo_type
            )
        )

    def open_reader(self) -> Any:
        """LeRobot's `StreamingLeRobotDataset`.

        Raises:
            DatasetError: as `open_metadata`.
        """
        from lerobot.datasets.streaming_dataset import StreamingLeRobotDataset

        return self._from_hub(
            lambda: StreamingLeRobotDataset(
                self.repo_id,
                root=self.folder,
                revision=self.revision,
                repo_type=self.repo_type,
                return_uint8=True,
            )
        )

    def _from_hub(self, make: Any) -> Any:
        from lerobot.datasets.utils import CompatibilityError

        try:
            return hub.explained(make, self.repo_id, self.revision)
        except CompatibilityError as error:
            raise DatasetError(
                f"{self} is not in format {V30}, and a stream cannot be converted",
                hint="leave --dataset.streaming out: the dataset is downloaded, and converted where that is possible",
            ) from error
        except FileNotFoundError as error:  # what `datasets` says of a hub that it cannot reach, too
            raise DatasetError(
                f"{self} cannot be opened: {str(error).partition(chr(10))[0][:300]}", hint=self.retry_hint
            ) from error


def locate_stream(
    repo_id: str | None, root: str | Path | None = None, revision: str | None = None, repo_type: str = "dataset"
) -> StreamLocation:
    """Find what to stream: a named folder, a complete copy on this machine, else the hub. Nothing is downloaded.

    Raises:
        DatasetError: there is no such folder, it holds no dataset, or nothing was named.
    """
    if repo_type == "bucket" and repo_id:
        return StreamLocation(repo_id, None, revision, repo_type)
    try:
        found = locate(repo_id, root, revision, download=False)
    except UnreadableError:
        raise
    except DatasetError:
        if root is not None or not repo_id or "/" not in repo_id or Path(repo_id).expanduser().exists():
            raise
        return StreamLocation(repo_id, None, revision or hub.best_revision(repo_id))
    if found.version != V30:
        raise DatasetError(
            f"{found.root} is in format {found.version}, and a stream cannot be converted",
            hint=f"etude data convert {found.root}",
        )
    if found.origin == "cache" and not _is_complete(found):
        return StreamLocation(found.repo_id, None, revision or hub.best_revision(found.repo_id))
    return StreamLocation(found.repo_id, found.root, revision)


def _is_complete(found: DatasetLocation) -> bool:
    try:
        return not read_layout(found.root).missing_files()
    except UnreadableError:
        return False
