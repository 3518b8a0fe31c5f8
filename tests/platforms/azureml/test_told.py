"""What the service says of a job, and its refusals, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from etude.errors import PlatformError
from etude.platforms.azureml.blobs import datastore_of, parse_address
from etude.platforms.azureml.refusals import no_answer, no_login, refused
from etude.platforms.azureml.states import STATES, state_of
from etude.platforms.azureml.told import ToldJob, status_of
from etude.platforms.states import JobState


def job(**properties: Any) -> ToldJob:
    return ToldJob(
        {"name": "act-1", "properties": properties, "systemData": {"createdAt": "2026-01-02T03:04:05.1234567Z"}}
    )


def test_every_state_has_ours_and_an_unknown_one_is_alive() -> None:
    assert {state_of(word.upper()) for word in STATES} == set(STATES.values())
    assert state_of("Hibernating") is JobState.UNKNOWN
    assert not state_of("Hibernating").is_final


def test_a_job_that_failed() -> None:
    message = "Execution failed. User process 'bash' exited with status code 3.\nPlease check log file."
    details = {
        "startTimeUtc": "2026-01-02T03:05:00Z",
        "endTimeUtc": "2026-01-02T04:05:00+00:00",
        "error": {"error": {"code": "UserError", "message": message}},
    }
    studio = {"Studio": {"endpoint": "https://ml.azure.com/runs/act-1"}}
    status = status_of("azureml://w/act-1", job(status="Failed", services=studio), details)
    assert (status.state, status.said, status.exit_code) == (JobState.FAILED, "Failed", 3)
    assert status.reason == " ".join(message.split())
    assert status.started is not None
    assert status.ended == status.started + 3600
    assert status.created == pytest.approx(1767323045.123456)
    assert status.url == "https://ml.azure.com/runs/act-1"


def test_a_job_of_which_little_is_said() -> None:
    status = status_of("azureml://w/act-1", ToldJob({}), {"error": None, "startTimeUtc": "soon"})
    assert (status.state, status.exit_code, status.started, status.reason) == (JobState.UNKNOWN, None, None, "")
    assert ToldJob({}).outputs == []


def test_where_its_outputs_are() -> None:
    told = job(
        outputs={
            "default": {"uri": "azureml://datastores/artifacts/ExperimentRun/dcid.act-1"},
            "checkpoint": {"uri": "azureml://datastores/blobs/paths/out/${{name}}/${{output_name}}/"},
            "other": {"uri": None},
        }
    )
    assert told.outputs == ["checkpoint", "other"]
    assert parse_address(told.address("checkpoint")) == ("blobs", "out/act-1/checkpoint")
    assert told.address("other") == ""
    assert parse_address(told.artifacts) == ("artifacts", "ExperimentRun/dcid.act-1")
    assert parse_address(job().artifacts) == ("workspaceartifactstore", "ExperimentRun/dcid.act-1")


def test_addresses_and_datastores() -> None:
    long = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/store/paths/a/b/"
    assert parse_address(long) == ("store", "a/b")
    assert parse_address("azureml://datastores/store/paths/") == ("store", "")
    with pytest.raises(PlatformError, match="names no path"):
        parse_address("https://example.com/a")
    store = datastore_of({"name": "d", "properties": {"accountName": "acct", "containerName": "c"}})
    assert (store.url, store.has_key) == ("https://acct.blob.core.windows.net", False)
    with pytest.raises(PlatformError, match="AzureFile"):
        datastore_of({"name": "d", "properties": {"datastoreType": "AzureFile", "accountName": "acct"}})


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (400, "refuses to run job", "etude doctor"),
        (401, "does not accept the login", "az login"),
        (403, "may not run job", "AzureML Data Scientist"),
        (404, "nothing to run job", "etude doctor"),
        (409, "is there already", "another name"),
        (429, "is asked too often", "in a minute"),
        (503, "has a failure", "in a minute"),
    ],
)
def test_refusals_say_what_to_do(status: int, said: str, hint: str) -> None:
    error = refused(status, "Code", "What the service says.\nA trace", action="run job", place="workspace w")
    assert said in error.message
    assert "A trace" not in error.message
    assert hint in (error.hint or "")
    assert error.status == status


def test_no_answer_and_no_login() -> None:
    assert "its name is not known" in no_answer("h", "NameResolutionError(...)", 6).message
    assert "the proxy" in no_answer("h", "OSError('Tunnel connection failed: 403')", 6).message
    assert "6 attempts" in no_answer("h", "?", 6).message
    told = no_login("ClientSecretCredential: AADSTS7000215: Invalid client secret 'hunter2'")
    assert "AADSTS7000215" in told.message
    assert "hunter2" not in f"{told.message}{told.hint}"
