"""What lies on the disk: finding it, finding damage, listing and removing it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.data.frames.build import build_store
from etude.data.frames.forms import Form
from etude.data.frames.location import cache_folder
from etude.data.frames.locks import FileLock
from etude.data.frames.reading import StoredFrames
from etude.data.frames.store import FrameStore, building_lock, list_stores, remove_store
from etude.errors import StorageError
from tests.data.frames.build_program import CAMERA
from tests.data.frames.datasets import FINGERPRINT, files_of, make_videos, table_of

FORMS = [Form("raw"), Form("zstd"), Form("jpeg")]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One camera, three episodes, a video file for each."""
    root = tmp_path_factory.mktemp("moving") / "set"
    return make_videos(root, cameras={"near": (64, 96)}, lengths=[12, 7, 15], files=3)


def build(meta: Any, cache: Path, form: Form | None = None) -> FrameStore:
    return build_store(meta, FINGERPRINT, CAMERA, form or Form("raw"), cache=cache, workers=2)


def find(meta: Any, cache: Path, form: Form | None = None) -> FrameStore | None:
    return FrameStore.find(meta, FINGERPRINT, CAMERA, form or Form("raw"), cache)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_flipped_bit_is_found(moving: Any, tmp_path: Path, form: Form) -> None:
    store = build(moving, tmp_path, form)
    assert store.verify() == []
    path = sorted(store.folder.glob("*.frames"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    problems = store.verify()
    assert len(problems) == 1
    assert str(path) in problems[0]


def test_a_file_that_was_cut_is_found_when_opened_and_built_again(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    before = files_of(store)
    path = sorted(store.folder.glob("*.frames"))[1]
    with open(path, "r+b") as file:
        file.truncate(1000)
    assert find(moving, tmp_path) is None
    assert any("1000 bytes" in problem for problem in store.verify())
    assert files_of(build(moving, tmp_path)) == before


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', '{"format": 999}', "[]"])
def test_a_damaged_description_is_built_again(moving: Any, tmp_path: Path, text: str) -> None:
    store = build(moving, tmp_path)
    before = files_of(store)
    names = sorted(path for path in store.folder.glob("*.json") if path.name != "store.json")
    names[0].write_text(text)
    assert find(moving, tmp_path) is None
    assert store.verify()
    assert files_of(build(moving, tmp_path)) == before


def test_another_dataset_or_version_is_not_ours(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    about = json.loads((store.folder / "store.json").read_text())
    for change in ({"fingerprint": FINGERPRINT[:16] + "0" * 48}, {"format": 999}):
        (store.folder / "store.json").write_text(json.dumps(about | change))
        assert find(moving, tmp_path) is None
        assert build(moving, tmp_path).verify() == []


def test_listing_tells_what_was_built(moving: Any, tmp_path: Path) -> None:
    assert list_stores(tmp_path / "nothing") == []
    for form in FORMS:
        build(moving, tmp_path, form)
    infos = {info.form.name: info for info in list_stores(tmp_path)}
    assert set(infos) == {"raw", "zstd", "jpeg"}
    raw = infos["raw"]
    assert (raw.camera, raw.repo_id, raw.root) == (CAMERA, "some/name", str(moving.root))
    assert (raw.frames, raw.shape, raw.dtype, raw.is_complete) == (34, (3, 64, 96), "uint8", True)
    assert raw.bytes == 34 * 3 * 64 * 96
    assert infos["jpeg"].error is not None
    assert raw.error is None
    assert abs(raw.last_used - time.time()) < 600


def test_what_is_no_store_does_not_stop_the_list(moving: Any, tmp_path: Path) -> None:
    build(moving, tmp_path)
    other = tmp_path / "some" / "other" / "folder"
    other.mkdir(parents=True)
    (other / "store.json").write_text("{}")
    assert len(list_stores(tmp_path)) == 1


def test_removing_frees_it_and_leaves_nothing(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path / "cache")
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    assert remove_store(store.info) == size
    assert list((tmp_path / "cache").rglob("*")) == []
    assert find(moving, tmp_path / "cache") is None


def test_a_store_in_use_is_not_removed(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    first, second = (StoredFrames(store, table_of(moving), moving) for _ in range(2))
    first.close()
    with pytest.raises(StorageError, match="being read"):
        remove_store(store.info)
    assert second.read(np.arange(2)).shape == (2, 3, 64, 96)
    del second
    assert remove_store(store.info) > 0


def test_a_store_that_is_being_built_is_not_removed(moving: Any, tmp_path: Path) -> None:
    store = build(moving, tmp_path)
    with building_lock(store.folder), pytest.raises(StorageError, match="being built"):
        remove_store(store.info)


def test_a_lock_on_a_file_that_was_removed_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    code = (
        "import sys, pathlib\nfrom etude.data.frames.locks import FileLock\n"
        "lock = FileLock(pathlib.Path(sys.argv[1]))\nlock.acquire(lambda: print('waiting', flush=True))\n"
        "print('has it', flush=True)\nsys.stdin.read()"
    )
    first = FileLock(path)
    first.acquire()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    path.unlink()
    first.release()
    assert process.stdout.readline() == "has it\n"
    assert not FileLock(path).try_acquire()
    process.communicate()
    assert FileLock(path).try_acquire()


def test_where_stores_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "frames"
    assert cache_folder(tmp_path / "other") == tmp_path / "other"
    monkeypatch.delenv("ETUDE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "etude" / "frames"
    assert list(tmp_path.iterdir()) == []
