"""The emulator, driven by the real clients: what a workspace does, and that jobs really run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("azure.ai.ml")

from azure.ai.ml import MLClient, load_job
from azure.ai.ml.entities import BuildContext, Data, Environment, Model
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential, EnvironmentCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient

from tests.emulators.azureml.emulator import AzureMLEmulator
from tests.emulators.azureml.fixtures import azureml
from tests.emulators.azureml.guard import VARIABLE, processes_with

__all__ = ["azureml"]


@pytest.fixture
def client(azureml: AzureMLEmulator) -> MLClient:
    place = azureml.workspace
    credential = EnvironmentCredential()
    return MLClient(
        credential, place.subscription, place.group, place.name, show_progress=False, enable_telemetry=False
    )


@pytest.fixture
def environment(azureml: AzureMLEmulator, client: MLClient) -> str:
    if not azureml.state.asset("environments", "robots", "1"):
        client.environments.create_or_update(Environment(name="robots", version="1", image="ubuntu:24.04"))
    return "azureml:robots:1"


def submit(client: MLClient, folder: Path, text: str) -> Any:
    """Send the job that the YAML `text` says, as `az ml job create -f` does."""
    file = folder / "job.yaml"
    head = "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\nexperiment_name: tests\n"
    file.write_text(head + textwrap.dedent(text))
    return client.jobs.create_or_update(load_job(file))


def one_step(name: str, command: str, compute: str = "gpu-cluster") -> str:
    return f"name: {name}\ncommand: {command}\nenvironment: azureml:robots:1\ncompute: {compute}\n"


def test_the_workspace_and_its_computes(azureml: AzureMLEmulator, client: MLClient) -> None:
    workspace = client.workspaces.get(azureml.workspace.name)
    assert workspace.discovery_url == f"https://{azureml.workspace.api_host}/discovery"
    computes = {compute.name: compute for compute in client.compute.list()}
    assert computes["gpu-cluster"].type == "amlcompute"
    assert computes["gpu-cluster"].max_instances == 4
    assert set(client.compute.get("k8s-gpu").properties["instanceTypes"]) == {"gpu", "gpuspot"}
    with pytest.raises(ResourceNotFoundError, match="computes/no-such"):
        client.compute.get("no-such")


def test_data_versions_and_the_latest(azureml: AzureMLEmulator, client: MLClient, tmp_path: Path) -> None:
    for version in ("1", "2"):
        folder = tmp_path / f"pusht-{version}"
        (folder / "meta").mkdir(parents=True)
        (folder / "meta" / "info.json").write_text(version)
        client.data.create_or_update(
            Data(name="pusht", version=version, path=str(folder), type="uri_folder", tags={"fps": "10"})
        )
    latest = client.data.get("pusht", label="latest")
    assert (latest.version, latest.tags) == ("2", {"fps": "10"})
    assert [asset.version for asset in client.data.list("pusht")] == ["2", "1"]
    assert "pusht" in [asset.name for asset in client.data.list()]
    with pytest.raises(ResourceNotFoundError):
        client.data.get("pusht", version="3")
    another = Data(name="pusht", version="1", path=str(tmp_path / "pusht-2"), type="uri_folder")
    with pytest.raises(HttpResponseError, match="exists already"):
        client.data.create_or_update(another)


def test_environments_of_an_image_and_of_a_build_context(
    azureml: AzureMLEmulator, client: MLClient, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM ubuntu:24.04\n")
    built = Environment(name="built", version="1", build=BuildContext(path=str(tmp_path)))
    assert client.environments.create_or_update(built).build.dockerfile_path == "Dockerfile"
    client.environments.create_or_update(Environment(name="built", image="ubuntu:24.04"))  # a version of its own
    assert client.environments.get("built", label="latest").image == "ubuntu:24.04"
    assert len(list(client.environments.list("built"))) == 2
    with pytest.raises(HttpResponseError, match="image cannot change"):
        client.environments.create_or_update(Environment(name="built", version="2", image="ubuntu:22.04"))


def test_a_job_runs_and_its_output_becomes_a_model(
    azureml: AzureMLEmulator,
    client: MLClient,
    environment: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, demonstrations = tmp_path / "code", tmp_path / "demonstrations"
    code.mkdir()
    demonstrations.mkdir()
    (code / "train.sh").write_text(
        'echo "run $AZUREML_RUN_ID on $1 for $3"\nmkdir -p "$2/last"\ncat "$1"/episodes.txt > "$2/last/model.txt"\n'
    )
    (demonstrations / "episodes.txt").write_text("206 episodes")
    client.data.create_or_update(Data(name="demos", version="1", path=str(demonstrations), type="uri_folder"))
    job = submit(
        client,
        tmp_path,
        """
        name: training-1
        command: bash train.sh ${{inputs.dataset}} ${{outputs.checkpoint}} ${{inputs.steps}} && sleep 1
        code: ./code
        environment: azureml:robots:1
        compute: k8s-gpu
        resources: {instance_type: gpu, shm_size: 16g}
        limits: {timeout: 600}
        inputs:
          dataset: {type: uri_folder, path: azureml:demos@latest}
          steps: 500
        outputs:
          checkpoint: {type: uri_folder, mode: rw_mount}
        """,
    )
    assert job.name == "training-1"
    client.jobs.stream("training-1")
    printed = capsys.readouterr().out
    assert "run training-1 on /" in printed
    assert "for 500" in printed
    assert client.jobs.get("training-1").status == "Completed"
    client.jobs.download("training-1", output_name="checkpoint", download_path=tmp_path / "got")
    got = tmp_path / "got" / "named-outputs" / "checkpoint" / "last" / "model.txt"
    assert got.read_text() == "206 episodes"
    client.jobs.download("training-1", all=True, download_path=tmp_path / "all")
    assert "run training-1" in (tmp_path / "all" / "artifacts" / "user_logs" / "std_log.txt").read_text()
    assert "training-1" in [job.name for job in client.jobs.list()]

    address = "azureml://jobs/training-1/outputs/checkpoint"
    client.models.create_or_update(Model(name="act", version="1", path=address, type="custom_model"))
    client.models.download("act", version="1", download_path=tmp_path / "model")
    assert [file.read_text() for file in (tmp_path / "model").rglob("model.txt")] == ["206 episodes"]
    assert [model.version for model in client.models.list("act")] == ["1"]
    nothing = Model(name="act", version="2", path=address.replace("checkpoint", "nope"), type="custom_model")
    with pytest.raises(HttpResponseError, match="nope"):
        client.models.create_or_update(nothing)


def test_a_job_that_fails_says_so(azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path) -> None:
    submit(client, tmp_path, one_step("failing-1", "echo out of luck; exit 3"))
    job = azureml.wait("failing-1")
    assert (job.status, job.exit_code) == ("Failed", 3)
    assert azureml.log("failing-1") == "out of luck\n"
    assert client.jobs.get("failing-1").status == "Failed"
    with pytest.raises(Exception, match="status code 3"):
        client.jobs.stream("failing-1")


def test_a_cancelled_job_is_asked_first_and_leaves_no_process(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path
) -> None:
    command = "trap 'echo asked; exit 0' TERM; (setsid sleep 1000 &) ; echo ready; while true; do sleep 0.1; done"
    submit(client, tmp_path, one_step("cancelled-1", command))
    azureml.wait("cancelled-1", lambda job: "ready" in azureml.log(job.name))
    assert len(azureml.process_ids("cancelled-1")) >= 2
    client.jobs.begin_cancel("cancelled-1").result()
    job = azureml.wait("cancelled-1")
    assert job.history == ["Queued", "Preparing", "Running", "CancelRequested", "Canceled"]
    assert azureml.log("cancelled-1").splitlines()[-1] == "asked"
    assert azureml.process_ids("cancelled-1") == []


def test_a_preempted_job_runs_again_with_its_outputs_as_they_were(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path
) -> None:
    text = """
        name: preempted-1
        command: >-
          cd ${{outputs.checkpoint}}; trap 'echo asked' TERM;
          if [ -e first ]; then echo resumed; else echo 1 > first; ln -s first last; echo saved;
          while true; do sleep 0.1; done; fi
        environment: azureml:robots:1
        compute: gpu-cluster
        outputs:
          checkpoint: {type: uri_folder, mode: rw_mount}
        """
    submit(client, tmp_path, text)
    azureml.wait("preempted-1", lambda job: "first" in azureml.output_files(job.name, "checkpoint"))
    azureml.preempt("preempted-1", grace_s=0.5)
    job = azureml.wait("preempted-1")
    assert (job.status, job.attempt) == ("Completed", 1)
    assert [line for line in azureml.log("preempted-1").split() if line.islower()] == ["saved", "asked", "resumed"]
    assert azureml.output_files("preempted-1", "checkpoint") == {"first": 2}  # a store of blobs has no links


def test_several_nodes_are_several_processes(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path
) -> None:
    ranks = "distribution: {type: pytorch, process_count_per_instance: 2}\nresources: {instance_count: 2}\n"
    submit(client, tmp_path, one_step("nodes-1", "echo $RANK of $WORLD_SIZE, $LOCAL_RANK on $NODE_RANK") + ranks)
    azureml.wait("nodes-1")
    assert azureml.log("nodes-1").splitlines() == [
        "0 of 4, 0 on 0",
        "1 of 4, 1 on 0",
        "2 of 4, 0 on 1",
        "3 of 4, 1 on 1",
    ]


def test_a_job_without_room_waits_and_can_be_cancelled(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path
) -> None:
    azureml.add_compute("full", nodes=0)
    submit(client, tmp_path, one_step("waiting-1", "echo never", "full"))
    assert client.jobs.get("waiting-1").status == "Queued"
    client.jobs.begin_cancel("waiting-1").result()
    assert azureml.wait("waiting-1").history == ["Queued", "CancelRequested", "Canceled"]


def test_a_limit_ends_a_job(azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path) -> None:
    submit(client, tmp_path, one_step("long-1", "sleep 1000") + "limits: {timeout: 1}\n")
    job = azureml.wait("long-1")
    assert job.status == "Canceled"
    assert job.error is not None
    assert "limit of 1 seconds" in job.error["message"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("compute: no-such", "no-such"),
        ("compute: k8s-gpu\nresources: {instance_type: huge}", "huge.*gpu, gpuspot"),
        ("resources: {instance_count: 9}", "at most 4"),
        ("resources: {shm_size: 16 gigs}", "16 gigs"),
        ("environment: azureml:robots:99", "robots"),
    ],
)
def test_the_service_refuses(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path, changed: str, reason: str
) -> None:
    keys = {line.split(":")[0] for line in changed.splitlines()}
    lines = [line for line in one_step("refused-1", "echo never").splitlines() if line.split(":")[0] not in keys]
    with pytest.raises(HttpResponseError, match=reason):
        submit(client, tmp_path, "\n".join([*lines, changed]))
    assert "refused-1" not in azureml.jobs


def test_a_name_is_submitted_once(azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path) -> None:
    azureml.faults.lose_answer(method="PUT", path="/jobs/once-1")
    submit(client, tmp_path, one_step("once-1", "echo ran"))  # the client's second try meets the first one's job
    azureml.wait("once-1")
    submit(client, tmp_path, one_step("once-1", "echo ran"))
    with pytest.raises(HttpResponseError, match="already exists"):
        submit(client, tmp_path, one_step("once-1", "echo other"))
    assert azureml.log("once-1") == "ran\n"


def test_faults_are_met_and_used_up(azureml: AzureMLEmulator, client: MLClient) -> None:
    busy = azureml.faults.status(429, path="/computes/gpu-cluster", times=2, retry_after_s=0)
    reset = azureml.faults.reset(path="/computes/k8s-gpu")
    cut = azureml.faults.cut(path="/computes/k8s-gpu")
    assert client.compute.get("gpu-cluster").name == "gpu-cluster"
    assert client.compute.get("k8s-gpu").name == "k8s-gpu"
    assert (busy.met, reset.met, cut.met) == (2, 1, 1)
    azureml.faults.status(403, path="/computes/gpu-cluster")
    with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
        client.compute.get("gpu-cluster")


def test_secrets_by_a_login_and_by_a_managed_identity(
    azureml: AzureMLEmulator, client: MLClient, environment: str, tmp_path: Path
) -> None:
    vault = f"https://{azureml.vault.host}"
    azureml.add_secret("hf-token", "hf_test_value")
    secrets = SecretClient(vault, EnvironmentCredential())
    assert secrets.get_secret("hf-token").value == "hf_test_value"
    secrets.set_secret("wandb-key", "another")
    assert [item.name for item in secrets.list_properties_of_secrets()] == ["hf-token", "wandb-key"]
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        secrets.get_secret("nope")
    with pytest.raises(HttpResponseError, match="letters, digits"):
        secrets.set_secret("hf_token", "value")
    script = tmp_path / "code" / "read.py"
    script.parent.mkdir()
    script.write_text(
        "import os\nfrom azure.identity import ManagedIdentityCredential\n"
        "from azure.keyvault.secrets import SecretClient\n"
        "who = ManagedIdentityCredential(client_id=os.environ['DEFAULT_IDENTITY_CLIENT_ID'])\n"
        f"print(len(SecretClient('{vault}', who).get_secret('hf-token').value))\n"
        "print('AZURE_CLIENT_SECRET' in os.environ)\n"
    )
    submit(client, tmp_path, one_step("secret-1", f"{sys.executable} read.py") + "code: ./code\n")
    assert azureml.wait("secret-1").status == "Completed", azureml.log("secret-1")
    assert azureml.log("secret-1") == "13\nFalse\n"
    assert azureml.requests.holding("hf_test_value") == []
    assert azureml.requests.holding("another", besides=("vault.azure.net",)) == []


def test_a_login_of_the_azure_cli_or_none(azureml: AzureMLEmulator) -> None:
    place = azureml.workspace
    with azureml.in_this_process(login="cli"):
        client = MLClient(DefaultAzureCredential(), place.subscription, place.group, place.name)
        assert client.workspaces.get(place.name).name == place.name
    with azureml.in_this_process(login="none"):
        client = MLClient(DefaultAzureCredential(), place.subscription, place.group, place.name)
        with pytest.raises(ClientAuthenticationError, match="az login"):
            client.workspaces.get(place.name)


def test_who_may_not(azureml: AzureMLEmulator, client: MLClient) -> None:
    place = azureml.workspace
    stranger = azureml.add_service_principal()
    with azureml.in_this_process(stranger):
        theirs = MLClient(EnvironmentCredential(), place.subscription, place.group, place.name)
        with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
            theirs.workspaces.get(place.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_CLIENT_SECRET", "wrong")
        wrong = MLClient(EnvironmentCredential(), place.subscription, place.group, place.name)
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            wrong.workspaces.get(place.name)
    elsewhere = MLClient(EnvironmentCredential(), place.subscription, place.group, "no-such")
    with pytest.raises(ResourceNotFoundError, match="no-such"):
        elsewhere.workspaces.get("no-such")


def test_blob_storage_by_its_real_name_and_a_login(azureml: AzureMLEmulator) -> None:
    account = BlobServiceClient(f"https://{azureml.workspace.blob_host}", credential=EnvironmentCredential())
    with account.create_container("demonstrations") as container:
        container.upload_blob("info.json", b"{}")
        azureml.faults.cut(method="GET", path="/demonstrations/info.json")
        assert container.download_blob("info.json").readall() == b"{}"
    assert azureml.requests.matching("PUT", "/demonstrations/info.json")[-1].body == b"{}"


def test_nothing_else_can_be_reached(azureml: AzureMLEmulator) -> None:
    elsewhere = BlobServiceClient("https://someone.blob.core.windows.net", credential=EnvironmentCredential())
    with pytest.raises(Exception, match="403"):
        elsewhere.get_account_information(retry_total=0)
    assert "someone.blob.core.windows.net:443" in azureml.proxy.refused


def test_nothing_is_left_of_a_killed_test_process(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import subprocess, sys, time
        from tests.emulators.azureml.emulator import AzureMLEmulator
        from tests.emulators.azureml.guard import VARIABLE
        emulator = AzureMLEmulator()
        print(emulator.folder, emulator._marker, flush=True)
        time.sleep(1000)
        """
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        folder, marker = process.stdout.readline().split()
        assert processes_with(f"{VARIABLE}={marker}")  # Azurite
        process.send_signal(signal.SIGKILL)
    while processes_with(f"{VARIABLE}={marker}") or Path(folder).exists():
        time.sleep(0.05)
