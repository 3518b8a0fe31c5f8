"""Runs tracked on a real MLflow server that lives, dies, hangs and comes back."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, read_metrics, series, truncate_after
from etude.runs.results import EpisodeResult, Interval, RolloutResult
from etude.tracking import log_evaluation, open_tracking, sync
from tests.tracking.tracking_helpers import SECRETS, MlflowServer, settings_for, wait_until

NewRun = Callable[..., tuple[RunFolder, RunManifest]]


def record(step: int) -> MetricRecord:
    return MetricRecord(step, time.time(), {"train/loss": 1.0 / (step + 1), "train/grad_norm": float(step)})


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def history(uri: str, run_id: str, key: str) -> list[tuple[int, float]]:
    found = client(uri).get_metric_history(run_id, key)
    return sorted((metric.step, metric.value) for metric in found)


def mlflow_run_id(run: RunFolder) -> str:
    wait_until(lambda: "run_id" in run.manifest().tracking.get("mlflow", {}))
    return str(run.manifest().tracking["mlflow"]["run_id"])


def assert_server_equals_file(uri: str, run: RunFolder) -> None:
    curves = series(read_metrics(run.metrics_path))
    assert curves
    for key, points in curves.items():
        assert history(uri, mlflow_run_id(run), key) == sorted(points), key


def test_everything_of_a_run_arrives(mlflow_server: MlflowServer, new_run: NewRun, tmp_path: Path) -> None:
    run, manifest = new_run()
    manifest.dataset = {"repo_id": "me/data", "fingerprint": "f1"}
    params = {"policy": {"type": "act", "long": "x" * 9000, "absent": None}, "steps": 10}
    params["many"] = {f"p{i}": i for i in range(230)}  # more than one batch of parameters
    (tmp_path / "plot.txt").write_text("picture")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with open_tracking(run, settings_for(mlflow_server.uri), manifest, params) as tracker:
        for step in range(1500):  # more than one batch of metrics
            tracker.log(record(step))
        tracker.log(MetricRecord(1500, time.time(), {"train/odd name?": float("nan"), "val/loss": float("inf")}))
        tracker.artifact(tmp_path / "plot.txt", "pictures/plot.txt")
        tracker.artifact(tmp_path / "model", "checkpoints/000010")

    found = client(mlflow_server.uri).get_run(mlflow_run_id(run))
    assert found.info.status == "FINISHED"
    assert found.data.params["policy.type"] == "act"
    assert found.data.params["many.p229"] == "229"
    assert found.data.params["data.fingerprint"] == "f1"
    assert len(found.data.params["policy.long"]) == 6000
    assert "policy.absent" not in found.data.params
    assert found.data.tags["etude.run_id"] == run.manifest().tracking["run_id"]
    assert len(history(mlflow_server.uri, found.info.run_id, "train/loss")) == 1500
    assert len(history(mlflow_server.uri, found.info.run_id, "train/odd name_")) == 1
    files = client(mlflow_server.uri).list_artifacts(found.info.run_id, "checkpoints/000010")
    assert [item.path for item in files] == ["checkpoints/000010/config.json"]
    assert [i.path for i in client(mlflow_server.uri).list_artifacts(found.info.run_id, "pictures")]

    reports = sync(run)  # again: it has everything
    assert [(report.state, report.points_sent, report.uploads_sent) for report in reports] == [("done", 0, 0)]
    assert len(history(mlflow_server.uri, found.info.run_id, "train/loss")) == 1500


@pytest.mark.slow
def test_resume_continues_the_same_run(mlflow_server: MlflowServer, new_run: NewRun) -> None:
    run, manifest = new_run()
    settings = settings_for(mlflow_server.uri)
    with open_tracking(run, settings, manifest, {"steps": 10}) as tracker:
        for step in range(1, 31):
            tracker.log(record(step))
    first = mlflow_run_id(run)
    truncate_after(run.metrics_path, 20)
    with open_tracking(run, settings, run.manifest(), {"steps": 40}) as tracker:
        for step in range(21, 41):
            tracker.log(record(step))
    assert mlflow_run_id(run) == first
    assert_server_equals_file(mlflow_server.uri, run)
    assert client(mlflow_server.uri).get_run(first).info.status == "FINISHED"


LOGGER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from etude.runs.folder import RunFolder
    from etude.runs.metrics import MetricRecord, read_metrics
    from etude.tracking import open_tracking
    from tracking_helpers import settings_for
    run = RunFolder(Path(sys.argv[1]))
    tracker = open_tracking(run, settings_for(sys.argv[2]), run.manifest(), {"a": 1})
    first = max((item.step for item in read_metrics(run.metrics_path)), default=-1) + 1
    print("ready", flush=True)
    for step in range(first, int(sys.argv[3])):
        tracker.at_step(step)
        metrics = {"train/loss": 1.0 / (step + 1), "train/lr": float(step)}
        tracker.log(MetricRecord(step, time.time(), metrics))
        time.sleep(0.01)
    tracker.close("finished")
    """
)


def start_logger(run: RunFolder, uri: str, steps: int) -> subprocess.Popen[str]:
    root = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOGGER, str(run.root), uri, str(steps)]
    process = subprocess.Popen(command, env=environment, cwd=run.root.parent, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("moment", ["before the run is made", "while sending"])
def test_no_gap_and_no_repeat_after_kill(mlflow_server: MlflowServer, new_run: NewRun, moment: str) -> None:
    run, _ = new_run()
    process = start_logger(run, mlflow_server.uri, 100_000)
    if moment == "while sending":
        mlflow_run_id(run)
        time.sleep(0.7)
    process.kill()
    process.wait()
    stamp = run.manifest().tracking["run_id"]
    reached = max((item.step for item in read_metrics(run.metrics_path)), default=0)
    truncate_after(run.metrics_path, reached // 2)  # back to the last checkpoint
    resumed = start_logger(run, mlflow_server.uri, reached + 20)
    assert resumed.wait(timeout=120) == 0
    assert_server_equals_file(mlflow_server.uri, run)
    experiment = run.manifest().tracking["mlflow"]["experiment_id"]
    same = client(mlflow_server.uri).search_runs([experiment], filter_string=f"tags.`etude.run_id` = '{stamp}'")
    assert len(same) == 1


@pytest.mark.slow
def test_server_killed_and_restarted(tmp_path: Path, new_run: NewRun, caplog: pytest.LogCaptureFixture) -> None:
    server = MlflowServer(tmp_path)
    server.start()
    run, manifest = new_run()
    with caplog.at_level(logging.INFO):
        tracker = open_tracking(run, settings_for(server.uri), manifest, {})
        tracker.log(record(0))
        run_id = mlflow_run_id(run)
        wait_until(lambda: bool(history(server.uri, run_id, "train/loss")))
        server.kill()
        tracker.log(record(1))
        wait_until(lambda: "does not answer" in caplog.text)
        tracker.log(record(2))
        server.start()
        tracker.log(record(3))
        wait_until(lambda: "answers again" in caplog.text)
        server.signal(signal.SIGSTOP)  # now it hangs
        tracker.log(record(4))
        time.sleep(1)
        server.signal(signal.SIGCONT)
        tracker.close("stopped")
    assert_server_equals_file(server.uri, run)
    assert client(server.uri).get_run(run_id).info.status == "KILLED"
    server.kill()


def test_dead_and_silent_servers_hold_nothing_up(
    mlflow_server: MlflowServer, silent_server: str, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    run, manifest = new_run()
    tracker = open_tracking(run, settings_for(silent_server, close_timeout_s=1.0), manifest, {"a": 1})
    for step in range(50):
        tracker.log(record(step))
    tracker.artifact(run.manifest_path, "run.json")
    tracker.close("finished")
    assert f"etude track {run.root}" in caplog.text
    assert "100 points and 1 uploads" in caplog.text
    assert len(list(read_metrics(run.metrics_path))) == 50

    # The server is at another address later on, and takes what was kept.
    manifest.status = "finished"
    manifest.tracking["mlflow"]["uri"] = mlflow_server.uri
    manifest.save(run.manifest_path)
    reports = sync(run)
    assert [(report.state, report.points_sent, report.uploads_sent) for report in reports] == [("done", 100, 1)]
    assert_server_equals_file(mlflow_server.uri, run)
    found = client(mlflow_server.uri).get_run(mlflow_run_id(run))
    assert (found.info.status, found.data.params["a"]) == ("FINISHED", "1")


def test_evaluation_joins_the_run(mlflow_server: MlflowServer, new_run: NewRun) -> None:
    run, manifest = new_run()
    with open_tracking(run, settings_for(mlflow_server.uri), manifest, {}) as tracker:
        tracker.log(record(100))
    folder = run.new_evaluation("pusht")
    rate = Interval(0.9, 0.79, 0.96, "wilson")
    episodes = [EpisodeResult(0, 1, True, 1.0, 10)]
    result = RolloutResult({"checkpoint_step": 100}, {"type": "pusht"}, episodes, rate, rate)
    folder.mkdir(parents=True)
    result.save(folder)
    (folder / "episode.mp4").write_bytes(b"video")
    reports = log_evaluation(run, result, folder)
    assert [report.state for report in reports] == ["done"]
    run_id = mlflow_run_id(run)
    assert history(mlflow_server.uri, run_id, "eval/success_rate_low") == [(100, 0.79)]
    files = {item.path for item in client(mlflow_server.uri).list_artifacts(run_id, "evaluations/pusht")}
    assert files == {"evaluations/pusht/result.json", "evaluations/pusht/episode.mp4"}


@pytest.mark.slow
def test_injected_run_is_used_and_not_ended(
    mlflow_server: MlflowServer, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = client(mlflow_server.uri)
    given = server.create_run(server.create_experiment(f"platform-{time.time()}")).info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    run, manifest = new_run()
    settings = settings_for("unused")
    settings.mlflow.tracking_uri = None
    with open_tracking(run, settings, manifest, {"a": 1}) as tracker:
        tracker.log(record(1))
    assert mlflow_run_id(run) == given
    assert server.get_run(given).info.status == "RUNNING"
    assert_server_equals_file(mlflow_server.uri, run)


@pytest.mark.slow
def test_default_store_shared_by_two_runs_at_once(
    tmp_path: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_for("unused")
    settings.mlflow.tracking_uri = None
    runs = [new_run(name) for name in ("one", "two")]
    trackers = [open_tracking(run, settings, manifest, {"a": 1}) for run, manifest in runs]
    for step in range(30):
        for tracker in trackers:
            tracker.log(record(step))
        time.sleep(0.02)
    for (run, _), tracker in zip(runs, trackers, strict=True):
        tracker.artifact(run.manifest_path, "run.json")
        tracker.close()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert len({mlflow_run_id(run) for run, _ in runs}) == 2
    for run, _ in runs:
        assert_server_equals_file(uri, run)
        assert list((tmp_path / "mlruns").glob(f"*/{mlflow_run_id(run)}/artifacts/run.json"))


def test_no_secret_is_written_or_sent(
    mlflow_server: MlflowServer,
    new_run: NewRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    uri = mlflow_server.uri.replace("http://", "http://someone:uri-password@")
    run, manifest = new_run()
    params = {"hub": {"token": "typed-in-token"}, "note": f"uses {SECRETS['HF_TOKEN']}", "uri": uri}
    params["reference"] = {"token": "env://HF_TOKEN"}
    with caplog.at_level(logging.DEBUG), open_tracking(run, settings_for(uri), manifest, params) as tracker:
        tracker.log(record(1))
        tracker.note(f"connecting to {uri} with {SECRETS['WANDB_API_KEY']}")
    found = client(mlflow_server.uri).get_run(mlflow_run_id(run))
    seen = caplog.text + json.dumps([found.data.params, found.data.tags])
    seen += "".join(file.read_text() for file in run.root.rglob("*") if file.is_file())
    for secret in [*SECRETS.values(), "uri-password", "typed-in-token"]:
        assert secret not in seen
    assert found.data.params["reference.token"] == "env://HF_TOKEN"
