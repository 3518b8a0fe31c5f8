"""From what a person names to a folder with a dataset in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from etude.data.sources import hub
from etude.data.sources.info import V21, V30, UnreadableError, read_info
from etude.errors import DatasetError, nearest

__all__ = ["DatasetLocation", "locate"]


@dataclass(frozen=True)
class DatasetLocation:
    """Where a dataset lies on this machine.

    Attributes:
        repo_id: its name; that of the folder where it has no other.
        origin: `folder` (a path was given), `home` ($HF_LEROBOT_HOME), `cache` (the hub's cache), `hub`
            (downloaded just now) or `converted` (a converted copy in the cache).
        version: the format's, `v3.0` or `v2.1`.
    """

    repo_id: str
    root: Path
    origin: str
    version: str = V30


# A folder that was given without a name is called `local/FOLDER`; the hub knows nothing of it.
MADE_UP = "local/"


def locate(
    repo_id: str | None,
    root: str | Path | None = None,
    revision: str | None = None,
    download: bool = True,
) -> DatasetLocation:
    """Find a dataset: a named folder, then $HF_LEROBOT_HOME, then the hub's cache, then the hub itself.

    `repo_id` may be the path of a folder as well. With both, a `root` that is absent or empty is where the
    download goes, as in LeRobot.

    Raises:
        DatasetError: there is no such dataset, it cannot be downloaded, or it is of a version before 2.1.
    """
    if root is None and not repo_id:
        raise DatasetError(
            "no dataset was named", hint="name one with --dataset.root=DIR or --dataset.repo_id=USER/NAME"
        )
    if root is not None:
        return _at_root(repo_id, Path(root).expanduser(), revision, download)
    assert repo_id is not None
    folder = Path(repo_id).expanduser()
    if folder.exists() or not _is_hub_id(repo_id):
        return _at_root(None, folder, revision, download=False)
    return _by_id(repo_id, revision, download)


def _at_root(repo_id: str | None, folder: Path, revision: str | None, download: bool) -> DatasetLocation:
    vacant = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    named = repo_id is not None and not repo_id.startswith(MADE_UP) and not Path(repo_id).exists()
    if vacant and download and repo_id and named and _is_hub_id(repo_id):
        hub.download_to(repo_id, folder, revision, because=_vacancy(folder))
        return _opened(repo_id, folder, "hub")
    return _opened(repo_id or folder.resolve().name, folder, "folder")


def _by_id(repo_id: str, revision: str | None, download: bool) -> DatasetLocation:
    home = hub.lerobot_home() / repo_id
    if (home / "meta" / "info.json").is_file():
        return _opened(repo_id, home, "home")
    cached = hub.cached_snapshot(repo_id, revision)
    lacking = _first_missing(cached) if cached is not None else None
    if cached is not None and (lacking is None or not download):
        return _opened(repo_id, cached, "cache")
    if not download:
        raise DatasetError(
            f"the dataset {repo_id} is not on this machine: no folder of that name, nothing in {home}, "
            "nothing in the hub's cache",
            hint="check the name, or name its folder with --dataset.root=DIR",
        )
    because = f"{cached}/{lacking} is missing" if lacking else ""
    return _opened(repo_id, hub.download(repo_id, revision, because), "hub")


def _first_missing(root: Path) -> str | None:
    """The first file that a cached copy lacks: a download that was stopped, or of some episodes only."""
    from etude.data.sources.layout import read_layout

    try:
        missing = read_layout(root).missing_files()
    except UnreadableError:
        return None  # broken rather than incomplete; who reads it is told
    return missing[0][0] if missing else None


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"[\w][\w.-]*(/[\w][\w.-]*)?", name) is not None and ".." not in name


def _opened(repo_id: str, folder: Path, origin: str) -> DatasetLocation:
    """The location of a folder that holds a dataset of a version that can be used."""
    if not (folder / "meta" / "info.json").is_file():
        raise DatasetError(_not_a_dataset(folder), hint=_hint_for(folder))
    version = read_info(folder).version
    if version not in (V21, V30):
        raise _unsupported(folder, version)
    return DatasetLocation(repo_id, folder, origin, version)


def _not_a_dataset(folder: Path) -> str:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return _vacancy(folder)
    if folder.is_file():
        return f"{folder} is a file; a dataset is a folder"
    return f"{folder} is not a LeRobot dataset: meta/info.json is missing"


def _vacancy(folder: Path) -> str:
    return f"the folder {folder} is empty" if folder.exists() else f"there is no folder {folder}"


def _hint_for(folder: Path) -> str:
    for parent in folder.absolute().parents:
        if (parent / "meta" / "info.json").is_file():
            return f"it lies inside the dataset {parent}"
    if folder.is_dir():
        inside = sorted(path.parent.parent for depth in (1, 2) for path in folder.glob("*/" * depth + "meta/info.json"))
        if inside:
            return f"datasets inside it: {', '.join(map(str, inside[:5]))}"
    elif folder.parent.is_dir():
        close = nearest(folder.name, (path.name for path in folder.parent.iterdir() if path.is_dir()))
        if close:
            return f"did you mean {folder.parent / close[0]}?"
    return "a dataset folder holds meta/info.json, data/ and, with cameras, videos/"


def _unsupported(folder: Path, version: str) -> DatasetError:
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if number and number < (2, 1):
        return UnreadableError(
            "version-unsupported",
            f"{folder} is a dataset of format {version}; {V30} is needed, and {V21} can be converted",
            hint="bring it to v2.1 first with LeRobot 0.3 (`python -m "
            "lerobot.datasets.v21.convert_dataset_v20_to_v21 "
            "--repo-id=USER/NAME`), then: etude data convert DIR",
        )
    if number and number > (3, 0):
        return UnreadableError(
            "version-unsupported",
            f"{folder} is a dataset of format {version}, newer than {V30}, the newest that is known here",
            hint="install a newer etude",
        )
    return UnreadableError("version-unsupported", f"{folder} has an unknown format version {version!r}")


def default_cache() -> Path:
    """Where converted copies go: $ETUDE_CACHE, else $XDG_CACHE_HOME/etude, else ~/.cache/etude."""
    given = os.environ.get("ETUDE_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "etude"
