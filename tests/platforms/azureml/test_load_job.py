"""Every YAML that we make is one that Azure's own library reads, and means the same to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("azure.ai.ml")

from azure.ai.ml import load_job

from etude.platforms.azureml.check import problems_of
from etude.platforms.azureml.request import build_request
from etude.platforms.job import Input
from etude.platforms.seam import Request
from tests.platforms.azureml.conftest import MakeJob, overrides


def load(request: Request, folder: Path) -> Any:
    file = folder / "job.yaml"
    file.write_text(request.text, encoding="utf-8")
    return load_job(file)


def test_what_it_reads_is_what_we_asked_for(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(
        environment={"ON": "true", "NUMBER": "007", "EMPTY": ""},
        inputs=(
            Input("dataset", "azureml:pusht:3"),
            Input("policy", "azureml:act-aloha:1", kind="model"),
            Input("more", "azureml://datastores/workspaceblobstore/paths/data/more"),
        ),
        resources={"gpus": 4, "nodes": 2, "shm_size": "64g", "timeout_s": 90, "priority": "high"},
        settings={"job_tier": "standard", "environment": "lerobot:2"},
        tags={"task": "pusht", "1": "yes"},
    )
    loaded = load(build_request(job, None), tmp_path)
    assert (loaded.name, loaded.display_name, loaded.experiment_name) == ("act-1", "ACT on PushT", "robots")
    assert loaded.compute == "gpu-cluster"
    assert loaded.environment_variables == {"ON": "true", "NUMBER": "007", "EMPTY": ""}
    assert loaded.inputs["policy"].type == "custom_model"
    assert loaded.inputs["dataset"].path.removeprefix("azureml:") == "pusht:3"
    assert loaded.outputs["checkpoint"].mode == "rw_mount"
    assert loaded.distribution.process_count_per_instance == 1
    assert (loaded.resources.instance_count, loaded.resources.shm_size) == (2, "64g")
    assert loaded.limits.timeout == 90
    assert loaded.queue_settings.priority == "high"
    assert loaded.tags["task"] == "pusht"
    assert loaded.code == str(tmp_path / "bundle")


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "identity": st.sampled_from(["managed", "managed_identity", "user_identity", "aml_token", "none"]),
        "job_tier": st.sampled_from(["spot", "basic", "standard", "premium", "null"]),
        "environment": st.sampled_from(["lerobot:1", "lerobot@latest", "azureml:lerobot:1"]),
    },
)
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.integers(1, 8),
        "gpus": st.integers(1, 8),
        "shm_size": st.from_regex(r"\A[1-9][0-9]{0,3}[bkmg]\Z"),
        "timeout_s": st.integers(1, 10**7),
        "priority": st.sampled_from(["low", "medium", "high"]),
        "instance_type": st.sampled_from(["gpuspot", "Standard_NC24ads_A100_v4"]),
    },
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,12}\Z")
OVERRIDES = st.lists(
    st.sampled_from(["limits.timeout=60", "compute=other", "display_name=x", "tags.a=b", "resources.shm_size=1g"]),
    max_size=3,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    SETTINGS, RESOURCES, st.dictionaries(NAMES, TEXT, max_size=3), st.sets(NAMES, max_size=3), TEXT.filter(str.strip)
)
def test_whatever_has_no_problem_is_read(
    make_job: MakeJob,
    tmp_path: Path,
    chosen: dict[str, str],
    resources: dict[str, Any],
    variables: dict[str, str],
    names: set[str],
    title: str,
) -> None:
    inputs = tuple(Input(name, "azureml:pusht@latest") for name in sorted(names))
    job = make_job(settings=chosen, resources=resources, environment=variables, inputs=inputs, title=title)
    request = build_request(job, None)
    if problems_of(job, request.data):
        return
    loaded = load(request, tmp_path)
    assert loaded.environment_variables == (variables or {})
    assert loaded.display_name == title
    assert set(loaded.inputs) == names


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OVERRIDES)
def test_overrides_are_read_too(make_job: MakeJob, tmp_path: Path, items: list[str]) -> None:
    request = build_request(make_job(settings=overrides(items)), None)
    loaded = load(request, tmp_path)
    assert loaded.compute == ("other" if "compute=other" in items else "gpu-cluster")


def test_the_text_alone_is_enough(make_job: MakeJob, tmp_path: Path) -> None:
    """What `--dry-run` prints can be kept in a file and sent from another folder."""
    request = build_request(make_job(), None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert load(request, elsewhere).code == str(tmp_path / "bundle")
    shutil.rmtree(elsewhere)
    assert yaml.safe_load(request.text) == request.data
