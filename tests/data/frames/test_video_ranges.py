"""Ranges of a video decoded one by one are the video decoded from its beginning, whatever the codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from etude.data.frames.video_ranges import BrokenVideoError, decode_range, scan_video

CODECS = {
    "h264 with frames out of order": ("libx264", "mp4", {"g": "8", "bf": "3"}),
    "h264 with open groups": ("libx264", "mp4", {"g": "8", "bf": "3", "x264-params": "open-gop=1"}),
    "h264 in matroska": ("libx264", "mkv", {"g": "6", "bf": "2"}),
    "hevc with open groups": ("libx265", "mp4", {"g": "8", "x265-params": "open-gop=1:log-level=none"}),
    "av1": ("libsvtav1", "mp4", {"g": "2", "preset": "12"}),
    "vp9": ("libvpx-vp9", "webm", {"g": "7", "deadline": "realtime"}),
    "mpeg4": ("mpeg4", "mp4", {"g": "5", "bf": "2"}),
    "one keyframe": ("libx264", "mp4", {"g": "999"}),
}


def write_video(path: Path, codec: str, options: dict[str, str], frames: int = 40) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (8, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, 2 * number, axis=1), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sequential(path: Path) -> list[tuple[int, np.ndarray[Any, Any]]]:
    with av.open(str(path)) as container:
        return [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", CODECS)
def test_ranges_join_to_the_whole_video(tmp_path: Path, name: str) -> None:
    codec, container, options = CODECS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    path = tmp_path / f"video.{container}"
    write_video(path, codec, options)
    expected = sequential(path)
    scan = scan_video(str(path))
    assert scan["pts"] == [pts for pts, _ in expected]
    keys = scan["keys"]
    ends = [key[2] for key in keys[1:]] + [len(expected)]
    for key, end in reversed(list(zip(keys, ends, strict=True))):
        found: list[Any] = []
        decode_range(
            str(path), scan["pts"][key[2] : end], key[:2], key[2], lambda frame, found=found: found.append(frame)
        )
        assert len(found) == end - key[2]
        for frame, (pts, picture) in zip(found, expected[key[2] : end], strict=True):
            assert frame.pts == pts
            assert np.array_equal(frame.to_ndarray(format="rgb24"), picture)


def test_a_range_of_several_groups(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, "libx264", {"g": "8", "bf": "3"})
    scan = scan_video(str(path))
    first, last = scan["keys"][1], scan["keys"][4]
    found: list[int] = []
    decode_range(str(path), scan["pts"][first[2] : last[2]], first[:2], first[2], lambda frame: found.append(frame.pts))
    assert found == scan["pts"][first[2] : last[2]]


def test_what_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(BrokenVideoError, match="cannot be opened"):
        scan_video(str(path))


def test_a_damaged_packet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, "libsvtav1", {"g": "2", "preset": "12"})
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[21]
    with open(path, "r+b") as file:
        file.seek(position)
        file.write(bytes(255 for _ in range(size)))
    scan = scan_video(str(path))
    key = max(key for key in scan["keys"] if key[2] <= 20)
    with pytest.raises(BrokenVideoError, match=r"frame 2[01] .*at 2\.[01]00 s"):
        decode_range(str(path), scan["pts"][key[2] :], key[:2], key[2], lambda frame: None)
