"""A run's tracker without any server: the file, system metrics, the null tracker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, read_metrics
from etude.tracking import NullTracker, TrackingSettings, open_tracking
from etude.tracking.settings import MlflowOptions
from etude.tracking.system import sample_system
from tests.tracking.tracking_helpers import settings_for, wait_until

NewRun = Callable[..., tuple[RunFolder, RunManifest]]


def test_the_file_is_written_at_once_and_without_servers(new_run: NewRun) -> None:
    run, manifest = new_run()
    tracker = open_tracking(run, settings_for(None), manifest, {})
    tracker.log(MetricRecord(1, 0.0, {"train/loss": float("nan")}))
    assert [item.step for item in read_metrics(run.metrics_path)] == [1]
    assert set(tracker.identity) == {"run_id"}
    assert run.manifest().tracking == tracker.identity
    tracker.artifact(run.manifest_path, "run.json")
    tracker.close()
    tracker.close()
    tracker.log(MetricRecord(2, 0.0, {"train/loss": 1.0}))  # too late: a line in the log, no exception


def test_a_disk_that_refuses_does_not_stop_the_run(new_run: NewRun, caplog: pytest.LogCaptureFixture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    run, manifest = new_run()
    run.metrics_path.symlink_to("/dev/full")
    tracker = open_tracking(run, settings_for(None), manifest, {})
    for step in range(3):
        tracker.log(MetricRecord(step, 0.0, {"train/loss": 1.0}))
    tracker.close()
    assert caplog.text.count("No space left") >= 1


def test_system_metrics_carry_the_step_and_each_step_once(new_run: NewRun) -> None:
    run, manifest = new_run()
    settings = TrackingSettings(mlflow=MlflowOptions(enable=False), system_metrics_interval_s=0.05)
    tracker = open_tracking(run, settings, manifest, {})
    tracker.at_step(7)
    wait_until(lambda: bool(list(read_metrics(run.metrics_path))))
    time.sleep(0.3)
    tracker.at_step(8)
    wait_until(lambda: len(list(read_metrics(run.metrics_path))) == 2)
    tracker.close()
    records = list(read_metrics(run.metrics_path))
    assert [item.step for item in records] == [7, 8]
    assert all(name.startswith("system/") for item in records for name in item.metrics)


def test_sample_tells_the_machine(tmp_path: Path) -> None:
    class TwoGpus:
        def read(self) -> list[tuple[float, float]]:
            return [(50.0, 1.5), (float("nan"), 2.0)]

    sample_system(tmp_path)
    metrics = sample_system(tmp_path, TwoGpus())
    assert metrics["system/memory_gib"] > 0
    assert metrics["system/process_memory_gib"] > 0
    assert metrics["system/disk_free_gib"] > 0
    assert 0 <= metrics["system/cpu_percent"] <= 100
    assert (metrics["system/gpu_0_percent"], metrics["system/gpu_1_memory_gib"]) == (50.0, 2.0)


def test_missing_mlflow_is_one_line(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run, manifest = new_run()
    with (
        caplog.at_level(logging.INFO),
        open_tracking(run, settings_for("http://h:1"), manifest, {}) as tracker,
    ):
        tracker.log(MetricRecord(1, 0.0, {"a": 1.0}))
    assert len(caplog.records) == 1
    assert "not installed" in caplog.text


def test_null_tracker_takes_everything(tmp_path: Path) -> None:
    with NullTracker() as tracker:
        tracker.log(MetricRecord(1, 0.0, {"a": 1.0}))
        tracker.at_step(3)
        tracker.artifact(tmp_path, "x")
        tracker.note("line")
    assert tracker.identity == {}
