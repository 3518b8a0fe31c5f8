"""A run that was stopped and continued is the same run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from etude.errors import CheckpointError, DatasetError, RunFolderError, UsageError
from tests.imitation.conftest import make_dataset, run, weights

TIMED = ("train/samples_per_s", "train/data_wait_share", "train/device_busy_share")
SCHEDULE = ["--save_freq=10", "--eval_steps=12", "--log_freq=7", "--steps=60"]


def curves(root: Path) -> list[tuple[int, dict[str, float]]]:
    records = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [
        (record["step"], {name: value for name, value in record["metrics"].items() if name not in TIMED})
        for record in records
    ]


class Killed(BaseException):
    """Stands in for SIGKILL: nothing after it is written by the trainer."""


def kill_at(step: int) -> Any:
    def on_step(now: int) -> None:
        if now == step:
            raise Killed

    return on_step


@pytest.fixture(scope="module")
def whole(small_robot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.imitation.conftest import ACT

    root = tmp_path_factory.mktemp("whole") / "run"
    run([f"--dataset.root={small_robot}", *ACT, *SCHEDULE, f"--output_dir={root}"])
    return root


# 240 training frames in batches of 8: an epoch ends inside the run, and kills fall before and after it.
@pytest.mark.parametrize("kills", [[3], [13], [25], [33], [13, 14, 39, 59]], ids=str)
def test_killed_and_resumed(flags: list[str], tmp_path: Path, whole: Path, kills: list[int]) -> None:
    root = tmp_path / "run"
    with pytest.raises(Killed):
        run([*flags, *SCHEDULE, f"--output_dir={root}"], on_step=kill_at(kills[0]))
    for kill in kills[1:]:
        with pytest.raises(Killed):
            run(["--resume", str(root)], on_step=kill_at(kill))
    result, _ = run(["--resume", str(root)])
    assert result.outcome.step == 60
    assert weights(root) == weights(whole)
    assert weights(root, "best") == weights(whole, "best")
    assert curves(root) == curves(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_once_and_nothing_is_lost(
    flags: list[str], tmp_path: Path, whole: Path, number: signal.Signals
) -> None:
    root = tmp_path / "run"

    def interrupt(step: int) -> None:
        if step == 17:
            os.kill(os.getpid(), number)

    result, _ = run([*flags, *SCHEDULE, f"--output_dir={root}"], on_step=interrupt)
    assert (result.outcome.status, result.outcome.step, result.outcome.signal) == ("stopped", 17, number)
    assert result.outcome.checkpoint.step == 17
    assert json.loads((root / "run.json").read_text())["status"] == "stopped"
    resumed, _ = run(["--resume", str(root)])
    assert resumed.outcome.status == "finished"
    assert weights(root) == weights(whole)
    assert curves(root) == curves(whole)


def test_a_signal_during_validation_leaves_the_validation_to_the_resumed_run(
    flags: list[str], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.imitation import validation

    original = validation.Validation.measure
    calls = []

    def measure(self: Any, learner: Any, interrupted: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, learner, interrupted)

    monkeypatch.setattr(validation.Validation, "measure", measure)
    root = tmp_path / "run"
    result, _ = run([*flags, *SCHEDULE, f"--output_dir={root}"])
    assert (result.outcome.status, result.outcome.step) == ("stopped", 24)
    run(["--resume", str(root)])
    assert weights(root) == weights(whole)
    assert curves(root) == curves(whole)


def test_a_corrupt_checkpoint_falls_back_to_the_one_before(flags: list[str], tmp_path: Path, whole: Path) -> None:
    root = tmp_path / "run"
    with pytest.raises(Killed):
        run([*flags, *SCHEDULE, f"--output_dir={root}"], on_step=kill_at(35))
    newest = (root / "checkpoints" / "last").resolve()
    (newest / "training_state" / "optimizer_state.safetensors").write_bytes(b"broken")
    _, shown = run(["--resume", str(root)])
    assert any("corrupt" in note and newest.name in note for note in shown.notes)
    assert shown.start < int(newest.name)
    assert weights(root) == weights(whole)
    assert curves(root) == curves(whole)


def test_more_steps_continue_a_finished_run(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    run([*flags, "--steps=10", "--save_freq=5", f"--output_dir={root}"])
    result, shown = run(["--resume", str(root), "--steps=15"])
    assert (shown.start, result.outcome.step) == (10, 15)
    steps = [step for step, _ in shown.points]
    assert min(steps) > 10


def test_a_finished_run_resumed_changes_nothing(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    run([*flags, "--steps=10", "--save_freq=5", f"--output_dir={root}"])
    before = (weights(root), (root / "metrics.jsonl").read_bytes())
    result, _ = run(["--resume", str(root)])
    assert result.outcome.step == 10
    assert (weights(root), (root / "metrics.jsonl").read_bytes()) == before


def test_what_would_make_it_another_run_is_refused(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    run([*flags, "--steps=4", "--save_freq=2", f"--output_dir={root}"])
    with pytest.raises(UsageError, match="batch_size"):
        run(["--resume", str(root), "--batch_size=4"])
    with pytest.raises(RunFolderError, match="no run folder"):
        run(["--resume", str(tmp_path / "absent")])
    with pytest.raises(RunFolderError, match="exists already"):
        run([*flags, "--steps=4", f"--output_dir={root}"])


def test_changed_data_is_refused(tmp_path: Path, flags: list[str]) -> None:
    data = make_dataset(tmp_path / "data")
    own = [f"--dataset.root={data}", *flags[1:]]
    root = tmp_path / "run"
    run([*own, "--steps=4", "--save_freq=2", f"--output_dir={root}"])
    info = json.loads((data / "meta" / "info.json").read_text())
    (data / "meta" / "info.json").write_text(json.dumps({**info, "robot_type": "another arm"}))
    with pytest.raises(DatasetError, match="not the one this run began with"):
        run(["--resume", str(root), "--steps=6"])


def test_every_checkpoint_broken_is_one_clear_error(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    run([*flags, "--steps=4", "--save_freq=2", f"--output_dir={root}"])
    for folder in (root / "checkpoints").glob("[0-9]*"):
        (folder / "pretrained_model" / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        run(["--resume", str(root), "--steps=6"])


def test_an_earlier_checkpoint_starts_a_branch_and_the_later_ones_are_set_aside(
    flags: list[str], tmp_path: Path, whole: Path
) -> None:
    root = tmp_path / "run"
    run([*flags, *SCHEDULE, f"--output_dir={root}"])
    with pytest.raises(Killed):
        run(["--resume", str(root / "checkpoints" / "000020")], on_step=kill_at(33))
    names = {path.name for path in (root / "checkpoints").iterdir()}
    assert {"000020", "000030", "abandoned-000060"} <= names
    assert "000060" not in names
    _, shown = run(["--resume", str(root)])
    assert shown.start == 30
    assert weights(root) == weights(whole)
    assert weights(root, "best") == weights(whole, "best")
    assert curves(root) == curves(whole)
