"""Decoding every picture: videos and pictures in tables, broken, frozen and repeated."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest

from etude.data.checks import Severity, check_dataset
from tests.data.checks.editing import Copy, png

VIDEO = "videos/observation.images.top/chunk-000/file-000.mp4"


def found(root: Path) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.episode) for finding in check_dataset(root, "full").findings}


def rewrite(path: Path, edit: Callable[[list[np.ndarray]], None], frames_per_s: int = 10) -> None:
    """Encode a video anew after changing its frames."""
    with av.open(str(path)) as opened:
        frames = [frame.to_ndarray(format="rgb24")[::8, ::8] for frame in opened.decode(video=0)]
    edit(frames)
    with av.open(str(path), "w") as written:
        stream = written.add_stream("h264", rate=frames_per_s, options={"crf": "18", "preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, frames_per_s)
            written.mux(stream.encode(picture))
        written.mux(stream.encode())


def small(copy: Copy) -> None:
    copy.json("meta/info.json", lambda info: info["features"]["observation.images.top"].update(shape=[60, 80, 3]))


def test_a_video_that_freezes_while_the_arm_moves(arm: Copy) -> None:
    def freeze(frames: list[np.ndarray]) -> None:
        for row in range(107 + 20, 107 + 100):
            frames[row] = frames[107 + 20]

    small(arm)
    rewrite(arm.root / VIDEO, freeze)
    assert ("video-frozen", 1) in found(arm.root)


def test_a_camera_at_half_the_rate(arm: Copy) -> None:
    def halve(frames: list[np.ndarray]) -> None:
        for row in range(107 + 1, 107 + 167, 2):
            frames[row] = frames[row - 1]

    small(arm)
    rewrite(arm.root / VIDEO, halve)
    result = found(arm.root)
    assert ("video-duplicated", 1) in result
    assert ("video-duplicated", 0) not in result


def test_an_untouched_video_encoded_anew_is_sound(arm: Copy) -> None:
    small(arm)
    rewrite(arm.root / VIDEO, lambda frames: None)
    assert check_dataset(arm.root, "full").is_sound
    assert not {code for code, _ in found(arm.root)} & {"video-frozen", "video-duplicated"}


def test_another_rate_is_an_error(arm: Copy) -> None:
    small(arm)
    rewrite(arm.root / VIDEO, lambda frames: None, frames_per_s=15)
    assert ("video-fps", 0) in found(arm.root)


def test_a_video_with_too_few_frames(arm: Copy) -> None:
    small(arm)
    rewrite(arm.root / VIDEO, lambda frames: frames.__delitem__(slice(500, None)))
    assert ("video-frames", 4) in found(arm.root)


def test_damaged_packets_are_found_in_their_episode(old_arm: Copy) -> None:
    path = old_arm.root / "videos/chunk-000/observation.images.top/episode_000002.mp4"
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.size]
        middle = packets[len(packets) // 2]
        start, size = middle.pos, middle.size
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    assert check_dataset(old_arm.root, "fast").is_sound, "a header cannot tell"
    errors = {(item.code, item.episode) for item in check_dataset(old_arm.root, "full").of(Severity.ERROR)}
    assert errors == {("video-undecodable", 2)}


def test_pictures_in_tables_are_sound(pictures: Copy) -> None:
    assert check_dataset(pictures.root, "full").findings == []


def replace_cell(copy: Copy, name: str, row: int, cell: object) -> None:
    def edit(table: pa.Table) -> pa.Table:
        cells = table[name].to_pylist()
        cells[row] = cell
        return table.set_column(
            table.schema.get_field_index(name), name, pa.array(cells, table.schema.field(name).type)
        )

    copy.table(edit)


@pytest.mark.parametrize("broken", [None, {"bytes": b"", "path": None}, {"bytes": b"\x89PNG not", "path": None}])
def test_a_broken_picture(pictures: Copy, broken: object) -> None:
    replace_cell(pictures, "observation.images.depth", 47, broken)
    assert found(pictures.root) == {("image-undecodable", 1)}


def test_a_picture_cut_off_in_its_middle(pictures: Copy) -> None:
    whole = png(np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8))
    replace_cell(pictures, "observation.images.front", 3, {"bytes": whole["bytes"][:300], "path": None})
    assert found(pictures.root) == {("image-undecodable", 0)}


def test_a_picture_of_another_size(pictures: Copy) -> None:
    replace_cell(pictures, "observation.images.front", 65, png(np.zeros((8, 8, 3), np.uint8)))
    assert found(pictures.root) == {("image-size", 2)}


def test_pictures_that_stand_still(pictures: Copy) -> None:
    still = png(np.full((12, 16, 3), 9, np.uint8))
    for row in range(35, 50):
        replace_cell(pictures, "observation.images.front", row, still)
    assert found(pictures.root) == {("video-frozen", 1)}


def test_without_video_jitter_is_a_warning_and_a_gap_an_error(pictures: Copy) -> None:
    pictures.column("timestamp", lambda values: values.__setitem__(40, values[40] + 0.01))
    assert found(pictures.root) == {("timestamps-jitter", 1)}
    assert check_dataset(pictures.root).is_sound
    pictures.column("timestamp", lambda values: values.__setitem__(slice(70, 90), values[70:90] + 0.2))
    assert ("timestamps-irregular", 2) in found(pictures.root)
