"""`--dataset.streaming=true`: a run that keeps nothing of the dataset, stopped and continued like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from etude.data.streaming import StreamedDemonstrations
from etude.errors import DatasetError, UsageError
from etude.imitation.dataset import find_training_data
from tests.imitation.conftest import ACT, make_dataset, run, weights

STREAM = ["--dataset.streaming=true", "--log_freq=5", "--steps=40", "--save_freq=15"]


@pytest.fixture(scope="module")
def streamed_run(small_robot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streamed") / "run"
    argv = [f"--dataset.root={small_robot}", *ACT, *STREAM, "--dataset.eval_split=0.1", "--eval_steps=10"]
    result, shown = run([*argv, f"--output_dir={root}"])
    assert any(note.startswith(f"streaming 287 frames from {small_robot}") for note in shown.notes)
    assert result.outcome.status == "finished"
    return root


def points(root: Path, name: str) -> list[float]:
    records = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [record["metrics"][name] for record in records if name in record["metrics"]]


def test_it_learns_and_counts_epochs(streamed_run: Path) -> None:
    losses = points(streamed_run, "train/loss")
    assert losses[-1] < losses[0]
    epochs = points(streamed_run, "train/epoch")
    held_out = sum([30, 21])  # the last episode of each task
    assert epochs[0] == pytest.approx(5 * 8 / (287 - held_out))
    assert 1 < epochs[-1] < 2
    manifest = json.loads((streamed_run / "run.json").read_text())
    assert manifest["dataset"]["fingerprint"].startswith("meta:")
    assert manifest["dataset"]["val_episodes"] == [10, 11]


def test_validation_is_that_of_a_dataset_that_is_here(streamed_run: Path, small_robot: Path, tmp_path: Path) -> None:
    """Of the same weights: those of the streamed run, continued by no step."""
    argv = [f"--dataset.root={small_robot}", f"--policy.path={streamed_run}", "--policy.device=cpu"]
    both = []
    for streaming in ("true", "false"):
        root = tmp_path / streaming
        flags = [
            *argv, f"--dataset.streaming={streaming}", "--dataset.eval_split=0.1", "--batch_size=8", "--steps=1",
            "--policy.optimizer_lr=0", "--policy.optimizer_lr_backbone=0", "--eval_steps=1", "--mlflow.enable=false",
            "--system_metrics_interval_s=0", f"--output_dir={root}",
        ]  # fmt: skip
        run(flags)
        both.append(points(root, "val/loss"))
    assert both[0] == pytest.approx(both[1], rel=1e-6)


@pytest.mark.parametrize("kill", [7, 33])
def test_killed_and_resumed_it_is_the_same_run(
    small_robot: Path, tmp_path: Path, streamed_run: Path, kill: int
) -> None:
    class Killed(BaseException):
        pass

    def on_step(step: int) -> None:
        if step == kill:
            raise Killed

    root = tmp_path / "run"
    argv = [f"--dataset.root={small_robot}", *ACT, *STREAM, "--dataset.eval_split=0.1", "--eval_steps=10"]
    with pytest.raises(Killed):
        run([*argv, f"--output_dir={root}"], on_step=on_step)
    run(["--resume", str(root)])
    assert weights(root) == weights(streamed_run)
    assert points(root, "val/loss") == points(streamed_run, "val/loss")


def test_streamed_or_here_it_is_the_same_dataset(streamed_run: Path, small_robot: Path, tmp_path: Path) -> None:
    from etude.data.sources import fingerprint, is_same_dataset

    recorded = json.loads((streamed_run / "run.json").read_text())["dataset"]["fingerprint"]
    other = make_dataset(tmp_path / "other", state_size=5)
    assert is_same_dataset(small_robot, recorded)
    assert not is_same_dataset(other, recorded)
    config = SimpleNamespace(dataset=SimpleNamespace(repo_id=None, revision=None, repo_type="dataset", streaming=True))
    for root, same in ((small_robot, True), (other, False)):
        for config.dataset.streaming in (True, False):
            config.dataset.root = root
            found = find_training_data(config, "off")
            assert found.is_same(recorded) is same
            assert found.is_same(fingerprint(small_robot)) is same


def test_nothing_is_held_out_unless_asked(small_robot: Path, tmp_path: Path) -> None:
    result, _ = run(
        [
            f"--dataset.root={small_robot}",
            *ACT,
            "--dataset.streaming=true",
            "--steps=2",
            f"--output_dir={tmp_path / 'r'}",
        ]
    )
    assert result.manifest.dataset["val_episodes"] == []


def test_chosen_episodes_and_accumulation(small_robot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    make = StreamedDemonstrations.source

    def source(self: StreamedDemonstrations, windows: object) -> object:
        found = make(self, windows)  # type: ignore[arg-type]
        batch = found.batch
        found.batch = lambda rows: (seen.update(found.episodes(rows).tolist()), batch(rows))[1]  # type: ignore[method-assign]
        return found

    monkeypatch.setattr(StreamedDemonstrations, "source", source)
    run(
        [
            f"--dataset.root={small_robot}",
            *ACT,
            "--dataset.streaming=true",
            "--steps=8",
            "--gradient_accumulation_steps=2",
            "--dataset.episodes=0:6",
            "--dataset.exclude_episodes=2",
            f"--output_dir={tmp_path / 'run'}",
        ]
    )
    assert seen == {0, 1, 3, 4, 5}


def test_what_a_stream_cannot_do(small_robot: Path, shared_data: Path, tmp_path: Path) -> None:
    argv = [*ACT, "--dataset.streaming=true", "--steps=2", f"--output_dir={tmp_path / 'run'}"]
    with pytest.raises(UsageError, match="a stream keeps nothing"):
        run([f"--dataset.root={small_robot}", *argv, "--frames.store=raw"])
    with pytest.raises(DatasetError, match="a stream cannot be converted"):
        run([f"--dataset.root={shared_data / 'cr5-real-v21'}", *argv])
    with pytest.raises(DatasetError, match=r"cannot be (downloaded|opened)|offline"):
        run(["--dataset.repo_id=nobody/nothing", *argv])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_take_the_same_steps(small_robot: Path, tmp_path: Path) -> None:
    """And each its own part: an epoch of both is every frame once, so their epochs end together."""
    root = tmp_path / "run"
    argv = [
        f"--dataset.root={small_robot}", *ACT, *STREAM, "--dataset.eval_split=0.1", "--eval_steps=20",
        "--batch_size=4", f"--output_dir={root}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "etude.cli"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "train", *argv], capture_output=True, text=True, check=False, env=environment, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = points(root, "train/loss")
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert points(root, "train/epoch")[-1] == pytest.approx(1 + (40 - 30) * 8 / 236, abs=0.05)
    resumed = [*command[:4], "--nproc_per_node=1", *command[5:], "train", "--resume", str(root), "--steps=42"]
    done = subprocess.run(resumed, capture_output=True, text=True, check=False, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "this epoch goes on in another order" in done.stderr + done.stdout
