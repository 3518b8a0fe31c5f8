"""Building stores: what is decoded, what is left when it goes wrong, and who builds when several want to."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from etude.data.frames import build as building
from etude.data.frames import checking
from etude.data.frames.build import build_store, build_stores
from etude.data.frames.checking import OtherFramesError
from etude.data.frames.forms import Form
from etude.data.frames.reading import StoredFrames
from etude.data.frames.store import FrameStore, building_lock
from etude.errors import DatasetError, EtudeError, StorageError
from tests.data.frames.build_program import CAMERA, light_metadata
from tests.data.frames.datasets import FINGERPRINT, files_of, from_the_dataset, make_videos, table_of

FORMS = [Form("raw"), Form("zstd"), Form("jpeg")]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two cameras, four episodes, a video file for each."""
    sizes = {"near": (64, 96), "far": (60, 100)}
    return make_videos(tmp_path_factory.mktemp("moving") / "set", cameras=sizes, lengths=[12, 7, 15, 9], files=4)


def build(meta: Any, cache: Path, form: Form | None = None, **options: Any) -> FrameStore:
    return build_store(meta, FINGERPRINT, CAMERA, form or Form("raw"), cache=cache, workers=2, **options)


def start(meta: Any, cache: Path, form: str = "raw") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.data.frames.build_program", str(meta.root), str(cache), form]
    root = Path(__file__).resolve().parents[3]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def temporary_files(cache: Path) -> list[Path]:
    return list(cache.rglob(".tmp-*"))


def test_a_store_that_is_there_is_not_built_again(moving: Any, tmp_path: Path, monkeypatch: Any) -> None:
    first = build(moving, tmp_path)
    monkeypatch.setattr(building, "WorkerPool", None)
    assert build(moving, tmp_path).folder == first.folder


def test_only_the_files_of_the_wanted_episodes_are_decoded(moving: Any, tmp_path: Path) -> None:
    some = build(moving, tmp_path, episodes=[1, 2])
    assert some.info.frames == 22
    assert (some.info.shards, some.info.total_shards, some.info.is_complete) == (2, 4, False)
    assert FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path) is None
    kept = {name: data for name, data in files_of(some).items() if name != "store.json"}
    everything = build(moving, tmp_path)
    assert everything.info.is_complete
    assert {name: data for name, data in files_of(everything).items() if name in kept} == kept
    assert FrameStore.find(moving, FINGERPRINT, CAMERA, Form("raw"), tmp_path, [3]) is not None


def test_several_cameras_share_the_workers(moving: Any, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    stores = build_stores(
        moving,
        FINGERPRINT,
        moving.camera_keys,
        Form("raw"),
        cache=tmp_path,
        workers=3,
        progress=lambda _, done, total: said.append((done, total)),
    )
    assert {camera: store.info.shape for camera, store in stores.items()} == {
        "observation.images.near": (3, 64, 96),
        "observation.images.far": (3, 60, 100),
    }
    assert said[-1] == (86, 86)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_same_bytes_however_many_workers(
    moving: Any, tmp_path: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.data.frames import shard_build

    monkeypatch.setattr(shard_build, "RANGE_BYTES", 4 * 64 * 96 * 3)
    stores = [
        build_store(moving, FINGERPRINT, CAMERA, form, cache=tmp_path / str(workers), workers=workers)
        for workers in (1, 3)
    ]
    assert files_of(stores[0]) == files_of(stores[1])
    table = table_of(moving)
    rows = np.arange(len(table))
    if form.is_exact:
        assert torch.equal(
            StoredFrames(stores[1], table, moving).read(rows), from_the_dataset(moving, CAMERA, table, rows)
        )


@pytest.mark.parametrize("camera", ["observation.images.near", "observation.images.far"])
def test_little_work_is_done_without_array_libraries(
    moving: Any, tmp_path: Path, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are the same; rows of a width that decoders pad, too."""
    light = build_store(moving, FINGERPRINT, camera, Form("raw"), cache=tmp_path / "light", workers=2)
    monkeypatch.setattr(building, "LIGHT_PIXELS", 0)
    heavy = build_store(moving, FINGERPRINT, camera, Form("raw"), cache=tmp_path / "heavy", workers=2)
    assert files_of(light) == files_of(heavy)


@pytest.mark.parametrize("form", ["raw", "zstd"])
def test_a_build_that_is_killed_goes_on(moving: Any, tmp_path: Path, form: str) -> None:
    """Killed at random, again and again, until it is through: the bytes are those of a build in peace."""
    in_peace = build(moving, tmp_path / "peace", Form.parse(form))
    cache, moment = tmp_path / "killed", random.Random(form)
    for _ in range(4):
        process = start(moving, cache, form)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    after = build(moving, cache, Form.parse(form))
    assert files_of(after) == files_of(in_peace)
    assert after.verify() == []


def test_workers_end_with_a_parent_that_is_killed(moving: Any, tmp_path: Path) -> None:
    process = start(moving, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    workers = children_of(process.pid)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(worker) for worker in workers)


def children_of(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(child) for child in listed.split()]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_one_builds_and_the_others_use_it(moving: Any, tmp_path: Path) -> None:
    lock = building_lock(tmp_path / FINGERPRINT[:16] / CAMERA / "raw")
    assert lock.try_acquire()
    processes = [start(moving, tmp_path) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting for another process")
    lock.release()
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert all("built 43" in output for output in outputs)
    assert sum("decoding videos" in output for output in outputs) == 1


def test_a_damaged_video_is_named(moving: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(moving.root, root)
    meta = light_metadata(root)
    broken = sorted((root / "videos" / CAMERA).rglob("*.mp4"))[2]
    damage(broken)
    with pytest.raises(DatasetError) as raised:
        build(meta, tmp_path / "cache")
    assert str(broken) in raised.value.message
    assert "frame " in raised.value.message
    assert raised.value.hint is not None
    assert temporary_files(tmp_path / "cache") == []
    assert build(meta, tmp_path / "cache", episodes=[0, 1, 3]).info.shards == 3


def damage(video: Path) -> None:
    import av

    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position, size = packets[5].pos, packets[5].size
    with open(video, "r+b") as file:
        file.seek(position)
        file.write(b"\xff" * size)


def test_a_video_that_is_missing(moving: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(moving.root, root)
    missing = sorted((root / "videos" / CAMERA).rglob("*.mp4"))[1]
    missing.unlink()
    with pytest.raises(DatasetError, match="is missing"):
        build(light_metadata(root), tmp_path / "cache")


def test_a_decoder_that_crashes(moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process dies by a signal; the file it was at is told, and this process lives."""
    give = building.WorkerPool.give

    def give_and_crash(self: Any, job: Any, message: dict[str, Any]) -> None:
        give(self, job, message)
        if message["do"] == "decode":
            for worker in self._workers:
                if worker.job is job:
                    worker.process.send_signal(signal.SIGSEGV)

    monkeypatch.setattr(building.WorkerPool, "give", give_and_crash)
    with pytest.raises(DatasetError, match=r"videos/.*\.mp4.*was ended by SIGSEGV"):
        build(moving, tmp_path)
    assert temporary_files(tmp_path) == []


def test_a_full_disk_is_seen_before_the_start(moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    with pytest.raises(StorageError, match="is free"):
        build(moving, tmp_path)


def test_no_more_than_it_may_take(moving: Any, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="may be used"):
        build(moving, tmp_path, max_bytes=100_000)
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("form", ["raw", "zstd"])
def test_a_disk_that_fills_up(tmp_path: Path, moving: Any, form: str) -> None:
    """The kernel refuses to let a file grow; shards that were finished stay, and the build goes on later."""
    largest = max(path.stat().st_size for path in build(moving, tmp_path / "peace", Form(form)).folder.glob("*.frames"))  # type: ignore[arg-type]
    cache = tmp_path / "full"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1000, hard))
    try:
        with pytest.raises(StorageError, match="the disk is full"):
            build(moving, cache, Form(form))  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert temporary_files(cache) == []
    assert files_of(build(moving, cache, Form(form))) == files_of(build(moving, tmp_path / "peace", Form(form)))  # type: ignore[arg-type]


def test_a_folder_that_may_not_be_written(moving: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError):
        build(moving, tmp_path / "file" / "cache")


def test_a_decoder_that_disagrees_with_lerobot(moving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store is made of frames that LeRobot would decode otherwise."""
    decode = checking.Comparison._decode

    def other(self: Any, *arguments: Any) -> Any:
        return {number: frame ^ 1 for number, frame in decode(self, *arguments).items()}

    monkeypatch.setattr(checking.Comparison, "_decode", other)
    for form in FORMS:
        with pytest.raises(OtherFramesError, match="not the one that LeRobot decodes"):
            build(moving, tmp_path, form)
        assert FrameStore.find(moving, FINGERPRINT, CAMERA, form, tmp_path) is None


@pytest.mark.parametrize(
    "values",
    [{"name": "png"}, {"quality": 0}, {"width": 32}, {"width": 0, "height": 4}],
    ids=["name", "quality", "one side", "no width"],
)
def test_a_form_that_does_not_exist(values: dict[str, Any]) -> None:
    with pytest.raises(EtudeError):
        Form(**values)


@pytest.mark.parametrize("form", [Form(), Form("zstd", width=4, height=6), Form("jpeg", 80), Form("jpeg", 7, 12, 8)])
def test_a_form_is_told_by_its_folder(form: Form) -> None:
    assert Form.parse(form.folder_name) == form


def test_workers_import_no_heavy_library(moving: Any) -> None:
    code = (
        "import sys, etude.data.frames.decode_worker, etude.data.frames.plane_writer, etude.data.frames.video_ranges\n"
        "print([name for name in ('torch', 'lerobot', 'pyarrow', 'PIL', 'numpy', 'cv2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert found.stdout.strip() == "[]"
