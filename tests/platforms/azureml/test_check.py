"""What is wrong with a job, all of it at once, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.platforms.azureml.check import SHM_SIZE, problems_of
from etude.platforms.azureml.request import build_request
from etude.platforms.job import Input, Job
from etude.platforms.problems import Problem
from tests.platforms.azureml.conftest import MakeJob, overrides


def problems(job: Job) -> list[Problem]:
    return problems_of(job, build_request(job, None).data)


def test_a_good_job_has_none(make_job: MakeJob) -> None:
    rich = make_job(
        resources={"gpus": 4, "nodes": 2, "shm_size": "64g", "timeout_s": 60, "priority": "high"},
        environment={"WANDB_PROJECT": "robots", "PYTHONPATH": "/opt", "COMMIT": "0123456789" * 4},
        secrets={"HF_TOKEN": "keyvault://robots-vault/hf-token"},
        settings={"identity": "managed", **overrides(["limits.timeout=30"])},
        register="act-pusht",
    )
    assert problems(make_job()) == []
    assert problems(rich) == []
    assert problems(make_job(resources={"compute": "serverless", "instance_type": "Standard_NC6s_v3"})) == []


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a b"}, "job name 'a b'", "a-b"),
    ({"name": "-x"}, "job name", ""),
    ({"experiment": ""}, "experiment ''", ""),
    ({"register": "a/b"}, "model name 'a/b'", "a-b"),
    ({"inputs": (Input("my-data", "azureml:x:1"),)}, "input name 'my-data'", "my_data"),
    ({"outputs": ("check-point",)}, "output name 'check-point'", "check_point"),
    ({"resources": {"nodes": 0}}, "--nodes must be 1 or more, got 0", ""),
    ({"resources": {"gpus": -1}}, "--gpus must be 1 or more, got -1", ""),
    ({"resources": {"timeout_s": -5}}, "--timeout must be more than 0 seconds, got -5", ""),
    ({"resources": {"shm_size": "16 gigs"}}, "'16 gigs'", "--shm-size=16g"),
    ({"resources": {"compute": None}}, "no compute is given", "AZUREML_COMPUTE"),
    ({"resources": {"compute": "serverless"}}, "serverless compute needs an instance type", "--instance-type"),
    ({"resources": {"cpus": 4}}, "--cpus=4", "--instance-type"),
    ({"resources": {"priority": "hihg"}}, "--priority=hihg", "high"),
    ({"settings": {"identity": "manged"}}, "--identity=manged", "managed"),
    ({"settings": {"job_teir": "spot"}}, "no setting 'job_teir'", "job_tier"),
    ({"settings": {"environment": "lerobot"}}, "says no version", "azureml:lerobot@latest"),
    ({"settings": {"environment": "a:1"}, "image": "x"}, "both given", ""),
    ({"image": "not an image"}, "is not a container image", ""),
    ({"inputs": (Input("dataset", "azureml:pusht", "--dataset.root"),)}, "--dataset.root: 'azureml:pusht'", "@latest"),
    ({"inputs": (Input("dataset", "/no/such"),)}, "no folder /no/such", "azureml:NAME:VERSION"),
    ({"inputs": (Input("dataset", "azureml:a:b:c"),)}, "names no asset", "azureml:NAME:VERSION"),
    ({"inputs": (Input("dataset", "azureml:a:1", kind="audio"),)}, "'audio'", ""),
    ({"environment": {"STEPS": 3}}, "environment variable STEPS is 3", '"3"'),
    ({"environment": {"A-B": "x"}}, "environment variable 'A-B'", "A-B"),
    ({"environment": {"OUT": "${{outputs.checkpoint}}"}}, "only filled in in the command", ""),
    ({"environment": {"HF_TOKEN": "whatever-it-is"}}, "HF_TOKEN holds a secret", "keyvault://VAULT/hf-token"),
    ({"environment": {"LOGIN": "hf_" + "a" * 34}}, "LOGIN holds a secret", "etude secrets set"),
    ({"environment": {"WANDB_LOGIN": "0123456789" * 4}}, "WANDB_LOGIN holds a secret", ""),
    ({"environment": {"STORE": "AccountName=a;AccountKey=abc=="}}, "STORE holds a secret", ""),
    ({"environment": {"URL": "https://a.blob.core.windows.net/c?sv=1&sig=abc"}}, "URL holds a secret", ""),
    ({"tags": {"note": "hf_" + "a" * 34}}, "tags note holds a secret", ""),
    ({"config": "wandb:\n  api_key: 0123456789\n"}, "wandb.api_key of the config file holds a secret", ""),
    ({"secrets": {"HF_TOKEN": "env://HF_TOKEN"}}, "is on this machine", "keyvault://VAULT/hf-token"),
    ({"secrets": {"HF_TOKEN": "keyvualt://a/b"}}, "secret HF_TOKEN", ""),
    ({"command": ("train", "--x={input:dataset}", "--output_dir={output:chekpoint}")}, "'chekpoint'", "checkpoint"),
    ({"command": ("train", "--output_dir={output:checkpoint}")}, "input 'dataset' is not used", ""),
    ({"settings": overrides(["inputs.extra.path=azureml:a:1"])}, "input 'extra' is not used", ""),
    ({"settings": overrides(["resources.docker_args=--ipc=host"])}, "docker_args", "--shm-size"),
    ({"settings": overrides(["limits.timeout=-5"])}, "got -5", ""),
]


@pytest.mark.parametrize(("changes", "said", "fix"), BAD, ids=[said for _, said, _ in BAD])
def test_each_problem_with_its_fix(make_job: MakeJob, changes: dict[str, Any], said: str, fix: str) -> None:
    told = [problem for problem in problems(make_job(**changes)) if said in problem.message]
    assert len(told) == 1, problems(make_job(**changes))
    assert fix in told[0].fix


def test_all_at_once(make_job: MakeJob) -> None:
    job = make_job(
        name="a b",
        experiment="-",
        environment={"HF_TOKEN": "x" * 20, "N": 3},
        resources={"nodes": -1, "gpus": 0, "timeout_s": -5, "shm_size": "16 gigs", "compute": None},
        inputs=(Input("dataset", "azureml:pusht"),),
    )
    assert len(problems(job)) >= 9


def test_a_secret_is_never_repeated(make_job: MakeJob) -> None:
    value = "hf_" + "q" * 34
    job = make_job(
        environment={"A": value, "B_TOKEN": "plain-secret-value"},
        tags={"x": value},
        command=("train", f"--wandb.api_key={value}", "--x={input:dataset}", "--o={output:checkpoint}"),
        config=f"hub:\n  token: {value}\n",
    )
    text = "".join(map(str, problems(job)))
    assert len(problems(job)) == 5
    assert value not in text
    assert "plain-secret-value" not in text


def test_a_folder_of_this_machine_is_an_input(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert problems(make_job(inputs=(Input("dataset", str(tmp_path / "data")),))) == []


@settings(deadline=None)
@given(st.text(max_size=8))
def test_sizes_of_shared_memory(text: str) -> None:
    if SHM_SIZE.fullmatch(text):
        assert int(text[:-1]) > 0
        assert text[-1].lower() in "bkmg"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.text(), st.integers(), st.integers(), st.text(), st.dictionaries(st.text(), st.text(), max_size=2))
def test_whatever_is_given_gets_problems_and_no_traceback(
    make_job: MakeJob, name: str, reference: str, nodes: int, timeout: int, shm: str, variables: dict[str, str]
) -> None:
    job = make_job(
        name=name,
        inputs=(Input("dataset", reference.replace("\0", "")),),
        resources={"nodes": nodes, "timeout_s": timeout, "shm_size": shm},
        environment=variables,
    )
    assert all(problem.message for problem in problems(job))
