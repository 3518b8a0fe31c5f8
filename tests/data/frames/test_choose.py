"""The form of the frames, as a function of what is there and what is free."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.data.frames.choose import FORMS, LEFT_FREE, CameraFacts, Facts, choose
from etude.errors import StorageError

GIB = 2**30
CAMERA = CameraFacts("observation.images.top", 10_000, (3, 480, 640), ratios={"zstd": 0.5})  # 8.6 GiB raw
FACTS = Facts((CAMERA,), "/cache", free_disk=500 * GIB, free_memory=64 * GIB, reads=10**7, cores=8)


def facts(camera: CameraFacts = CAMERA, **changes: Any) -> Facts:
    return dataclasses.replace(FACTS, cameras=(camera,), **changes)


def test_raw_where_there_is_room() -> None:
    choice = choose(FACTS)
    assert (choice.form, choice.builds, choice.bytes) == ("raw", True, 10_000 * 3 * 480 * 640)
    for part in ("raw store (exact)", "10000 frames of 1 camera", "8.6 GiB", "/cache", "built once in about"):
        assert part in choice.sentence


@pytest.mark.parametrize(
    ("free_gib", "form"),
    [(500, "raw"), (20, "raw"), (18, "zstd"), (15, "zstd"), (14, "jpeg"), (10.5, "video"), (1, "video")],
)
def test_auto_takes_the_best_form_that_leaves_room(free_gib: float, form: str) -> None:
    choice = choose(facts(free_disk=int(free_gib * GIB), free_memory=8 * GIB))
    assert choice.form == form


def test_a_disk_of_the_network_is_used_only_where_its_pages_stay_in_memory() -> None:
    assert choose(facts(disk_is_local=False, free_memory=64 * GIB)).form == "raw"
    assert choose(facts(disk_is_local=False, free_memory=10 * GIB)).form == "zstd"
    assert choose(facts(disk_is_local=True, free_memory=1 * GIB)).form == "raw"


def test_exact_in_memory_goes_before_lossy_on_the_disk() -> None:
    roomy = facts(free_disk=12 * GIB, free_memory=100 * GIB)
    assert choose(roomy).form == "memory"
    assert choose(dataclasses.replace(roomy, processes=8)).form == "jpeg"


def test_lossy_is_said_with_its_size_and_the_way_out() -> None:
    sentence = choose(facts(free_disk=14 * GIB, free_memory=8 * GIB)).sentence
    for part in ("lossy", "quality 95", "--frames.store=video", "raw takes 8.6 GiB", "zstd 4.3 GiB"):
        assert part in sentence
    measured = dataclasses.replace(CAMERA, ready=frozenset({"jpeg"}), jpeg_error=0.83)
    assert "0.83 of 255" in choose(facts(measured, free_disk=14 * GIB, free_memory=8 * GIB)).sentence


def test_lossy_needs_a_run_that_reads_each_frame_often() -> None:
    small = facts(free_disk=14 * GIB, free_memory=8 * GIB)
    assert choose(dataclasses.replace(small, reads=20_000)).form == "video"
    assert choose(dataclasses.replace(small, reads=40_000)).form == "jpeg"


def test_a_short_run_does_not_build_but_uses_what_is_there() -> None:
    short = facts(reads=1_000)
    assert choose(short).form == "video"
    assert "1000 frames" in choose(short).sentence
    assert choose(short, "off").form == "video"
    ready = dataclasses.replace(CAMERA, ready=frozenset({"zstd"}))
    choice = choose(facts(ready, reads=1_000))
    assert (choice.form, choice.builds) == ("zstd", False)
    assert "already there" in choice.sentence
    assert choose(short, "raw").form == "raw", "asked for, so built"


def test_auto_does_not_slip_from_exact_to_a_lossy_store_that_is_there() -> None:
    assert choose(facts(dataclasses.replace(CAMERA, ready=frozenset({"jpeg"})))).form == "raw"


def test_what_is_half_built_needs_only_the_rest() -> None:
    tight = facts(free_disk=int(6 * GIB), free_memory=GIB)
    with pytest.raises(StorageError):
        choose(tight, "raw")
    half = dataclasses.replace(CAMERA, held={"raw": 5 * GIB})
    choice = choose(dataclasses.replace(tight, cameras=(half,)), "raw")
    assert choice.form == "raw"
    assert "5.0 GiB of it already there" in choice.sentence


@pytest.mark.parametrize("form", FORMS)
def test_an_explicit_form_is_obeyed_or_refused_with_what_would_fit(form: str) -> None:
    assert choose(FACTS, form).form == form
    with pytest.raises(StorageError) as refused:
        choose(facts(free_disk=int(1.2 * GIB)), form)
    assert "1.2 GiB are free at /cache" in refused.value.message
    assert "--frames.store=video" in (refused.value.hint or "")


def test_a_refusal_names_the_forms_that_fit() -> None:
    with pytest.raises(StorageError) as refused:
        choose(facts(free_disk=7 * GIB), "raw")
    assert "8.6 GiB" in refused.value.message
    assert "--frames.store=zstd (4.3 GiB)" in (refused.value.hint or "")
    assert "lossy" in (refused.value.hint or "")
    with pytest.raises(StorageError, match="disk_gib allows 2 GiB"):
        choose(FACTS, "raw", disk_gib=2)


def test_depth_is_never_lossy() -> None:
    depth = CameraFacts("observation.images.depth", 10_000, (1, 480, 640), item_bytes=2)
    assert depth.bytes_as("jpeg") == depth.bytes_as("zstd")
    assert choose(facts(depth, free_disk=11 * GIB, free_memory=GIB)).form == "video"


def test_nothing_on_the_disk() -> None:
    assert choose(FACTS, "off").form == "memory"
    assert choose(facts(free_memory=10 * GIB), "off").form == "video"
    assert choose(facts(free_memory=10 * GIB), "off", memory_gib=9).form == "memory"
    assert choose(FACTS, "video").form == "video"


@given(
    frames=st.integers(1, 10**7),
    free=st.integers(0, 2**44),
    memory=st.integers(0, 2**40),
    reads=st.none() | st.integers(0, 10**9),
    local=st.booleans(),
    disk_gib=st.none() | st.floats(0, 1000),
)
def test_auto_never_fills_the_disk(
    frames: int, free: int, memory: int, reads: int | None, local: bool, disk_gib: float | None
) -> None:
    camera = dataclasses.replace(CAMERA, frames=frames)
    choice = choose(
        facts(camera, free_disk=free, free_memory=memory, reads=reads, disk_is_local=local), disk_gib=disk_gib
    )
    if choice.form in FORMS:
        assert choice.bytes <= free // 2
        assert choice.bytes <= free - LEFT_FREE
        assert disk_gib is None or choice.bytes <= disk_gib * GIB
    if choice.form == "memory":
        assert choice.bytes <= memory // 4
    assert choice.sentence.startswith("frames: ")
