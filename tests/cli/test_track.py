"""`etude track`: what it says and how it ends. What it sends is in tests/tracking."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from etude.cli import main
from etude.config.options import MlflowOptions
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord
from etude.tracking import TrackingSettings, open_tracking


def tracked(root: Path, uri: str | None) -> RunFolder:
    run = RunFolder.create(root)
    options = MlflowOptions(enable=uri is not None, tracking_uri=uri)
    settings = TrackingSettings(options, system_metrics_interval_s=0.0, close_timeout_s=0.0)
    manifest = RunManifest("imitation", "run", [], {}, status="finished")
    with open_tracking(run, settings, manifest, {}) as tracker:
        tracker.log(MetricRecord(1, 0.0, {"train/loss": 1.0}))
    return run


@pytest.mark.slow
def test_what_was_missed_is_sent_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = tracked(tmp_path / "run", f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert main(["track", str(run.root), "--timeout", "1"]) == 11
    told = capsys.readouterr()
    assert "1 points" in told.out
    assert "error: not everything was sent" in told.err

    manifest = run.manifest()
    manifest.tracking["mlflow"]["uri"] = f"sqlite:///{tmp_path / 'mlflow.db'}"
    manifest.save(run.manifest_path)
    for sent in (1, 0):
        assert main(["track", str(run.root), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)[str(run.root)][0]
        assert (report["tracker"], report["state"], report["points_sent"]) == ("mlflow", "done", sent)


def test_a_run_without_a_server_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tracked(tmp_path / "run", None)
    assert main(["track", str(run.root)]) == 11
    assert "metrics.jsonl only" in capsys.readouterr().err
    assert main(["track", str(tmp_path / "nothing")]) == 6
    assert main(["track"]) == 2
