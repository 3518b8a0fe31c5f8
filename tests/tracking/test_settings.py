"""Addresses: which are used, which are refused, and how a user sees the runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.config.options import MlflowOptions
from etude.errors import TrackingError
from etude.tracking import TrackingSettings, ui_command


def settings(uri: str | None) -> TrackingSettings:
    return TrackingSettings(mlflow=MlflowOptions(tracking_uri=uri))


def test_default_is_a_database_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert settings(None).mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert ui_command() == f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
    assert settings("sqlite:///own.db").mlflow_uri == f"sqlite:///{tmp_path}/own.db"
    assert ui_command(settings("http://me:secret@host:5000")) == "http://***@host:5000"
    assert list(tmp_path.iterdir()) == []


def test_flag_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://env:1")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from-env")
    assert settings(None).mlflow_uri == "http://env:1"
    assert settings("http://flag:1").mlflow_uri == "http://flag:1"
    assert settings(None).mlflow_experiment == "from-env"
    assert TrackingSettings(mlflow=MlflowOptions(experiment="flag")).mlflow_experiment == "flag"


@pytest.mark.parametrize("uri", ["htp://host:5000", "ftp://host", "http://", "localhost:5000"])
def test_an_address_that_cannot_work_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError) as refused:
        settings(uri).check()
    assert "--mlflow.tracking_uri" in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    "uri",
    [
        "http://h:5000",
        "https://h/x",
        "sqlite:///a.db",
        "postgresql+psycopg2://u:p@h/d",
        "databricks",
        "./mlruns",
        "file:///tmp/x",
        "azureml://region.api.azureml.ms/x",
    ],
)
def test_addresses_that_may_work(uri: str) -> None:
    settings(uri).check()


def test_the_environments_address_is_named_in_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "htp://u:hidden@host")
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI") as refused:
        settings(None).check()
    assert "hidden" not in refused.value.message
