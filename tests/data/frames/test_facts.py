"""What a choice is made from: sizes, space, and what is stored already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etude.data.frames import space
from etude.data.frames.build import build_store
from etude.data.frames.facts import FactFinder
from etude.data.frames.forms import Form
from tests.data.frames.datasets import FINGERPRINT, make_videos

CAMERAS = ("observation.images.near", "observation.images.far")


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("moving") / "set"
    return make_videos(root, cameras={"near": (48, 64), "far": (32, 32)}, lengths=[12, 8, 10], files=3)


def finder(meta: Any, cache: Path, episodes: list[int] | None = None, form: Form | None = None) -> FactFinder:
    return FactFinder(meta, FINGERPRINT, CAMERAS, episodes, form or Form(), cache)


def test_sizes_are_those_of_the_files_that_must_be_decoded(moving: Any, tmp_path: Path) -> None:
    facts = finder(moving, tmp_path).facts(reads=100, processes=2)
    assert facts.bytes_as("raw") == 30 * 3 * (48 * 64 + 32 * 32)
    assert facts.reads == 100 * 2 * 2
    assert finder(moving, tmp_path, [1]).facts().frames == 8 * 2
    small = finder(moving, tmp_path, form=Form(width=16, height=8)).facts()
    assert small.bytes_as("raw") == 30 * 3 * 2 * 16 * 8
    assert not any(tmp_path.iterdir()), "looking writes nothing"


@pytest.mark.parametrize("name", ["raw", "zstd", "jpeg"])
def test_what_is_stored_counts(moving: Any, tmp_path: Path, name: Any) -> None:
    build_store(moving, FINGERPRINT, CAMERAS[0], Form(name), cache=tmp_path, workers=1, episodes=[0])
    part = finder(moving, tmp_path).facts()
    assert part.cameras[0].held[name] > 0
    assert not part.is_ready(name)
    assert 0 < part.missing_as(name) < part.bytes_as(name)
    only_that = FactFinder(moving, FINGERPRINT, CAMERAS[:1], [0], Form(), tmp_path).facts()
    assert only_that.is_ready(name)
    assert only_that.missing_as(name) == 0
    assert (only_that.cameras[0].jpeg_error is not None) == (name == "jpeg")


@pytest.mark.parametrize("name", ["zstd", "jpeg"])
def test_estimates_are_near_what_a_store_takes(moving: Any, tmp_path: Path, name: Any) -> None:
    looking = finder(moving, tmp_path)
    estimate = looking.with_measured_sizes(looking.facts()).cameras[0].bytes_as(name)
    store = build_store(moving, FINGERPRINT, CAMERAS[0], Form(name), cache=tmp_path, workers=1)
    assert estimate == pytest.approx(store.info.bytes, rel=0.5)


def test_a_video_that_cannot_be_read_has_the_usual_sizes(tmp_path: Path) -> None:
    meta = make_videos(tmp_path / "set", cameras={"near": (48, 64), "far": (32, 32)}, lengths=[6])
    for video in (tmp_path / "set" / "videos").rglob("*.mp4"):
        video.write_bytes(b"not a video")
    looking = finder(meta, tmp_path / "cache")
    assert looking.with_measured_sizes(looking.facts()).bytes_as("zstd") == looking.facts().bytes_as("zstd")


def test_a_folder_that_is_not_there_yet_has_the_space_of_its_disk(tmp_path: Path) -> None:
    assert space.free_disk(tmp_path / "not" / "yet") > 0
    assert isinstance(space.disk_is_local(tmp_path / "not" / "yet"), bool)


def test_a_container_has_the_memory_that_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "CGROUP", tmp_path)
    machine = space.free_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert space.free_memory() == pytest.approx(machine, rel=0.2)
    (tmp_path / "memory.max").write_text(f"{10**9}\n")
    (tmp_path / "memory.current").write_text(f"{9 * 10**8}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {5 * 10**7}\n")
    assert space.free_memory() == min(machine, 150_000_000)
