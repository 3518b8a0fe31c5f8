"""Weights & Biases, offline, for real; and what is refused before training."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from etude.config.options import TrainOptions
from etude.errors import TrackingError
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, truncate_after
from etude.tracking import TrackingSettings, WandbSettings, open_tracking
from etude.tracking.wandb_sender import offline_rows
from tests.tracking.tracking_helpers import SECRETS, settings_for

NewRun = Callable[..., tuple[RunFolder, RunManifest]]
OFFLINE = WandbSettings(enable=True, mode="offline", project="arms", notes="first try", tags=("a", "b"))


def record(step: int) -> MetricRecord:
    return MetricRecord(step, time.time(), {"train/loss": 1.0 / step, "train/lr": 0.5})


def test_offline_run_holds_the_values_once_also_after_a_resume(
    new_run: NewRun, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRETS["WANDB_API_KEY"])
    run, manifest = new_run()
    with open_tracking(run, settings_for(None, wandb=OFFLINE), manifest, {"steps": 30}) as tracker:
        for step in range(1, 21):
            tracker.log(record(step))
            tracker.log(MetricRecord(step, time.time(), {"val/loss": 2.0}))  # the same step, a second record
    run_id = run.manifest().tracking["wandb"]["run_id"]
    assert [row["_step"] for row in offline_rows(run.root, run_id)] == list(range(1, 21))

    truncate_after(run.metrics_path, 10)
    with open_tracking(run, settings_for(None, wandb=OFFLINE), run.manifest(), {"steps": 30}) as tracker:
        for step in range(11, 31):
            tracker.log(record(step))
    assert run.manifest().tracking["wandb"]["run_id"] == run_id
    rows = list(offline_rows(run.root, run_id))
    assert [row["_step"] for row in rows] == list(range(1, 31))
    assert [row["train/loss"] for row in rows] == [1.0 / step for step in range(1, 31)]
    assert all(row["val/loss"] == 2.0 for row in rows[:20])

    printed = capfd.readouterr()
    assert "wandb" not in printed.out + printed.err
    for file in run.root.rglob("*"):
        if file.is_file():
            assert SECRETS["WANDB_API_KEY"].encode() not in file.read_bytes(), file


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nobody")
def test_not_logged_in_is_refused_before_training(new_run: NewRun) -> None:
    run, manifest = new_run()
    with pytest.raises(TrackingError, match="not logged in") as refused:
        open_tracking(run, settings_for(None, wandb=WandbSettings(enable=True)), manifest, {})
    assert refused.value.hint is not None
    for way in ("wandb login", "WANDB_API_KEY", "--wandb.mode=offline"):
        assert way in refused.value.hint
    assert not (run.root / "tracking").exists()


@pytest.mark.usefixtures("nobody")
def test_each_way_of_logging_in_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online = WandbSettings(enable=True)
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {'k' * 40}\n")
    (tmp_path / ".netrc").chmod(0o600)
    online.check()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text("[default]\nbase_url = https://wandb.example.org\n")
    with pytest.raises(TrackingError, match=r"wandb\.example\.org"):
        online.check()  # the key is for another server
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    online.check()


@pytest.mark.usefixtures("nobody")
def test_modes() -> None:
    WandbSettings(enable=True, mode="disabled").check()
    WandbSettings(enable=False, mode="online").check()
    with pytest.raises(TrackingError, match="offlin") as refused:
        WandbSettings(enable=True, mode="offlin").check()
    assert "offline" in str(refused.value.hint)


def test_settings_come_from_lerobots_section() -> None:
    section = {"enable": True, "project": "arms", "mode": "offline", "entity": None, "add_tags": True}
    options = TrainOptions(wandb_tags=["a"], tracking_interval_s=3.0)
    built = TrackingSettings.build(options, section)
    assert built.wandb == WandbSettings(enable=True, project="arms", mode="offline", tags=("a",))
    assert built.interval_s == 3.0
    assert not TrackingSettings.build(TrainOptions()).wandb.enable
