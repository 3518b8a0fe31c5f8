"""Continuing a run: which one, and what may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etude import config
from etude.config.nested import get
from etude.errors import RunFolderError, UsageError

RECORDED: dict[str, Any] = {
    "dataset": {"repo_id": "user/data", "root": None, "eval_split": 0.1},
    "policy": {"type": "act", "chunk_size": 10},
    "job_name": "reach",
    "steps": 100,
    "batch_size": 8,
    "num_epochs": None,
    "wandb": {"enable": False},
    "mlflow": {"tags": {}},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of ours with a checkpoint, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    folder = Path("outputs/train/reach")
    model = folder / "checkpoints/000050/pretrained_model"
    model.mkdir(parents=True)
    (folder / "checkpoints/last").symlink_to("000050")
    (folder / "checkpoints/best").symlink_to("000050")
    recorded = {**RECORDED, "output_dir": "elsewhere/reach"}
    (folder / "run.json").write_text(json.dumps({"kind": "imitation", "name": "reach", "config": recorded}))
    (model / "train_config.json").write_text(json.dumps({**recorded, "resume": False, "seed": 1}))
    return folder


def test_the_folder_is_enough(run: Path) -> None:
    resolved = config.resolve(["--resume", str(run)])
    assert (resolved.request.resume, resolved.request.resume_step) == (run, None)
    assert resolved.values["batch_size"] == 8
    assert resolved.values["output_dir"] == str(run)
    assert resolved.source("batch_size") == "the resumed run"


@pytest.mark.parametrize(
    ("inside", "step"),
    [
        ("run.json", None),
        ("checkpoints/last", None),
        ("checkpoints/000050", 50),
        ("checkpoints/best/pretrained_model", 50),
        ("checkpoints/000050/pretrained_model/train_config.json", 50),
    ],
)
def test_a_path_inside_leads_to_the_run(run: Path, inside: str, step: int | None) -> None:
    request = config.resolve([f"--resume={run / inside}"]).request
    assert (request.resume, request.resume_step) == (run, step)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resume=true", "--config_path={run}/checkpoints/last/pretrained_model/train_config.json"],
        ["--config={run}/run.json", "--resume=true"],
        ["--resume", "--output_dir={run}"],
        ["--resume", "--job-name", "reach"],
        ["--config=training.json", "--resume=true"],
    ],
)
def test_other_spellings(run: Path, arguments: list[str]) -> None:
    Path("training.json").write_text(json.dumps({"output": {"job_name": "reach"}, "training": {"batch_size": 8}}))
    resolved = config.resolve([argument.format(run=run) for argument in arguments])
    assert resolved.request.resume == run
    assert get(resolved.values, "policy.chunk_size") == 10


def test_some_settings_may_change(run: Path) -> None:
    resolved = config.resolve(
        [
            "--resume",
            str(run),
            "--steps=200",
            "--save-freq=7",
            "--wandb.enable",
            "--batch-size=8",
            "--device=cpu",
        ]
    )
    assert (resolved.values["steps"], resolved.values["save_freq"]) == (200, 7)
    assert resolved.values["wandb"]["enable"] is True
    assert resolved.values["policy"]["device"] == "cpu"


@pytest.mark.parametrize(
    "flag",
    [
        "--batch_size=9",
        "--seed=3",
        "-d=user/other",
        "--policy.chunk_size=5",
        "--output_dir=x",
        "--precision=bf16",
    ],
)
def test_others_would_make_it_another_run(run: Path, flag: str) -> None:
    with pytest.raises(UsageError, match="keeps its settings") as caught:
        config.resolve(["--resume", str(run), flag])
    assert "start a new one" in str(caught.value.hint)


def test_resume_false_is_a_new_run(run: Path) -> None:
    resolved = config.resolve(["--resume=false", "-d", "a/b"])
    assert resolved.request.resume is None
    assert resolved.values["dataset"]["repo_id"] == "a/b"


def test_a_run_of_lerobot_itself(run: Path) -> None:
    (run / "run.json").unlink()
    resolved = config.resolve(["--resume", str(run)])
    assert resolved.values["seed"] == 1
    assert "save_freq" not in resolved.values, "our defaults must not change another trainer's run"


def test_what_is_no_run(tmp_path: Path, run: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wanted in ("nowhere", str(tmp_path / "empty")):
        with pytest.raises(RunFolderError):
            config.resolve(["--resume", wanted])
    with pytest.raises(UsageError, match="which run"):
        config.resolve(["--resume"])
    (run / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="not readable"):
        config.resolve(["--resume", str(run)])


@pytest.mark.parametrize(("cache", "store"), [("auto", "auto"), ("memory", "off"), ("off", "video")])
def test_a_run_that_knew_the_frame_cache_goes_on(run: Path, cache: str, store: str) -> None:
    recorded = {**RECORDED, "frames": {"cache": cache, "memory_gib": 2.0}}
    (run / "run.json").write_text(json.dumps({"kind": "imitation", "name": "reach", "config": recorded}))
    expected = {"store": store, "memory_gib": 2.0}
    assert config.resolve(["--resume", str(run)]).values["frames"] == expected
    assert config.resolve(["--config", str(run)]).values["frames"] == expected
    changed = config.resolve(["--resume", str(run), "--frames.store=raw"])
    assert changed.values["frames"] == {"store": "raw", "memory_gib": 2.0}
