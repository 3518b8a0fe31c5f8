"""The platform from settings, and what of it has to be kept to find a job from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.platforms.azureml.opening import open_azureml, place_settings
from tests.platforms.azureml.conftest import MakeJob


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME", "AZUREML_COMPUTE", "ETUDE_TERRAFORM_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "from-environment")
    monkeypatch.chdir(tmp_path)


def test_what_is_kept_opens_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = open_azureml({"resource_group": "g", "workspace": "w", "compute": "c"})
    kept = place_settings(platform.context)
    assert kept == {"subscription_id": "from-environment", "resource_group": "g", "workspace": "w"}
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "another")
    again = open_azureml(kept)
    assert place_settings(again.context) == kept


def test_a_dry_run_needs_neither_login_nor_workspace(make_job: MakeJob) -> None:
    platform = open_azureml({"offline": "yes"})
    job = make_job(settings={"offline": "yes", "identity": "managed"})
    assert platform.check(job) == []
    assert platform.plan(job).text.startswith("$schema:")
    told = [str(problem) for problem in open_azureml({}).check(make_job())]
    assert len(told) == 2
    assert "AZURE_RESOURCE_GROUP" in told[0]
    assert "AZUREML_WORKSPACE_NAME" in told[1]
