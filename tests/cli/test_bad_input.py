"""Bad input gets one clear message, a non-zero exit code, and nothing half-written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.cli import main
from etude.errors import CheckpointError, DatasetError, DeviceError, RunFolderError, StorageError, UsageError
from tests.data.checks.editing import EPISODES, ROWS, Copy, copied
from tests.imitation.conftest import ACT, make_dataset

SHORT = ("--steps=6", "--save_freq=3", "--eval_steps=100")


@dataclass
class Refusal:
    """What a refused command showed."""

    code: int
    message: str
    hint: str


class Etude:
    """`etude ...` in this process, in a folder of its own.

    Attributes:
        folder: the current folder; everything that a refused command may not touch.
    """

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._captured = captured

    def __call__(self, *argv: object) -> tuple[int, str, str]:
        self._captured.readouterr()
        code = main([str(word) for word in argv])
        shown = self._captured.readouterr()
        assert "Traceback" not in shown.out + shown.err
        return code, shown.out, shown.err

    def refuses(self, *argv: object) -> Refusal:
        """Run a command that must be refused, and look at how."""
        before = self.listing()
        code, out, err = self(*argv)
        assert out == ""
        assert code != 0
        assert re.fullmatch(r"error: [^\n]+\n(  [^\n]+\n)?", err), err
        assert self.listing() == before
        message, _, hint = err.partition("\n")
        return Refusal(code, message, hint.strip())

    def listing(self) -> dict[str, str]:
        """Everything below the folder, with what is in it."""
        return {
            str(path.relative_to(self.folder)): _digest(path) if path.is_file() else "folder"
            for path in sorted(self.folder.rglob("*"))
        }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def etude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Etude:
    monkeypatch.chdir(tmp_path)
    return Etude(tmp_path, capsys)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "robot")


@pytest.fixture(scope="module")
def trained(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with checkpoints at 3 and 6."""
    root = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", f"--dataset.root={sound}", *ACT, *SHORT, f"--output_dir={root}"]) == 0
    return root


def train(data: Path, *more: object) -> list[object]:
    return ["train", f"--dataset.root={data}", *ACT, *SHORT, "--output_dir=outputs/run", *more]


# -- flags and config files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "given", "help_for_it"),
    [
        ("--policy.type=difusion", "unknown policy.type 'difusion'", "diffusion"),
        ("--policy.chunk_sise=8", "policy.chunk_sise", "policy.chunk_size"),
        ("--batchsize=8", "batchsize", "batch_size"),
        ("--steps=many", "steps", ""),
        ("--steps=0", "steps must be at least 1, got 0", ""),
        ("--policy.use_vae=perhaps", "use_vae", ""),
        ("--policy.optimizer_lr=fast", "optimizer_lr", ""),
        ("--dataset.episodes=all", "dataset.episodes", ""),
        ("--save_freq=nan", "save_freq", ""),
        ("stray", "unexpected argument 'stray'", "--dataset.root=DIR"),
        ("--policy.device=gpu", "unknown device 'gpu'", "cuda"),
    ],
)
def test_flags(argument: str, given: str, help_for_it: str, sound: Path, etude: Etude) -> None:
    refusal = etude.refuses(*train(sound, argument))
    assert given in refusal.message
    assert help_for_it in refusal.message + refusal.hint


@pytest.mark.parametrize(
    ("text", "given", "help_for_it"),
    [
        ('{"policy": {"type": "act", "chunk_sise": 8}}', "policy.chunk_sise", "chunk_size"),
        ('{"trainning": {"steps": 5}}', "trainning", "training"),
        ('{"policy": {"type": "act", "chunk_size": "eight"}}', "policy.chunk_size", ""),
        ('{"policy": "act", "wandb": {"enable": 3}}', "wandb.enable", ""),
        ('{"policy": ', "train.json", ""),
        ("[1, 2]", "train.json", ""),
    ],
)
def test_config_files(text: str, given: str, help_for_it: str, sound: Path, etude: Etude) -> None:
    (etude.folder / "train.json").write_text(text)
    refusal = etude.refuses("train", "--config=train.json", f"--dataset.root={sound}", "--output_dir=outputs/run")
    assert refusal.code == UsageError.exit_code
    assert given in refusal.message
    assert help_for_it in refusal.message + refusal.hint


def test_a_config_file_that_is_not_there(sound: Path, etude: Etude) -> None:
    assert "nowhere.yaml" in etude.refuses(*train(sound, "--config=nowhere.yaml")).message


def test_cuda_where_there_is_none(sound: Path, etude: Etude) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    refusal = etude.refuses(*train(sound, "--policy.device=cuda"))
    assert refusal.code == DeviceError.exit_code
    assert "--policy.device=cpu" in refusal.hint


# -- data -------------------------------------------------------------------------------------------------------------


def truncate(file: str) -> Callable[[Copy], None]:
    def cut(data: Copy) -> None:
        path = data.root / file
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return cut


def empty(data: Copy) -> None:
    shutil.rmtree(data.root)
    data.root.mkdir()


def of_version(version: str) -> Callable[[Copy], None]:
    return lambda data: data.json("meta/info.json", lambda info: {**info, "codebase_version": version})


def with_nan(data: Copy) -> None:
    def poison(values: np.ndarray) -> None:
        values[30, 0] = np.nan

    data.column("observation.state", poison)


def with_irregular_timestamps(data: Copy) -> None:
    def shift(values: np.ndarray) -> None:
        values[50] += 0.05

    data.column("timestamp", shift)


BROKEN_DATA: dict[str, tuple[Callable[[Copy], None], str]] = {
    "empty folder": (empty, "broken is empty"),
    "absent folder": (lambda data: shutil.rmtree(data.root), "there is no folder"),
    "truncated rows": (truncate(ROWS), "file-000.parquet"),
    "truncated episodes": (truncate(EPISODES), "file-000.parquet"),
    "missing rows": (lambda data: (data.root / ROWS).unlink(), "file-000.parquet"),
    "truncated info": (truncate("meta/info.json"), "info.json"),
    "truncated statistics": (truncate("meta/stats.json"), "stats.json"),
    "version 2.0": (of_version("v2.0"), "v2.0"),
    "a later version": (of_version("v9.1"), "v9.1"),
    "NaN": (with_nan, "observation.state"),
    "irregular timestamps": (with_irregular_timestamps, "timestamp"),
}


@pytest.mark.parametrize("name", BROKEN_DATA)
def test_broken_data(name: str, sound: Path, etude: Etude) -> None:
    damage, named = BROKEN_DATA[name]
    data = copied(sound, etude.folder / "broken")
    damage(data)
    refusal = etude.refuses(*train(data.root))
    assert refusal.code == DatasetError.exit_code
    assert named in refusal.message
    assert refusal.hint


def test_a_missing_video_is_named(shared_data: Path, etude: Etude) -> None:
    data = copied(shared_data / "cr5-real-v30", etude.folder / "arm")
    video = "videos/observation.images.top/chunk-000/file-000.mp4"
    (data.root / video).unlink()
    refusal = etude.refuses(*train(data.root))
    assert refusal.code == DatasetError.exit_code
    assert video in refusal.message
    assert "offline" not in refusal.message.lower()


def test_a_refused_command_works_once_its_cause_is_gone(sound: Path, etude: Etude) -> None:
    data = copied(sound, etude.folder / "robot")
    rows = (data.root / ROWS).read_bytes()
    truncate(ROWS)(data)
    etude.refuses(*train(data.root))
    (data.root / ROWS).write_bytes(rows)
    code, _, _ = etude(*train(data.root))
    assert code == 0


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "named"), [((5, 2), "observation.state"), ((4, 3), "action")])
def test_data_that_does_not_fit_the_policy(sizes: tuple[int, int], named: str, trained: Path, etude: Etude) -> None:
    data = make_dataset(etude.folder / "other", *sizes)
    refusal = etude.refuses(
        "train", f"--policy.path={trained}", f"--dataset.root={data}", "--mlflow.enable=false", "--policy.device=cpu",
        "--output_dir=outputs/run", "--steps=1",
    )  # fmt: skip
    assert refusal.code == CheckpointError.exit_code
    assert f"{named} has shape ({sizes[0] if named != 'action' else sizes[1]},)" in refusal.message


def test_a_policy_that_is_not_there(sound: Path, etude: Etude) -> None:
    refusal = etude.refuses("train", "--policy.path=./nowhere", f"--dataset.root={sound}", "--output_dir=outputs/run")
    assert refusal.code == CheckpointError.exit_code
    assert "nowhere" in refusal.message
    assert refusal.hint


def spoil(checkpoint: Path) -> None:
    weights = checkpoint / "pretrained_model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def test_a_corrupt_checkpoint_at_resume_falls_back_and_says_so(trained: Path, etude: Etude) -> None:
    run = etude.folder / "run"
    shutil.copytree(trained, run, symlinks=True)
    spoil(run / "checkpoints" / "000006")
    code, _, err = etude("train", "--resume", run)
    assert code == 0
    assert "000006 is corrupt: pretrained_model/model.safetensors" in err
    assert "at step 3" in err
    assert _digest(run / "checkpoints/000006/pretrained_model/model.safetensors") == _digest(
        trained / "checkpoints/000006/pretrained_model/model.safetensors"
    )


def test_no_intact_checkpoint_at_resume(trained: Path, etude: Etude) -> None:
    run = etude.folder / "run"
    shutil.copytree(trained, run, symlinks=True)
    for step in ("000003", "000006"):
        spoil(run / "checkpoints" / step)
    refusal = etude.refuses("train", "--resume", run)
    assert refusal.code == CheckpointError.exit_code
    assert "no complete checkpoint" in refusal.message


def test_resuming_without_the_data_changes_nothing(sound: Path, etude: Etude) -> None:
    data = copied(sound, etude.folder / "robot")
    assert etude(*train(data.root))[0] == 0
    shutil.rmtree(data.root)
    assert etude.refuses("train", "--resume", "outputs/run", "--steps=9").code == DatasetError.exit_code


@pytest.mark.parametrize("argv", [("--resume", "nowhere"), ("--resume", ".")])
def test_resuming_what_is_no_run(argv: tuple[str, ...], etude: Etude) -> None:
    assert etude.refuses("train", *argv).code == RunFolderError.exit_code


# -- places -----------------------------------------------------------------------------------------------------------


def test_an_output_folder_that_exists(sound: Path, etude: Etude) -> None:
    (etude.folder / "outputs" / "run").mkdir(parents=True)
    (etude.folder / "outputs" / "run" / "notes.txt").write_text("mine")
    refusal = etude.refuses(*train(sound))
    assert refusal.code == RunFolderError.exit_code
    assert "etude train --resume outputs/run" in refusal.hint


def test_an_output_folder_that_may_not_be_made(sound: Path, etude: Etude) -> None:
    (etude.folder / "file").write_text("not a folder")
    refusal = etude.refuses(*train(sound, "--output_dir=file/run"))
    assert refusal.code == StorageError.exit_code
    assert "file/run" in refusal.message


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writing more fails as it does on a full disk, in native code too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_space_for_the_manifest(sound: Path, etude: Etude) -> None:
    with no_file_larger_than(100):
        refusal = etude.refuses(*train(sound))
    assert refusal.code == StorageError.exit_code
    assert "run.json" in refusal.message


def test_no_space_for_a_checkpoint(sound: Path, etude: Etude) -> None:
    """The one before it stays intact, and the run goes on from there when there is space."""
    assert etude(*train(sound, "--steps=3"))[0] == 0
    whole = etude.folder / "whole"
    assert etude(*train(sound, f"--output_dir={whole}"))[0] == 0
    kept = etude.folder / "outputs/run/checkpoints/000003"
    before = {path.name: _digest(path) for path in kept.rglob("*") if path.is_file()}
    with no_file_larger_than(30_000):
        code, out, err = etude("train", "--resume", "outputs/run", "--steps=6")
    assert (code, out) == (StorageError.exit_code, "")
    problems = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(problems) == 1
    assert "checkpoint 6 could not be written" in problems[0]
    assert "etude train --resume" in err.splitlines()[-1]
    assert {path.name: _digest(path) for path in kept.rglob("*") if path.is_file()} == before
    assert not list((etude.folder / "outputs/run/checkpoints").glob(".tmp-*"))
    assert etude("train", "--resume", "outputs/run", "--steps=6")[0] == 0
    weights = "checkpoints/000006/pretrained_model/model.safetensors"
    assert _digest(etude.folder / "outputs/run" / weights) == _digest(whole / weights)


def test_no_space_for_a_metric_is_told_once_and_does_not_end_the_run(
    sound: Path, etude: Etude, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.runs.metrics import MetricsFile

    def full(self: Any, record: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self.path))

    monkeypatch.setattr(MetricsFile, "append", full)
    code, _, err = etude(*train(sound, "--log_freq=1"))
    assert code == 0
    assert err.count("cannot write to outputs/run/metrics.jsonl") == 1
    assert json.loads((etude.folder / "outputs/run/run.json").read_text())["status"] == "finished"


def test_a_tracking_server_that_cannot_be(sound: Path, etude: Etude) -> None:
    refusal = etude.refuses(*train(sound, "--mlflow.enable=true", "--mlflow.tracking_uri=ftp://nowhere"))
    assert "ftp" in refusal.message


# -- other commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ("trian",),
        ("evaluate", "--policy.path=nowhere", "--env.type=pusht"),
        ("evaluate", "--policy.path=nowhere", "--env.typ=pusht"),
        ("report", "nowhere"),
        ("track", "nowhere"),
        ("data", "info", "nowhere"),
        ("data", "chekc", "."),
        ("data", "convert", "nowhere"),
    ],
    ids=" ".join,
)
def test_other_commands(argv: tuple[str, ...], etude: Etude) -> None:
    assert etude.refuses(*argv).hint
