"""The fingerprint is that of the content: every change changes it, and nothing else does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.data.sources import fingerprint
from etude.data.sources.fingerprint import SAMPLE_BYTES, WHOLE_VIDEO_BYTES

FILES = (
    "meta/info.json",
    "meta/stats.json",
    "meta/episodes/chunk-000/file-000.parquet",
    "data/chunk-000/file-000.parquet",
    "videos/observation.images.top/chunk-000/file-000.mp4",
)


@pytest.fixture
def arm(shared_data: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_data / "cr5-real-v30", tmp_path / "arm", copy_function=shutil.copyfile)
    for path in [tmp_path / "arm", *(tmp_path / "arm").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "arm"


def test_the_same_content_anywhere(shared_data: Path, arm: Path, tmp_path: Path) -> None:
    expected = fingerprint(shared_data / "cr5-real-v30")
    assert fingerprint(arm) == expected
    os.utime(arm / FILES[0], (1, 1))
    (arm / "README.md").write_text("about")
    (arm / "meta" / ".tmp-x").write_text("left over")
    (arm / ".cache").mkdir()
    moved = arm.rename(tmp_path / "videos")  # a name that must not be mistaken for the part
    assert fingerprint(moved) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_byte_counts(arm: Path, file: str, place: float, change: int) -> None:
    before = fingerprint(arm)
    path = arm / file
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= change
    path.write_bytes(data)
    try:
        assert fingerprint(arm) != before
    finally:
        data[int(place * len(data))] ^= change
        path.write_bytes(data)
    assert fingerprint(arm) == before


def test_names_count(arm: Path) -> None:
    before = fingerprint(arm)
    (arm / FILES[1]).rename(arm / "meta" / "old.json")
    assert fingerprint(arm) != before


def test_of_a_large_video_ends_size_and_samples_count(tmp_path: Path) -> None:
    video = tmp_path / "videos" / "camera" / "file.mp4"
    video.parent.mkdir(parents=True)
    size = WHOLE_VIDEO_BYTES + 1
    with open(video, "wb") as file:
        file.truncate(size)
    seen = {fingerprint(tmp_path)}
    for place in (0, SAMPLE_BYTES - 1, size // 31 * 7 + SAMPLE_BYTES // 2, size - 1):
        with open(video, "r+b") as file:
            file.seek(place)
            file.write(b"x")
        seen.add(fingerprint(tmp_path))
    with open(video, "ab") as file:
        file.write(b"x")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 6
