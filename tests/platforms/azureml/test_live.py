"""The platform against the emulated service: what is asked, what comes back, and what happens when answers are lost."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("azure.ai.ml")

from etude.errors import JobError, PlatformError
from etude.platforms.azureml.assets import create_environment, push_data
from etude.platforms.azureml.context import resolve_context
from etude.platforms.azureml.platform import AzureML
from etude.platforms.handles import Handle
from etude.platforms.job import Input, Job
from etude.platforms.problems import RefusedJobError
from etude.platforms.states import JobState, JobStatus
from tests.emulators.azureml.emulator import AzureMLEmulator
from tests.emulators.azureml.faults import Fault, Kind
from tests.emulators.azureml.fixtures import azureml
from tests.platforms.azureml.conftest import MakeJob

__all__ = ["azureml"]

NUMBERS = itertools.count(1)
# What a bundle's bootstrap is called with: --input NAME=FOLDER --output NAME=FOLDER.
SCRIPT = """
set -eu
for word in "$@"; do case "$word" in
    dataset=*) input=${word#dataset=};;
    checkpoint=*) output=${word#checkpoint=};;
esac; done
%s
"""


@pytest.fixture
def platform(azureml: AzureMLEmulator) -> AzureML:
    return AzureML(resolve_context({"compute": "gpu-cluster"}, os.environ, folder=Path("/nowhere")))


@pytest.fixture
def scripted(make_job: MakeJob) -> Callable[..., Job]:
    """A job that runs a few lines of shell instead of a training."""

    def make(lines: str, **changes: object) -> Job:
        job = make_job(**{"name": f"scripted-{os.getpid()}-{next(NUMBERS)}", "inputs": (), **changes})
        (job.bundle.folder / "bootstrap.sh").write_text(SCRIPT % lines)
        return job

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "pusht"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text("{}")
    (folder / "data.bin").write_bytes(b"\1\2\3" * 1000)
    return folder


def sent(platform: AzureML, job: Job) -> Handle:
    assert platform.check(job) == []
    return platform.submit(job, platform.plan(job))


def ended(platform: AzureML, handle: Handle) -> JobStatus:
    for _ in range(300):
        status = platform.status(handle)
        if status.state.is_final:
            return status
        time.sleep(0.1)
    raise TimeoutError(f"{handle} is {status.said}")


def written(platform: AzureML, handle: Handle) -> str:
    return b"".join(platform.read_log(handle, file.path, 0) for file in platform.log_files(handle)).decode()


def test_a_job_from_its_data_to_its_outputs(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job], dataset: Path
) -> None:
    pushed = push_data(platform, "pusht-live", dataset, tags={"fps": "10"})
    lines = 'cat "$input/meta/info.json"; wc -c < "$input/data.bin"; mkdir "$output/a"; echo done > "$output/a/x.txt"'
    job = scripted(lines, inputs=(Input("dataset", "azureml:pusht-live@latest"),))
    handle = sent(platform, job)
    assert Handle.parse(str(handle)) == handle == platform.find(job.name)
    status = ended(platform, handle)
    assert status.state is JobState.SUCCEEDED
    assert status.handle == str(handle)
    assert status.created is not None
    assert status.started is not None
    assert status.ended is not None
    assert status.created <= status.started <= status.ended
    assert status.url.startswith("https://ml.azure.com/")
    assert "3000" in written(platform, handle)
    assert azureml.jobs[job.name].properties["tags"]["etude.input.dataset"] == f"azureml:pusht-live:{pushed.version}"
    assert platform.outputs(handle) == ["checkpoint"]
    files = {file.path: file.bytes for file in platform.output_files(handle, "checkpoint")}
    assert files == {"a/x.txt": 5}
    for offset in (0, 2, 5, 9):
        assert b"".join(platform.read_output(handle, "checkpoint", "a/x.txt", offset)) == b"done\n"[offset:]
    assert str(handle) in [item.handle for item in platform.jobs(5)]
    assert platform.jobs(0) == []


def test_a_job_that_fails(platform: AzureML, scripted: Callable[..., Job]) -> None:
    handle = sent(platform, scripted("echo trouble; exit 7"))
    status = ended(platform, handle)
    assert status.state is JobState.FAILED
    assert status.exit_code == 7 or "7" in status.reason
    assert "trouble" in written(platform, handle)


def test_a_log_is_read_as_it_grows(platform: AzureML, scripted: Callable[..., Job]) -> None:
    handle = sent(platform, scripted("for i in 1 2 3 4; do echo line $i; sleep 0.3; done"))
    pieces: dict[str, bytes] = {}
    for _ in range(200):
        final = platform.status(handle).state.is_final
        for file in platform.log_files(handle):
            known = pieces.setdefault(file.path, b"")
            pieces[file.path] = known + platform.read_log(handle, file.path, len(known))
        if final:
            break
        time.sleep(0.1)
    text = b"".join(pieces.values()).decode()
    assert [line for line in text.splitlines() if line.startswith("line")] == [f"line {i}" for i in range(1, 5)]
    assert platform.read_log(handle, "user_logs/none.txt", 0) == b""


def test_logs_without_a_role_on_the_storage(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job]
) -> None:
    handle = sent(platform, scripted("echo seen"))
    ended(platform, handle)
    azureml.faults.status(403, method="GET", path="comp=list", times=1)
    (file,) = platform.log_files(handle)
    azureml.faults.status(403, method="GET", path="std_log", times=1)
    assert b"seen" in platform.read_log(handle, file.path, 0)


def test_cancelling(platform: AzureML, scripted: Callable[..., Job]) -> None:
    handle = sent(platform, scripted("sleep 60"))
    platform.cancel(handle)
    assert ended(platform, handle).state is JobState.CANCELLED
    platform.cancel(handle)


def test_the_same_name_is_one_job(platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job]) -> None:
    job = scripted("echo once")
    handles = {platform.submit(job, platform.plan(job)) for _ in range(3)}
    assert len(handles) == 1
    assert len(azureml.requests.matching("PUT", f"/jobs/{job.name}")) == 1
    ended(platform, handles.pop())


LOST = [
    Fault(Kind.LOST, "PUT", "/jobs/"),
    Fault(Kind.LOST, "PUT", "/jobs/", times=3),
    Fault(Kind.CUT, "PUT", "/jobs/"),
    Fault(Kind.RESET, "PUT", "/jobs/"),
    Fault(Kind.STATUS, "PUT", "/jobs/", status=500),
    Fault(Kind.STATUS, "PUT", "/jobs/", status=429, retry_after_s=0.1),
    Fault(Kind.STATUS, "GET", "/jobs/", status=503, times=2, retry_after_s=0.1),
    Fault(Kind.RESET, "GET", ""),
    Fault(Kind.CUT, "GET", "/jobs/"),
    Fault(Kind.LOST, "PUT", "/codes/"),
    Fault(Kind.RESET, "PUT", "/environments/"),
]


@pytest.mark.parametrize(
    "fault", LOST, ids=lambda fault: f"{fault.kind.value}-{fault.method}-{fault.path}-{fault.times}"
)
def test_an_answer_that_is_lost_loses_no_job(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job], fault: Fault
) -> None:
    job = scripted("true")
    azureml.faults.add(replace(fault))
    handle = platform.submit(job, platform.plan(job))
    azureml.faults.clear()
    assert list(azureml.jobs).count(job.name) == 1
    assert ended(platform, handle).state is JobState.SUCCEEDED


def test_a_service_that_stays_broken_is_told_of(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    retries = {"retry_total": 2, "retry_backoff_factor": 0.01}
    monkeypatch.setattr("etude.platforms.azureml.client.RETRIES", retries)
    job = scripted("true")
    azureml.faults.status(503, method="PUT", path="/jobs/", times=99)
    with pytest.raises(PlatformError, match=r"has a failure \(503\)"):
        platform.submit(job, platform.plan(job))
    assert len(azureml.requests.matching("PUT", f"/jobs/{job.name}")) == 3
    azureml.faults.clear()
    azureml.faults.reset(method="GET", path="/jobs", times=99)
    with pytest.raises(PlatformError, match="cannot be reached"):
        platform.jobs(3)
    azureml.faults.clear()
    assert platform.find(job.name) is None


def test_an_answer_that_never_comes_is_not_waited_for(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etude.platforms.azureml.client.TIMEOUTS", {"connection_timeout": 5, "read_timeout": 0.5})
    job = scripted("true")
    azureml.faults.slow(600, method="GET", path=f"/jobs/{job.name}")
    azureml.faults.slow(600, method="PUT", path=f"/jobs/{job.name}")
    handle = platform.submit(job, platform.plan(job))
    azureml.faults.clear()
    assert handle in {Handle.parse(status.handle) for status in platform.jobs(5)}


def test_what_the_workspace_lacks_is_one_list(platform: AzureML, scripted: Callable[..., Job], dataset: Path) -> None:
    push_data(platform, "pusht-here", dataset)
    job = scripted(
        "true",
        name="bad name",
        resources={"compute": "gpu-clutser", "nodes": 0},
        inputs=(Input("dataset", "azureml:pusht-here:99"), Input("policy", "azureml:no-such@latest", kind="model")),
        settings={"environment": "none-such:1"},
        secrets={"HF_TOKEN": "keyvault://etude-tests-vault/no-such-secret"},
    )
    text = "\n".join(map(str, platform.check(job)))
    for said in (
        "job name 'bad name'",
        "--nodes must be 1 or more",
        "compute 'gpu-clutser' is not in workspace",
        "did you mean --compute gpu-cluster?",
        "pusht-here has no version '99'",
        "no registered model 'no-such'",
        "no environment 'none-such'",
        "no-such-secret is not in its vault",
    ):
        assert said in text


def test_instance_types(platform: AzureML, scripted: Callable[..., Job]) -> None:
    def told(**resources: object) -> str:
        return "\n".join(map(str, platform.check(scripted("true", resources=resources))))

    assert told(compute="k8s-gpu", instance_type="gpuspot") == ""
    assert "did you mean --instance-type gpuspot?" in told(compute="k8s-gpu", instance_type="gpuspto")
    assert "--gpus=8: instance type gpu has 1" in told(compute="k8s-gpu", instance_type="gpu", gpus=8)
    assert "has at most 4" in told(compute="gpu-cluster", nodes=9)
    assert "its machines are" in told(compute="gpu-cluster", instance_type="Standard_D2")


def test_who_may_not_and_who_is_not(
    platform: AzureML, azureml: AzureMLEmulator, scripted: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = scripted("true")
    with azureml.in_this_process(azureml.add_service_principal("secrets")):
        (problem,) = AzureML(platform.context).check(job)
        assert "may not open the workspace" in problem.message
        assert "AzureML Data Scientist" in problem.fix
        with pytest.raises(PlatformError, match="may not"):
            AzureML(platform.context).jobs(3)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    monkeypatch.setenv("PATH", "/nowhere")
    for _ in range(2):
        (problem,) = AzureML(platform.context).check(job)
        assert "no login for Azure" in problem.message
        assert "az login" in problem.fix
        monkeypatch.delenv("AZURE_CLIENT_SECRET", raising=False)
    assert AzureML(platform.context, online=False).check(job) == []


def test_a_workspace_or_job_that_is_not_there(platform: AzureML, scripted: Callable[..., Job]) -> None:
    elsewhere = AzureML(resolve_context({"workspace": "other", "compute": "x"}, os.environ, folder=Path("/nowhere")))
    (problem,) = elsewhere.check(scripted("true"))
    assert "other" in problem.message
    with pytest.raises(PlatformError, match="other"):
        elsewhere.find("some-job")
    for ask in (platform.status, platform.cancel, platform.log_files, platform.outputs):
        with pytest.raises(JobError, match="no job 'never-sent'"):
            ask(Handle("azureml", "never-sent", ""))
    assert platform.find("never-sent") is None
    with pytest.raises(RefusedJobError, match="AZURE_SUBSCRIPTION_ID"):
        AzureML(resolve_context({}, {"PATH": "", "AZURE_CONFIG_DIR": "/none"}, folder=Path("/nowhere"))).jobs(1)


def test_the_same_data_is_uploaded_once(
    platform: AzureML, azureml: AzureMLEmulator, dataset: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    first = push_data(platform, "twice", dataset, tags={"robot": "xarm"}, progress=lambda *now: seen.append(now))
    assert (first.version, first.is_new, first.files) == ("1", True, 2)
    assert seen[-1] == (3002, 3002)
    again = push_data(platform, "twice", dataset)
    assert (again.version, again.is_new) == ("1", False)
    (dataset / "data.bin").write_bytes(b"changed")
    changed = push_data(platform, "twice", dataset)
    assert (changed.version, changed.is_new) == ("2", True)
    with pytest.raises(PlatformError, match="version '1' of data asset twice holds something else"):
        push_data(platform, "twice", dataset, version="1")
    asset = next(item for item in azureml.data_assets if (item.name, item.version) == ("twice", "1"))
    assert asset.properties["tags"]["robot"] == "xarm"


def test_an_upload_goes_on_after_faults(platform: AzureML, azureml: AzureMLEmulator, dataset: Path) -> None:
    azureml.faults.add(Fault(Kind.RESET, "PUT", host="blob", times=2))
    azureml.faults.add(Fault(Kind.LOST, "PUT", "/data/"))
    pushed = push_data(platform, "shaky", dataset, version="2026-01")
    assert [item.version for item in azureml.data_assets if item.name == "shaky"] == ["2026-01"] == [pushed.version]


def test_environments(platform: AzureML, azureml: AzureMLEmulator, tmp_path: Path) -> None:
    assert create_environment(platform, "made", image="ubuntu:24.04", version="1") == "1"
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM ubuntu:24.04\n")
    version = create_environment(platform, "made", build_context=tmp_path / "context")
    assert version != "1"
    with pytest.raises(PlatformError, match="Dockerfile"):
        create_environment(platform, "made", build_context=tmp_path)
    assert {item.version for item in azureml.environments if item.name == "made"} == {"1", version}


def test_the_vault_of_the_workspace(platform: AzureML, azureml: AzureMLEmulator) -> None:
    assert platform.keyvault() == azureml.workspace.vault


def test_pages_are_read_to_the_end(platform: AzureML, azureml: AzureMLEmulator) -> None:
    for number in range(45):
        azureml.add_compute(f"one-of-many-{number}")
    names = [item["name"] for item in platform.client.pages("/computes", "list computes")]
    assert len(set(names)) == len(names) >= 45


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.platforms.azureml.client.LONGEST_PAUSE_S", 0.05)
