"""From a name to a folder: paths first, then LeRobot's home, the hub's cache, and the hub itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub import errors as hub_errors

from etude.data.sources import DatasetLocation, UnreadableError, locate
from etude.errors import DatasetError, StorageError


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("HF_LEROBOT_HOME", str(home))
    return home


def put(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def test_a_folder_is_taken_as_root_or_as_name(shared_data: Path) -> None:
    folder = shared_data / "cr5-real-v30"
    expected = DatasetLocation("cr5-real-v30", folder, "folder", "v3.0")
    assert locate(None, folder) == locate(str(folder)) == expected
    assert locate("someone/arm", folder).repo_id == "someone/arm"


def test_a_folder_wins_over_the_hub(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    put(shared_data / "cr5-real-v30", tmp_path / "user" / "arm")
    put(shared_data / "cr5-real-v21", own_home / "user" / "arm")
    monkeypatch.chdir(tmp_path)
    assert locate("user/arm").origin == "folder"
    monkeypatch.chdir("/")
    found = locate("user/arm")
    assert (found.origin, found.version, found.root) == ("home", "v2.1", own_home / "user" / "arm")


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda root: None, "there is no folder", "data"),
        (lambda root: root.mkdir(), "is empty", "meta/info.json"),
        (lambda root: (root / "videos").mkdir(parents=True), "is not a LeRobot dataset", "meta/info.json"),
        (lambda root: root.write_text("x"), "is a file", "folder"),
        (lambda root: (root / "one/meta").mkdir(parents=True) or (root / "one/meta/info.json").touch(),
         "is not a LeRobot dataset", "one"),
    ],
)  # fmt: skip
def test_what_is_no_dataset(tmp_path: Path, make: Callable[[Path], Any], message: str, hint: str) -> None:
    root = tmp_path / "data"
    make(root)
    for arguments in [(None, root), (str(root), None)]:
        with pytest.raises(DatasetError, match=message) as refusal:
            locate(*arguments)
        assert str(root) in refusal.value.message
        assert hint in (refusal.value.hint or "")


def test_a_slip_of_the_finger_gets_the_nearest_folder(shared_data: Path) -> None:
    with pytest.raises(DatasetError) as refusal:
        locate(None, shared_data / "pusht-humn")
    assert "pusht-human" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    ("version", "hint"), [("v2.0", "convert"), ("v1.6", "convert"), ("v3.1", "newer etude"), ("beta", None)]
)
def test_other_formats_are_refused(shared_data: Path, tmp_path: Path, version: str, hint: str | None) -> None:
    root = put(shared_data / "cr5-real-v30", tmp_path / "arm")
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, "codebase_version": version}))
    with pytest.raises(DatasetError, match=version) as refusal:
        locate(None, root)
    assert (hint or "") in (refusal.value.hint or "")


def test_a_truncated_info_is_named(shared_data: Path, tmp_path: Path) -> None:
    root = put(shared_data / "cr5-real-v30", tmp_path / "arm")
    (root / "meta/info.json").write_text('{"codebase_version": "v3.')
    with pytest.raises(UnreadableError, match=r"meta/info\.json is not readable as JSON"):
        locate(None, root)


def test_nothing_is_named() -> None:
    with pytest.raises(DatasetError, match="no dataset was named"):
        locate(None)


def test_offline_is_said_plainly(own_home: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be downloaded: this machine is set to offline") as refusal:
        locate("user/arm")
    assert "HF_HUB_OFFLINE" in (refusal.value.hint or "")
    with pytest.raises(DatasetError, match=r"there is no folder .*, and the dataset user/arm cannot be"):
        locate("user/arm", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    with pytest.raises(DatasetError, match="not on this machine"):
        locate("user/arm", download=False)


REQUEST = httpx.Request("GET", "https://hub")


def answered(status: int) -> httpx.Response:
    return httpx.Response(status, request=REQUEST)


@pytest.mark.parametrize(
    ("problem", "kind", "message"),
    [
        (
            hub_errors.RepositoryNotFoundError("x", response=answered(404)),
            DatasetError,
            "the hub has none of this name",
        ),
        (hub_errors.GatedRepoError("x", response=answered(403)), DatasetError, "granted by its owner"),
        (hub_errors.HfHubHTTPError("x", response=answered(500)), DatasetError, "the hub answered 500"),
        (httpx.ConnectError("no route"), DatasetError, "cannot be reached"),
        (hub_errors.LocalEntryNotFoundError("x"), DatasetError, "cannot be reached"),
        (OSError(28, "No space left on device"), StorageError, "No space left"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_the_hub_refuses(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, kind: type[Exception], message: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(kind, match=message) as refusal:
        locate("user/arm", revision="v3.0")
    assert getattr(refusal.value, "hint", None)


@pytest.fixture
def hub(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A hub with one dataset, `user/arm`; the requests it got."""
    requests: list[dict[str, Any]] = []

    def give(repo_id: str, *, local_dir: Path | None = None, cache_dir: Path | None = None, **rest: Any) -> str:
        requests.append({"repo_id": repo_id, **rest})
        target = local_dir or Path(cache_dir) / "datasets--user--arm" / "snapshots" / "abc"  # type: ignore[arg-type]
        shutil.copytree(shared_data / "cr5-real-v30", target, dirs_exist_ok=True, copy_function=shutil.copyfile)
        if cache_dir:
            references = target.parent.parent / "refs"
            references.mkdir(exist_ok=True)
            (references / "v3.0").write_text("abc")
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return str(target)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", give)
    return requests


def test_downloads_go_to_the_cache_and_are_found_there(own_home: Path, hub: list[dict[str, Any]]) -> None:
    first = locate("user/arm", revision="v3.0")
    assert first.origin == "hub"
    again = locate("user/arm")
    assert (again.origin, again.root) == ("cache", first.root)
    assert len(hub) == 1


def test_an_incomplete_copy_is_completed(own_home: Path, hub: list[dict[str, Any]]) -> None:
    root = locate("user/arm", revision="v3.0").root
    shutil.rmtree(root / "videos")
    assert locate("user/arm", revision="v3.0").origin == "hub"
    assert len(hub) == 2


def test_an_incomplete_copy_without_a_hub_names_the_file(
    own_home: Path, hub: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = locate("user/arm", revision="v3.0").root
    shutil.rmtree(root / "videos")
    monkeypatch.undo()
    monkeypatch.setenv("HF_LEROBOT_HOME", str(own_home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DatasetError, match=r"file-000\.mp4 is missing, and the dataset user/arm cannot"):
        locate("user/arm")


def test_a_root_that_is_absent_or_empty_is_where_the_download_goes(
    own_home: Path, hub: list[dict[str, Any]], tmp_path: Path
) -> None:
    for folder in (tmp_path / "new", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        assert locate("user/arm", folder, revision="v3.0") == DatasetLocation("user/arm", folder, "hub")
        assert (folder / "meta/info.json").is_file()
        assert locate("user/arm", folder).origin == "folder"
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]
