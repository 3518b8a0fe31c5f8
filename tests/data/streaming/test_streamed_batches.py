"""Streamed batches against those of a dataset that is here, and against LeRobot's own streaming reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.data.batches import Batch, BatchSource
from etude.data.demonstrations import PictureSettings
from etude.data.pictures import ImageColumn, VideoFiles
from etude.data.sources import StreamLocation, locate_stream
from etude.data.split import EpisodeSplit
from etude.data.streaming import StreamedDemonstrations
from etude.data.streaming.source import PATIENCE, PATIENCE_BATCHES, StreamSource
from etude.data.table import FrameTable
from etude.errors import DatasetError
from tests.data.test_batches import ACT, DIFFUSION, SMOLVLA, TDMPC, make_depth_dataset, make_image_dataset, with_cameras

LONG = {"action": list(range(-120, 130))}


def open_stream(root: Path, deltas: dict[str, list[int]]) -> tuple[Any, StreamSource]:
    location = StreamLocation("some/name", root)
    meta = location.open_metadata()
    streamed = StreamedDemonstrations(meta, EpisodeSplit(list(range(meta.total_episodes)), []), location)
    streamed.open_pictures(meta.camera_keys, PictureSettings())
    return meta, streamed.source(with_cameras(deltas, meta))


def whole(meta: Any, deltas: dict[str, list[int]]) -> BatchSource:
    """The same dataset, read as one that is here."""
    table = FrameTable.load(Path(meta.root), meta.features, None)
    readers = {
        key: VideoFiles(meta, key, table, backend=None, tolerance_s=1e-4)
        if key in meta.video_keys
        else ImageColumn(meta, key, table)
        for key in meta.camera_keys
    }
    return BatchSource(
        table,
        readers,
        delta_indices=with_cameras(deltas, meta),
        tasks=[str(name) for name in meta.tasks.index],
        squeeze=frozenset(meta.video_keys),
    )


def assert_same(found: Batch, expected: Batch) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[key].dtype == value.dtype, key
            assert torch.equal(found[key], value), key
        else:
            assert found[key] == value, key


@pytest.mark.parametrize(
    "deltas", [ACT, DIFFUSION, SMOLVLA, TDMPC, LONG], ids=["act", "diffusion", "smolvla", "tdmpc", "long"]
)
def test_any_rows_of_many_files(many_files: Path, deltas: dict[str, list[int]]) -> None:
    meta, stream = open_stream(many_files, deltas)
    here = whole(meta, deltas)
    random = np.random.default_rng(1)
    for size in (1, 7, 16):
        rows = random.choice(meta.total_frames, size, replace=False)
        assert_same(stream.batch(rows), here.batch(rows))
        assert stream.unpadded("action", rows) == here.unpadded("action", rows)


@pytest.mark.parametrize("make", [make_image_dataset, make_depth_dataset], ids=["pictures", "depth"])
def test_pictures_in_tables_and_depth(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "set")
    meta, stream = open_stream(tmp_path / "set", DIFFUSION)
    rows = np.random.default_rng(2).choice(meta.total_frames, 9, replace=False)
    assert_same(stream.batch(rows), whole(meta, DIFFUSION).batch(rows))


@pytest.mark.parametrize("deltas", [ACT, DIFFUSION], ids=["act", "diffusion"])
def test_samples_are_lerobots(shared_data: Path, deltas: dict[str, list[int]]) -> None:
    """Of a dataset with a single video: LeRobot's reader (0.6.1) cannot decode the second of several."""
    from lerobot.datasets.streaming_dataset import StreamingLeRobotDataset

    root = shared_data / "pusht-human"
    meta, stream = open_stream(root, deltas)
    theirs = StreamingLeRobotDataset(
        "some/name",
        root=root,
        delta_timestamps={k: [d / meta.fps for d in v] for k, v in with_cameras(deltas, meta).items()},
        buffer_size=1,
        return_uint8=True,
    )
    for place, expected in enumerate(theirs):
        if place % 29 == 0:  # the first frames of the dataset, over the end of its first episodes
            ours = stream.batch(np.array([int(expected["index"])]))
            assert ours.keys() == expected.keys()
            assert ours["task"] == [expected["task"]]
            for key in expected.keys() - {"task"}:
                value = torch.as_tensor(expected[key])
                assert torch.equal(ours[key][0], value.to(ours[key].dtype)), (key, place)
        if place == 400:
            break


def test_cameras_nobody_looks_at_are_not_fetched(tmp_path: Path) -> None:
    make_image_dataset(tmp_path / "set")
    location = StreamLocation("some/name", tmp_path / "set")
    meta = location.open_metadata()
    streamed = StreamedDemonstrations(meta, EpisodeSplit([0, 1, 2], []), location)
    streamed.open_pictures(["observation.images.left"], PictureSettings())
    batch = streamed.source({"action": [0, 1], "observation.images.right": [0]}).batch(np.arange(3))
    assert "observation.images.left" in batch
    assert not [key for key in batch if key.startswith("observation.images.right")]


def test_files_that_are_behind_are_let_go(many_files: Path) -> None:
    _, stream = open_stream(many_files, {"action": [0]})
    stream.batch(np.array([0]))
    assert list(stream._open) == [0]
    last = int(stream._index.start[-1])
    for count in range(PATIENCE // 256 + 1 + PATIENCE_BATCHES):
        stream.batch(np.full(256, last))
        stream.will_batch(np.array([0] if count < 3 else [last]))
    assert 0 not in stream._open
    stream.will_batch(np.array([0]))
    assert 0 in stream._open  # it comes while the next batches are made


def test_a_data_file_that_is_missing_or_of_another_dataset(many_files: Path, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(many_files, tmp_path / "set"))
    files = sorted((root / "data").glob("*/*.parquet"))
    _, stream = open_stream(root, {"action": [0]})
    shutil.copy(files[0], files[1])
    with pytest.raises(DatasetError, match="does not hold the episodes that the metadata says"):
        stream.batch(np.arange(stream._meta.total_frames))
    files[1].write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match=f"cannot read data/.*{files[1].name}"):
        stream.batch(np.arange(stream._meta.total_frames))
    files[1].unlink()
    with pytest.raises(DatasetError, match="data files; its metadata names"):
        open_stream(root, {"action": [0]})


def test_a_video_that_is_missing(many_files: Path, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(many_files, tmp_path / "set"))
    sorted((root / "videos").glob("*front/*/*.mp4"))[0].unlink()
    _, stream = open_stream(root, {"action": [0]})
    with pytest.raises(DatasetError, match=r"file-000.mp4: frames of episode 0 cannot be read"):
        stream.batch(np.array([3]))


def test_what_is_streamed_from_where(many_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    assert locate_stream("some/name", many_files) == StreamLocation("some/name", many_files)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "set").symlink_to(many_files)
    assert locate_stream("user/set").folder == tmp_path / "user" / "set"
    remote = locate_stream("user/other", revision="refs/pr/1")
    assert (remote.is_remote, remote.address) == (True, "hf://datasets/user/other@refs%2Fpr%2F1")
    assert locate_stream("user/b", repo_type="bucket").address == "hf://buckets/user/b"
    with pytest.raises(DatasetError, match="there is no folder"):
        locate_stream("user/other", tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"offline|cannot be reached"):
        locate_stream("user/other")


def test_an_older_format_is_refused(shared_data: Path) -> None:
    with pytest.raises(DatasetError, match="a stream cannot be converted") as refusal:
        locate_stream(None, shared_data / "cr5-real-v21")
    assert "etude data convert" in str(refusal.value.hint)
