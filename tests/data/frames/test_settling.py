"""A store that was written and not yet synced: read at once, and compared with its checksums after a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from etude.data.frames import settling
from etude.data.frames.build import build_store
from etude.data.frames.forms import Form
from etude.data.frames.settling import boot_id, settle, settle_in_background
from etude.data.frames.store import FrameStore
from etude.errors import StorageError
from tests.data.frames.build_program import CAMERA
from tests.data.frames.datasets import FINGERPRINT, files_of, make_videos

pytestmark = pytest.mark.skipif(not boot_id(), reason="this system does not name its boots")


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One camera, three video files."""
    root = tmp_path_factory.mktemp("settling") / "set"
    return make_videos(root, cameras={"near": (64, 96)}, lengths=[12, 7, 15], files=3)


def build(meta: Any, cache: Path, form: str = "raw") -> FrameStore:
    return build_store(meta, FINGERPRINT, CAMERA, Form(form), cache=cache, workers=2)  # type: ignore[arg-type]


def boots(store: FrameStore) -> set[str]:
    """What the JSON files on the disk say."""
    names = [path for path in store.folder.glob("*.json") if path.name != "store.json"]
    return {json.loads(path.read_text()).get("boot", "").strip() for path in names}


def restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if the machine had been started anew."""
    other = tmp_path / "boot_id"
    other.write_text("00000000-0000-4000-8000-000000000000\n")
    monkeypatch.setattr(settling, "BOOT_ID", other)


@pytest.mark.parametrize("form", ["raw", "jpeg"])
def test_a_new_store_says_in_which_boot_it_was_written_until_it_is_synced(
    moving: Any, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = build(moving, tmp_path, form)
    assert boots(store) == {boot_id()}
    before = files_of(store)
    synced: list[str] = []
    sync = os.fsync
    monkeypatch.setattr(
        settling.os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), sync(file))
    )
    settle(store.placed_shards())
    assert boots(store) == {""}
    for name in store.shards.values():  # the frames before the JSON file that says so
        frames, about = (str(store.folder / f"{name.name}.{ending}") for ending in ("frames", "json"))
        assert synced.index(frames) < synced.index(about)
    assert {name: data for name, data in files_of(store).items() if name.endswith(".frames")} == {
        name: data for name, data in before.items() if name.endswith(".frames")
    }
    restart(monkeypatch, tmp_path)
    found = FrameStore.find(moving, FINGERPRINT, CAMERA, Form(form), tmp_path)  # type: ignore[arg-type]
    assert found is not None
    assert found.verify() == []


def test_what_a_crash_lost_is_built_again(moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = build(moving, tmp_path)
    before = files_of(store)
    lost = sorted(store.folder.glob("*.frames"))[1]
    size = lost.stat().st_size
    with open(lost, "r+b") as file:  # as a file system leaves it: the length is there, the end is not
        file.truncate(size // 2)
        file.truncate(size)
    in_this_boot = FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path)
    assert in_this_boot is not None  # without a restart nothing can be lost, and nothing is read
    restart(monkeypatch, tmp_path)
    assert FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path) is None
    again = build(moving, tmp_path)
    assert {name: data for name, data in files_of(again).items() if name.endswith(".frames")} == {
        name: data for name, data in before.items() if name.endswith(".frames")
    }
    assert again.verify() == []


def test_what_a_crash_spared_is_kept_and_looked_at_once(
    moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = build(moving, tmp_path)
    restart(monkeypatch, tmp_path)
    assert FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path) is not None
    assert boots(store) == {""}


def test_a_shard_that_is_removed_meanwhile_stays_removed(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    names = sorted(path for path in store.folder.glob("*.json") if path.name != "store.json")
    names[0].unlink()
    settle(store.placed_shards())
    assert not names[0].exists()
    assert boots(store) == {""}


def test_in_the_background(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    thread = settle_in_background(store.placed_shards())
    assert thread is not None
    thread.join()
    assert boots(store) == {""}
    found = FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path)
    assert found is not None
    assert settle_in_background(found.placed_shards()) is None


def test_a_disk_that_fails_is_told(moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = build(moving, tmp_path)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(settling.os, "fsync", fail)
    with pytest.raises(StorageError, match="cannot be written: Input/output error"):
        settle(store.placed_shards())
    thread = settle_in_background(store.placed_shards())
    assert thread is not None
    thread.join()
    assert boots(store) == {boot_id()}
