"""Frames read from a store against those that LeRobot decodes from the dataset's own files."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.data.frames.build import build_store, build_stores
from etude.data.frames.checking import OtherFramesError
from etude.data.frames.forms import Form
from etude.data.frames.reading import StoredFrames
from etude.errors import DatasetError, StorageError
from tests.data.frames.datasets import FINGERPRINT, from_the_dataset, make_videos, metadata, table_of
from tests.data.test_batches import make_depth_dataset, make_image_dataset

EXACT = [Form("raw"), Form("zstd")]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two cameras, four episodes, a video file for each."""
    sizes = {"near": (64, 96), "far": (48, 80)}
    return make_videos(tmp_path_factory.mktemp("moving") / "set", cameras=sizes, lengths=[12, 7, 15, 9], files=4)


@pytest.mark.parametrize("form", EXACT, ids=lambda form: form.name)
@pytest.mark.parametrize("camera", ["observation.images.near", "observation.images.far"])
def test_every_frame_of_every_episode(moving: Any, tmp_path: Path, form: Form, camera: str) -> None:
    store = build_store(moving, FINGERPRINT, camera, form, cache=tmp_path, workers=2)
    table = table_of(moving)
    assert len(store.shards) == 4
    reader = StoredFrames(store, table, moving, threads=2)
    rows = np.random.default_rng(0).permutation(len(table))
    assert torch.equal(reader.read(rows), from_the_dataset(moving, camera, table, rows))


@pytest.mark.parametrize("form", EXACT, ids=lambda form: form.name)
def test_a_real_arm(shared_data: Path, tmp_path: Path, form: Form) -> None:
    meta = metadata(shared_data / "cr5-real-v30")
    store = build_store(meta, FINGERPRINT, "observation.images.top", form, cache=tmp_path, workers=2)
    table = table_of(meta)
    rows = np.random.default_rng(0).choice(len(table), 40)
    reader = StoredFrames(store, table, meta, threads=2, memory_bytes=2**30)
    assert reader.shape == (3, 480, 640)
    assert torch.equal(reader.read(rows), from_the_dataset(meta, "observation.images.top", table, rows))
    assert store.info.frames == 530
    assert store.info.pixel_format == "yuv420p"


def test_a_long_video_of_a_real_task(shared_data: Path, tmp_path: Path) -> None:
    """Late times of a long video are rounded in single precision, which LeRobot compares in."""
    meta = metadata(shared_data / "pusht-human")
    store = build_store(meta, FINGERPRINT, "observation.image", Form("raw"), cache=tmp_path, workers=2)
    table = table_of(meta, [0, 100, 205])
    reader = StoredFrames(store, table, meta)
    rows = np.random.default_rng(0).choice(len(table), 64)
    assert torch.equal(reader.read(rows), from_the_dataset(meta, "observation.image", table, rows))


@pytest.mark.parametrize("form", [*EXACT, Form("jpeg")], ids=lambda form: form.name)
@pytest.mark.parametrize("unit", ["mm", "m"])
def test_depth_in_videos_and_in_pictures(tmp_path: Path, form: Form, unit: str) -> None:
    """JPEG never applies to depth: it is stored without loss instead."""
    make_depth_dataset(tmp_path / "set")
    meta = metadata(tmp_path / "set")
    table = table_of(meta)
    cameras = ["observation.images.near", "observation.images.far"]
    stores = build_stores(meta, FINGERPRINT, cameras, form, cache=tmp_path / "cache", workers=2)
    rows = np.random.default_rng(0).choice(len(table), 20)
    for camera, store in stores.items():
        reader = StoredFrames(store, table, meta, depth_unit=unit)
        found = reader.read(rows)
        assert found.dtype == reader.dtype == torch.float32
        assert torch.equal(found, from_the_dataset(meta, camera, table, rows, unit))
        assert store.info.form.is_exact


@pytest.mark.parametrize("form", EXACT, ids=lambda form: form.name)
def test_pictures_in_the_tables(tmp_path: Path, form: Form) -> None:
    make_image_dataset(tmp_path / "set")
    meta = metadata(tmp_path / "set")
    table = table_of(meta, [0, 2])
    stores = build_stores(meta, FINGERPRINT, meta.camera_keys, form, cache=tmp_path / "cache", workers=2)
    rows = np.random.default_rng(0).choice(len(table), 20)
    for camera, store in stores.items():
        reader = StoredFrames(store, table, meta)
        assert torch.equal(reader.read(rows), from_the_dataset(meta, camera, table, rows))


def test_jpeg_is_near_and_says_how_near(moving: Any, tmp_path: Path) -> None:
    camera = "observation.images.near"
    store = build_store(moving, FINGERPRINT, camera, Form("jpeg", 95), cache=tmp_path, workers=2)
    table = table_of(moving)
    rows = np.arange(len(table))
    found = StoredFrames(store, table, moving, threads=2).read(rows)
    exact = from_the_dataset(moving, camera, table, rows)
    difference = (found.int() - exact.int()).abs()
    assert store.info.error is not None
    assert store.info.error["max"] <= difference.max()
    assert 0 < store.info.error["mean"] < 4
    assert abs(float(difference.float().mean()) - store.info.error["mean"]) < 2
    assert store.info.bytes < 0.2 * found.nbytes


def test_frames_at_the_size_that_is_asked_for(moving: Any, tmp_path: Path) -> None:
    import torchvision.transforms.functional as transforms

    camera, form = "observation.images.near", Form("raw", width=32, height=16)
    store = build_store(moving, FINGERPRINT, camera, form, cache=tmp_path, workers=1)
    assert store.folder.name == "raw-32x16"
    table = table_of(moving)
    rows = np.asarray([3, 20, 40])
    found = StoredFrames(store, table, moving).read(rows)
    assert found.shape == (3, 3, 16, 32)
    for frame, exact in zip(found, from_the_dataset(moving, camera, table, rows), strict=True):
        # What a checkpoint does to full-size pictures, apart from rounding.
        expected = transforms.resize(exact.float() / 255, [16, 32]) * 255
        assert (frame.float() - expected).abs().max() <= 1.01


@pytest.mark.parametrize("form", EXACT, ids=lambda form: form.name)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p"])
def test_a_colour_space_that_the_video_names(moving: Any, tmp_path: Path, form: Form, pixel_format: str) -> None:
    """LeRobot's default decoder follows it, and so does the store; its other decoder does not."""
    from lerobot.datasets.video_utils import decode_video_frames

    shutil.copytree(moving.root, tmp_path / "set")
    meta = metadata(tmp_path / "set")
    camera = "observation.images.near"
    path = tmp_path / "set" / meta.get_video_file_path(0, camera)
    encode_anew(path, pixel_format)
    times = [number / 10 for number in range(12)]
    try:
        exact = decode_video_frames(path, times, 1e-4, "torchcodec", return_uint8=True)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchcodec does not work here: {error}")
    store = build_store(meta, FINGERPRINT, camera, form, cache=tmp_path / "cache", episodes=[0], workers=1)
    table = table_of(meta, [0])
    assert torch.equal(StoredFrames(store, table, meta).read(np.arange(12)), exact)
    with pytest.raises(OtherFramesError):
        build_store(
            meta, FINGERPRINT, camera, form, cache=tmp_path / "other", episodes=[0], workers=1, video_backend="pyav"
        )


def encode_anew(path: Path, pixel_format: str) -> None:
    """Replace a video by one that says it is in BT.709."""
    import av

    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"g": "4"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.colorspace = 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@cache
def opened(root: Path, form: str, memory_bytes: int) -> StoredFrames:
    meta = metadata(root)
    store = build_store(
        meta, FINGERPRINT, "observation.images.near", Form(form), cache=root.parent / "cache", workers=2
    )  # type: ignore[arg-type]
    return StoredFrames(store, table_of(meta), meta, threads=2, memory_bytes=memory_bytes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.integers(0, 42), min_size=0, max_size=30),
    form=st.sampled_from(["raw", "zstd"]),
    memory_bytes=st.sampled_from([0, 2**30]),
    into=st.booleans(),
)
def test_any_rows_in_any_order(moving: Any, rows: list[int], form: str, memory_bytes: int, into: bool) -> None:
    """Repeated rows, rows that lie together, none at all; into a tensor that is there, or a new one."""
    reader = opened(Path(moving.root), form, memory_bytes)
    wanted = np.asarray(rows, np.int64)
    reader.will_read(wanted)
    out = torch.full((len(rows), *reader.shape), 7, dtype=torch.uint8) if into else None
    found = reader.read(wanted, out)
    assert out is None or found is out
    assert found.shape == (len(rows), *reader.shape)
    if rows:
        table = table_of(moving)
        assert torch.equal(found, from_the_dataset(moving, "observation.images.near", table, wanted))


def test_a_tensor_that_does_not_fit_is_refused(moving: Any) -> None:
    reader = opened(Path(moving.root), "raw", 0)
    with pytest.raises(ValueError, match="contiguous"):
        reader.read(np.arange(2), torch.empty((3, *reader.shape), dtype=torch.uint8))


def test_a_row_without_a_frame(moving: Any, tmp_path: Path) -> None:
    store = build_store(moving, FINGERPRINT, "observation.images.near", Form("raw"), cache=tmp_path, workers=1)
    table = table_of(moving)
    timestamps = table.columns["timestamp"]
    assert isinstance(timestamps, torch.Tensor)
    timestamps[5] += 0.03
    with pytest.raises(DatasetError, match=r"episode 0 needs a frame at 0\.53"):
        StoredFrames(store, table, moving)


def test_a_file_that_shrinks_while_it_is_read(moving: Any, tmp_path: Path) -> None:
    store = build_store(moving, FINGERPRINT, "observation.images.near", Form("raw"), cache=tmp_path, workers=1)
    reader = StoredFrames(store, table_of(moving), moving)
    for path in store.folder.glob("*.frames"):
        with open(path, "r+b") as file:
            file.truncate(100)
    with pytest.raises(StorageError, match="too short"):
        reader.read(np.arange(3))
