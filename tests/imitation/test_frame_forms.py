"""The form in which frames are kept changes how fast they come, not what is learned from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.frames.datasets import make_videos
from tests.imitation.conftest import ACT, run, weights

CAMERA = "observation.images.top"


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("data") / "filmed"
    make_videos(root, cameras={"top": (48, 64)}, lengths=[12, 10, 11], files=3)
    return [
        f"--dataset.root={root}", *ACT, "--policy.pretrained_backbone_weights=null", "--batch_size=4",
        "--dataset.eval_split=0.34", "--max_eval_samples=4", "--steps=4", "--log_freq=1", "--eval_steps=2",
        "--save_freq=2", "--compile=off",
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def test_exact_forms_give_the_same_run_bit_by_bit(filmed: list[str], tmp_path: Path, cache: Path) -> None:
    losses, saved, notes = {}, {}, {}
    for form in ("video", "off", "raw", "zstd"):
        _, shown = run([*filmed, f"--frames.store={form}", f"--output_dir={tmp_path / form}"])
        losses[form] = shown.curve("train/loss") + shown.curve("val/loss")
        saved[form], notes[form] = weights(tmp_path / form), "\n".join(shown.notes)
        assert cache.exists() == (form in ("raw", "zstd"))
    assert len(losses["video"]) == 6
    assert all(curve == losses["video"] for curve in losses.values())
    assert all(weight == saved["video"] for weight in saved.values())
    assert "raw store (exact) of 33 frames of 1 camera" in notes["raw"]
    assert "frame store built in" in notes["raw"]
    assert "decoded once into memory" in notes["off"]
    assert "nothing is stored" in notes["video"]


def test_auto_builds_once_and_a_resumed_run_finds_it(filmed: list[str], tmp_path: Path, cache: Path) -> None:
    _, first = run([*filmed, f"--output_dir={tmp_path / 'run'}"])
    assert any("built once in about" in note for note in first.notes)
    (frames, *_) = sorted(cache.rglob("*.frames"))
    before = frames.stat().st_mtime_ns
    _, again = run(["--resume", str(tmp_path / "run"), "--steps=6"])
    assert any("already there" in note for note in again.notes)
    assert not any("frame store built" in note for note in again.notes)
    assert frames.stat().st_mtime_ns == before


def test_lossy_is_close_and_says_by_how_much(filmed: list[str], tmp_path: Path) -> None:
    _, exact = run([*filmed, "--frames.store=raw", f"--output_dir={tmp_path / 'exact'}"])
    _, lossy = run([*filmed, "--frames.store=jpeg", f"--output_dir={tmp_path / 'lossy'}"])
    pairs = list(zip(exact.curve("train/loss"), lossy.curve("train/loss"), strict=True))
    assert [found for _, (_, found) in pairs] == pytest.approx([loss for (_, loss), _ in pairs], rel=0.05)
    assert exact.curve("train/loss") != lossy.curve("train/loss")
    assert any("lossy" in note for note in lossy.notes)
    assert any("measured against exact frames" in note for note in lossy.notes)


def test_what_cannot_be_stored_is_read_from_the_video(
    filmed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` says so and goes on; a form that was asked for is refused."""
    import etude.data.frames.build as building
    from etude.errors import StorageError

    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full; the frame store is not complete")

    monkeypatch.setattr(building, "build_stores", full)
    _, shown = run([*filmed, f"--output_dir={tmp_path / 'auto'}"])
    (line,) = [note for note in shown.notes if "no frame store" in note]
    assert "the disk is full" in line
    assert "instead: decoded once into memory" in line
    with pytest.raises(StorageError, match="the disk is full"):
        run([*filmed, "--frames.store=raw", f"--output_dir={tmp_path / 'raw'}"])
    assert not (tmp_path / "raw").exists(), "nothing began"


@pytest.mark.timeout(600)
def test_two_processes_share_a_store(filmed: list[str], tmp_path: Path, cache: Path) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "etude.cli",
        "train", *filmed, "--batch_size=2", f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told = done.stdout + done.stderr
    assert told.count("frame store built in") == 1, "only the main process speaks"
    assert len(list(cache.rglob("*.frames"))) == 3
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["status"] == "finished"
