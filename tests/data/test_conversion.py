"""From format v2.1 to v3.0: the same content, the original untouched, all of it or nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etude.data import conversion
from etude.data.checks import check_dataset
from etude.data.conversion import convert
from etude.data.sources import ensure_v30, fingerprint, locate, read_layout
from etude.errors import DatasetError

ROWS = "data/chunk-000/file-000.parquet"


@pytest.fixture
def old_arm(shared_data: Path, tmp_path: Path) -> Path:
    target = tmp_path / "old-arm"
    shutil.copytree(shared_data / "cr5-real-v21", target, copy_function=shutil.copyfile)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def test_the_result_is_what_lerobot_made_of_it(shared_data: Path, old_arm: Path, tmp_path: Path) -> None:
    before = fingerprint(old_arm)
    stages: set[str] = set()
    new = convert(old_arm, tmp_path / "new", lambda what, *_: stages.add(what))
    published = shared_data / "cr5-real-v30"
    assert fingerprint(old_arm) == before
    assert pq.read_table(new / ROWS).equals(pq.read_table(published / ROWS))
    ours, theirs = read_layout(new), read_layout(published)
    assert ours.episodes == theirs.episodes
    assert ours.tasks == theirs.tasks
    assert ours.info.features == theirs.info.features
    same_keys = json.loads((new / "meta/info.json").read_text())
    assert same_keys == {**json.loads((published / "meta/info.json").read_text()), **{
        key: same_keys[key] for key in ("data_files_size_in_mb", "video_files_size_in_mb")
    }}  # fmt: skip
    own, other = (json.loads((root / "meta/stats.json").read_text()) for root in (new, published))
    for feature, statistics in other.items():
        for name, value in statistics.items():
            np.testing.assert_allclose(own[feature][name], value, rtol=1e-6, atol=1e-9)
    video = "videos/observation.images.top/chunk-000/file-000.mp4"
    assert frames(new / video) == frames(published / video)
    assert (new / "LICENSE").read_bytes() == (published / "LICENSE").read_bytes()
    assert check_dataset(new, "full").is_sound
    assert "convert data files" in stages


def frames(path: Path) -> list[tuple[float, bytes]]:
    import av

    with av.open(str(path)) as opened:
        return [(frame.time, bytes(frame.planes[0])) for frame in opened.decode(video=0)]


def late(root: Path) -> None:
    file = root / "data/chunk-000/episode_000003.parquet"
    table = pq.read_table(file)
    stamps = table["timestamp"].to_numpy().copy()
    stamps[40:] += 0.013
    pq.write_table(table.set_column(table.schema.get_field_index("timestamp"), "timestamp", pa.array(stamps)), file)


def test_irregular_timestamps_are_refused_before_anything_is_written(old_arm: Path, tmp_path: Path) -> None:
    late(old_arm)
    with pytest.raises(DatasetError, match="episode 3: 43 of 83 timestamps are not multiples of 1/10 s"):
        convert(old_arm)
    assert [path.name for path in tmp_path.iterdir()] == ["old-arm"]


def test_what_goes_wrong_midway_leaves_nothing(old_arm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "_keep_documents", fail)
    with pytest.raises(OSError, match="No space"):
        convert(old_arm)
    assert [path.name for path in tmp_path.iterdir()] == ["old-arm"]


def test_what_cannot_be_converted(shared_data: Path, old_arm: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"format v3\.0, not v2\.1"):
        convert(shared_data / "cr5-real-v30", tmp_path / "new")
    (tmp_path / "there").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        convert(old_arm, tmp_path / "there")
    with pytest.raises(DatasetError, match="inside the dataset"):
        convert(old_arm, old_arm / "new")


def test_training_converts_once_and_again_after_a_change(shared_data: Path, old_arm: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    whole = locate(None, shared_data / "cr5-real-v30")
    assert ensure_v30(whole, cache) is whole
    first = ensure_v30(locate("me/arm", old_arm), cache)
    assert (first.repo_id, first.origin, first.version) == ("me/arm", "converted", "v3.0")
    made_at = first.root.stat().st_mtime_ns
    assert ensure_v30(locate("me/arm", old_arm), cache) == first
    assert first.root.stat().st_mtime_ns == made_at
    tasks = old_arm / "meta/tasks.jsonl"
    tasks.write_text(tasks.read_text() + "\n")
    assert ensure_v30(locate("me/arm", old_arm), cache).root != first.root
