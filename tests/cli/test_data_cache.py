"""`etude data cache`, as a person and as a script would call it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.cli import main
from etude.errors import DatasetError, UsageError
from tests.imitation.conftest import make_dataset

CAMERAS = ("observation.images.front", "observation.images.wrist")


@pytest.fixture(scope="module")
def cups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes, two cameras, in videos."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = tmp_path_factory.mktemp("data") / "cups"
    axes = ["height", "width", "channels"]
    features = {
        **{key: {"dtype": "video", "shape": (48, 64, 3), "names": axes} for key in CAMERAS},
        "observation.state": {"dtype": "float32", "shape": (2,), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    dataset = LeRobotDataset.create("local/cups", fps=10, root=root, features=features)
    random = np.random.default_rng(0)
    for _ in range(2):
        for _ in range(12):
            pictures = {key: random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for key in CAMERAS}
            vectors = {key: random.normal(size=2).astype(np.float32) for key in ("observation.state", "action")}
            dataset.add_frame({**pictures, **vectors, "task": "stack"})
        dataset.save_episode()
    dataset.finalize()
    return root


@pytest.fixture(scope="module")
def small_robot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "small-robot")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["data", "cache", "list", "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_build_list_verify_remove(cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "cache", "list"]) == 0
    assert "no frame stores" in capsys.readouterr().out
    assert main(["data", "cache", "build", str(cups)]) == 0
    text = capsys.readouterr().out
    for part in ("raw store (exact)", "48 frames of 2 cameras", f"{CAMERAS[0]}: 24 frames"):
        assert part in text
    assert main(["data", "cache", "build", str(cups), "--form", "jpeg", "--camera", CAMERAS[1]]) == 0
    assert "of 255 off on average" in capsys.readouterr().out

    assert main(["data", "cache", "list"]) == 0
    table = capsys.readouterr().out
    for part in ("dataset", "last used", "cups  ", CAMERAS[0], "jpeg-q95", "today", "3 stores"):
        assert part in table
    rows = listed(capsys)
    assert [row["camera"] for row in rows if row["form"] == "jpeg-q95"] == [CAMERAS[1]]
    assert {row["frames"] for row in rows} == {24}
    assert all(row["complete"] for row in rows)

    assert main(["data", "cache", "verify", "--json"]) == 0
    assert [row["problems"] for row in json.loads(capsys.readouterr().out)] == [[], [], []]
    assert main(["data", "cache", "remove", str(cups)]) == 0
    removed = capsys.readouterr().out
    assert removed.count("removed cups") == 3
    assert "freed" in removed
    assert listed(capsys) == []
    assert not list(cache.rglob("*.frames"))


def test_what_is_damaged_is_named_and_built_again(cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = ["data", "cache", "build", str(cups), "--camera", CAMERAS[0]]
    assert main(build) == 0
    (frames,) = cache.rglob("*.frames")
    whole = frames.read_bytes()
    frames.chmod(0o644)
    frames.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    capsys.readouterr()
    assert main(["data", "cache", "verify", str(cups)]) == 4
    text = capsys.readouterr().out
    assert str(frames) in text
    assert "etude data cache build" in text
    assert main(build) == 0
    assert frames.read_bytes() == whole
    assert main(["data", "cache", "verify", "all"]) == 0


def test_stores_that_nobody_used(cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "cache", "build", str(cups)]) == 0
    assert main(["data", "cache", "remove", "--unused-days", "30"]) == 0
    assert len(listed(capsys)) == 2
    long_ago = time.time() - 40 * 86400
    for path in [*cache.rglob("store.json"), *cache.rglob(".*.reading")]:
        if CAMERAS[0] in str(path):
            os.utime(path, (long_ago, long_ago))
    assert main(["data", "cache", "remove", "--unused-days", "30", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["removed"]) == 1
    assert [row["camera"] for row in listed(capsys)] == [CAMERAS[1]]
    assert main(["data", "cache", "remove", "--all"]) == 0
    assert listed(capsys) == []


def test_a_store_is_found_by_name_folder_and_fingerprint(
    cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "cache", "build", str(cups), "--form", "zstd"]) == 0
    row = listed(capsys)[0]
    for name in ("cups", str(cups), row["fingerprint"][:8]):
        assert main(["data", "cache", "list", name]) == 0
        assert CAMERAS[0] in capsys.readouterr().out, name


def test_mistakes_are_told_with_the_nearest(cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refusal(*words: str) -> str:
        assert main(["data", "cache", *words]) in (UsageError.exit_code, DatasetError.exit_code)
        return capsys.readouterr().err

    assert "etude data cache verify" in refusal("verfy")
    assert f"did you mean {CAMERAS[0]}?" in refusal("build", str(cups), "--camera", "observation.images.frnt")
    assert "nearest: jpeg" in refusal("build", str(cups), "--form", "jpg")
    assert "--quality must be" in refusal("build", str(cups), "--quality", "none")
    assert "only one was given" in refusal("build", str(cups), "--width", "32")
    assert "needs one of" in refusal("remove")
    assert "needs one of" in refusal("remove", "--all", str(cups))
    assert "the cache is empty" in refusal("verify", "local/cups")
    assert "--unused-days" in refusal("remove", "--unused", "3")
    assert not cache.exists(), "nothing was written"


def test_too_large_is_refused_before_anything_is_written(
    cups: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "cache", "build", str(cups), "--disk-gib", "0.0001"]) == 7
    error = capsys.readouterr().err
    assert "disk_gib allows" in error
    assert not cache.exists()


def test_nothing_to_do_is_no_mistake(small_robot: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(small_robot)
    assert main(["data", "cache", "build", folder]) == 0
    assert "no cameras" in capsys.readouterr().out
    assert main(["data", "cache", "verify", folder]) == 0
    assert main(["data", "cache", "remove", folder]) == 0
    assert "no frame store to remove" in capsys.readouterr().out
    assert not cache.exists()


@pytest.mark.parametrize("command", ["build", "list", "verify", "remove"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "cache", command, "--help"])
    assert f"  etude data cache {command}" in capsys.readouterr().out
