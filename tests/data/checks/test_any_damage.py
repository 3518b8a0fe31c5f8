"""Whatever happens to a file, a check ends in findings or in one of our errors, never in another's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.data.checks import check_dataset
from etude.errors import DatasetError
from tests.data.checks.editing import EPISODES, ROWS, Copy

FILES = ("meta/info.json", "meta/stats.json", "meta/tasks.parquet", EPISODES, ROWS)
VIDEO = "videos/observation.images.top/chunk-000/file-000.mp4"
OLD_FILES = ("meta/info.json", "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "meta/tasks.jsonl")

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLACES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)


def damage(path: Path, changes: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    path.write_bytes(data[: int(len(data) * kept)])


def survive(root: Path, file: str, changes: list[tuple[float, int]], kept: float, level: str = "fast") -> None:
    whole = root / "whole"
    shutil.copyfile(root / file, whole)
    try:
        damage(root / file, changes, kept)
        report = check_dataset(root, level)
        assert all(finding.message and finding.code for finding in report.findings)
    except DatasetError:
        pass  # one of ours
    finally:
        shutil.copyfile(whole, root / file)


@QUICK
@given(st.sampled_from(FILES), PLACES, st.sampled_from([1.0, 1.0, 0.5, 0.0]))
def test_changed_bytes(arm: Copy, file: str, changes: list[tuple[float, int]], kept: float) -> None:
    survive(arm.root, file, changes, kept)


@QUICK
@given(st.sampled_from(OLD_FILES), PLACES, st.sampled_from([1.0, 1.0, 0.5, 0.0]))
def test_changed_bytes_in_format_2_1(old_arm: Copy, file: str, changes: list[tuple[float, int]], kept: float) -> None:
    survive(old_arm.root, file, changes, kept)


@settings(QUICK, max_examples=8)
@given(PLACES, st.sampled_from([1.0, 0.999, 0.7]))
def test_changed_bytes_in_a_video(arm: Copy, changes: list[tuple[float, int]], kept: float) -> None:
    survive(arm.root, VIDEO, changes, kept, "full")


@pytest.mark.parametrize("key", ["fps", "features", "total_episodes", "total_frames", "data_path", "video_path"])
@pytest.mark.parametrize("value", [None, -1, 0, "", "x", [], {}, {"a": 1}, True, 1e400, "{", "{a}"])
def test_odd_values_in_the_info(arm: Copy, key: str, value: object) -> None:
    arm.json("meta/info.json", lambda info: info.update({key: value}))
    assert not check_dataset(arm.root).is_sound


@pytest.mark.parametrize("value", [None, [], "x", {"dtype": 3}, {"dtype": "float32"}, {"dtype": "float32", "shape": 3},
                                   {"dtype": "float32", "shape": [0]}, {"dtype": "video", "shape": [1, 2, 3]},
                                   {"dtype": "what", "shape": [6]}, {"dtype": "string", "shape": [1]}])  # fmt: skip
def test_odd_features(arm: Copy, value: object) -> None:
    arm.json("meta/info.json", lambda info: info["features"].update({"observation.state": value}))
    assert not check_dataset(arm.root).is_sound


ODD = st.sampled_from([None, -1, 0, 3, 1e400, 1e18, "", "x", [], [None], {}, {"a": 1}, True, [[0.5]], "{}", [1, "x"]])


def replaced(value: Any, place: list[int], odd: Any) -> Any:
    """`value` with the part that `place` leads to replaced by something odd."""
    if not place or not isinstance(value, dict | list) or not value:
        return odd
    if isinstance(value, dict):
        key = sorted(value)[place[0] % len(value)]
        return {**value, key: replaced(value[key], place[1:], odd)}
    row = place[0] % len(value)
    return [*value[:row], replaced(value[row], place[1:], odd), *value[row + 1 :]]


@settings(QUICK, max_examples=100)
@given(st.sampled_from(FILES[:2]), st.lists(st.integers(0, 50), min_size=1, max_size=4), ODD)
def test_any_odd_value_in_the_metadata(arm: Copy, file: str, place: list[int], odd: Any) -> None:
    path = arm.root / file
    whole = path.read_text()
    try:
        path.write_text(json.dumps(replaced(json.loads(whole), place, odd)))
        check_dataset(arm.root)
    except DatasetError:
        pass  # one of ours
    finally:
        path.write_text(whole)


@settings(QUICK, max_examples=100)
@given(st.sampled_from(OLD_FILES[1:]), st.lists(st.integers(0, 50), min_size=1, max_size=4), ODD)
def test_any_odd_value_in_a_line(old_arm: Copy, file: str, place: list[int], odd: Any) -> None:
    path = old_arm.root / file
    whole = path.read_text()
    try:
        lines = replaced([json.loads(line) for line in whole.splitlines()], place, odd)
        path.write_text("\n".join(map(json.dumps, lines if isinstance(lines, list) else [lines])))
        check_dataset(old_arm.root)
    except DatasetError:
        pass  # one of ours
    finally:
        path.write_text(whole)


@settings(QUICK, max_examples=60)
@given(st.sampled_from([EPISODES, ROWS, "meta/tasks.parquet"]), st.integers(0, 50), ODD, st.booleans())
def test_any_column_of_another_kind(arm: Copy, file: str, number: int, odd: Any, whole_column: bool) -> None:
    whole = (arm.root / file).read_bytes()

    def swapped(table: pa.Table) -> pa.Table:
        name = table.column_names[number % table.num_columns]
        values = table[name].to_pylist()
        values = [odd] * len(values) if whole_column else [*values[:-1], None]
        kind = None if whole_column else table.schema.field(name).type
        return table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))

    try:
        arm.table(swapped, file)
        check_dataset(arm.root)
    except DatasetError:
        pass  # one of ours
    except (pa.ArrowException, OverflowError):
        pass  # not a column that can be written
    finally:
        (arm.root / file).write_bytes(whole)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"action": None}, {"action": {"mean": "x"}}])
def test_odd_statistics(arm: Copy, value: object) -> None:
    (arm.root / "meta/stats.json").write_text(json.dumps(value))
    assert not check_dataset(arm.root).is_sound
