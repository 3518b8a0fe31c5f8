"""The job as Azure ML is asked for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from etude.platforms.azureml.request import DEFAULT_IMAGE, build_request, draft_request
from etude.platforms.job import Input
from etude.platforms.problems import RefusedJobError
from tests.platforms.azureml.conftest import MakeJob, overrides


def test_a_job_as_it_is_sent(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(environment={"WANDB_MODE": "offline"}, tags={"task": "pusht"}, resources={"shm_size": "16g"})
    request = build_request(job, None)
    assert request.name == "act-1"
    assert request.data == {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
        "type": "command",
        "name": "act-1",
        "display_name": "ACT on PushT",
        "experiment_name": "robots",
        "tags": {"task": "pusht", "etude.bundle": "0123456789abcdef"},
        "compute": "gpu-cluster",
        "code": str(tmp_path / "bundle"),
        "command": (
            "bash bootstrap.sh --input dataset=${{inputs.dataset}} --output checkpoint=${{outputs.checkpoint}}"
        ),
        "environment": {"image": DEFAULT_IMAGE},
        "environment_variables": {"WANDB_MODE": "offline"},
        "inputs": {"dataset": {"type": "uri_folder", "mode": "ro_mount", "path": "azureml:pusht:3"}},
        "outputs": {"checkpoint": {"type": "uri_folder", "mode": "rw_mount"}},
        "resources": {"instance_count": 1, "shm_size": "16g"},
        "identity": {"type": "managed"},
    }
    assert yaml.safe_load(request.text) == request.data


def test_the_same_job_is_the_same_text(make_job: MakeJob) -> None:
    texts = {build_request(make_job(environment={"B": "1", "A": "2"}), "x").text for _ in range(3)}
    assert len(texts) == 1


def test_nothing_is_said_of_what_is_not_there(make_job: MakeJob) -> None:
    data = build_request(make_job(inputs=(), outputs=()), None).data
    assert data["command"] == "bash bootstrap.sh"
    absent = ("inputs", "outputs", "environment_variables", "distribution", "limits", "queue_settings", "services")
    assert not set(absent) & set(data)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resources": {"gpus": 4}}, {"distribution": None}),
        (
            {"resources": {"nodes": 2}},
            {"distribution": {"type": "pytorch", "process_count_per_instance": 1}, "resources": {"instance_count": 2}},
        ),
        ({"resources": {"timeout_s": 3600}}, {"limits": {"timeout": 3600}}),
        ({"resources": {"priority": "high"}}, {"queue_settings": {"priority": "high"}}),
        ({"settings": {"job_tier": "spot"}}, {"queue_settings": {"job_tier": "spot"}}),
        ({"settings": {"identity": "none"}}, {"identity": None}),
        ({"settings": {"identity": "user"}}, {"identity": {"type": "user_identity"}}),
        (
            {"settings": {"identity": "managed", "identity_client_id": "abc"}},
            {"identity": {"type": "managed", "client_id": "abc"}},
        ),
        (
            {"resources": {"instance_type": "gpuspot"}},
            {"resources": {"instance_count": 1, "instance_type": "gpuspot"}},
        ),
        (
            {"resources": {"compute": "serverless", "instance_type": "Standard_NC6s_v3"}},
            {"compute": None, "resources": {"instance_count": 1, "instance_type": "Standard_NC6s_v3"}},
        ),
        ({"resources": {"compute": "azureml:k8s-gpu"}}, {"compute": "k8s-gpu"}),
        ({"image": "nvcr.io/nvidia/pytorch:25.01-py3"}, {"environment": {"image": "nvcr.io/nvidia/pytorch:25.01-py3"}}),
        ({"image": "azureml:lerobot@latest"}, {"environment": "azureml:lerobot@latest"}),
        ({"settings": {"environment": "lerobot:2"}}, {"environment": "azureml:lerobot:2"}),
        (
            {"inputs": (Input("policy", "azureml:act-aloha:7", "--policy.path", kind="model"),)},
            {"inputs": {"policy": {"type": "custom_model", "mode": "ro_mount", "path": "azureml:act-aloha:7"}}},
        ),
    ],
)
def test_what_a_job_asks_for(make_job: MakeJob, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    data = build_request(make_job(**changes), None).data
    for key, value in expected.items():
        assert data.get(key) == value


def test_the_compute_of_the_context_is_the_default(make_job: MakeJob) -> None:
    assert build_request(make_job(resources={"compute": None}), "from-context").data["compute"] == "from-context"
    assert build_request(make_job(), "from-context").data["compute"] == "gpu-cluster"


def test_a_folder_is_named_by_its_full_path(make_job: MakeJob) -> None:
    data = build_request(make_job(inputs=(Input("dataset", "data/pusht"),)), None).data
    assert data["inputs"]["dataset"]["path"] == os.path.abspath("data/pusht")


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("azureml:act:1", "custom_model"),
        ("azureml:act@latest", "custom_model"),
        ("azureml://registries/shared/models/act/versions/1", "custom_model"),
        ("azureml://datastores/workspaceblobstore/paths/azureml/act-1/checkpoint/", "uri_folder"),
        ("outputs/train/act", "uri_folder"),
    ],
)
def test_what_is_registered_is_a_model_and_the_rest_folders(make_job: MakeJob, reference: str, kind: str) -> None:
    data = build_request(make_job(inputs=(Input("policy", reference, kind="model"),)), None).data
    assert data["inputs"]["policy"]["type"] == kind


def test_overrides_change_the_request(make_job: MakeJob) -> None:
    settings = overrides(
        [
            "inputs.dataset.path=azureml:aloha@latest",
            "compute=azureml:other",
            "limits.timeout=60",
            "environment_variables.HF_HOME=/tmp/a=b",
            "tags.team.name=arms",
            'resources.properties={"a": 1}',
            "limits.timeout=120",
        ]
    )
    data = build_request(make_job(settings=settings), None).data
    assert data["inputs"]["dataset"] == {"type": "uri_folder", "mode": "ro_mount", "path": "azureml:aloha@latest"}
    assert data["compute"] == "other"
    assert data["limits"] == {"timeout": 120}
    assert data["environment_variables"] == {"HF_HOME": "/tmp/a=b"}
    assert data["tags"]["team.name"] == "arms"
    assert data["resources"]["properties"] == {"a": 1}
    short = build_request(make_job(settings=overrides(["inputs.dataset=azureml:x:1"])), None).data
    assert short["inputs"]["dataset"]["path"] == "azureml:x:1"


@pytest.mark.parametrize(
    ("item", "said", "hint"),
    [
        ("=3", "no setting ''", ""),
        ("limit.timeout=3", "no setting 'limit'", "limits"),
        ("inputs..path=3", "no setting", ""),
        ("name=x", "name cannot be set", "--job-name"),
        ("command=rm", "command cannot be set", "follows"),
    ],
)
def test_overrides_that_are_refused(make_job: MakeJob, item: str, said: str, hint: str) -> None:
    _, (problem,) = draft_request(make_job(settings=overrides([item])), None)
    assert said in problem.message
    assert hint in problem.fix


def test_all_overrides_are_told_of_at_once(make_job: MakeJob) -> None:
    settings = overrides(["resources.instance_count=two", "compute.name.x=3", "limits.timeout=60"])
    request, problems = draft_request(make_job(settings=settings), None)
    assert len(problems) == 2
    assert request.data["limits"] == {"timeout": 60}
    with pytest.raises(RefusedJobError, match="whole number"):
        build_request(make_job(settings=settings), None)
