"""Each check against machines that have and lack the thing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from etude.doctor import Status, examine, hardware, machine, probe, software, tokens, workspace
from etude.doctor.probe import Probe, run_probe

VARIABLES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "WANDB_API_KEY",
    "NETRC",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_URI",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CONFIG_DIR",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "MUJOCO_GL",
)


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No credentials in the environment, and an empty home."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def say(monkeypatch: pytest.MonkeyPatch, **answers: Probe) -> None:
    """Let probes give these answers: by the MUJOCO_GL asked for, the decoder, or the probe's name."""

    def answer(name: str, *arguments: str, environment: dict[str, str] | None = None, **_: object) -> Probe:
        return answers[(environment or {}).get("MUJOCO_GL") or (arguments or (name,))[0]]

    monkeypatch.setattr(hardware, "run_probe", answer)


def decodes(*codecs: str) -> Probe:
    return Probe(ok=True, facts={"decoded": list(codecs), "failed": {}})


BROKEN = Probe(ok=False, error="no such library")


def by_name(findings: list) -> dict:  # type: ignore[type-arg]
    return {item.name: item for item in findings}


def test_tokens_absent_are_no_problem_and_say_how_to_set_them() -> None:
    for finding in tokens.check_tokens():
        assert finding.status is Status.OK
        assert finding.found.startswith("absent")
        assert finding.fix


def test_tokens_are_found_where_they_lie_and_never_shown(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_" + "x" * 34
    cached = bare_machine / ".cache" / "huggingface" / "token"
    cached.parent.mkdir(parents=True)
    cached.write_text(secret)
    (bare_machine / ".netrc").write_text(f"machine api.wandb.ai login user password {secret}\n")
    (bare_machine / ".azure").mkdir()
    (bare_machine / ".azure" / "msal_token_cache.json").write_text(secret)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret)
    findings = by_name(tokens.check_tokens())
    assert findings["hugging face token"].details["source"] == str(cached)
    assert findings["wandb key"].details["source"] == str(bare_machine / ".netrc")
    assert "az login" in findings["azure credentials"].details["source"]
    assert "MLFLOW_TRACKING_PASSWORD" in findings["mlflow credentials"].found
    assert secret not in str(findings)


def test_a_netrc_that_cannot_be_read_counts_as_absent(bare_machine: Path) -> None:
    (bare_machine / ".netrc").write_text("this is not a netrc file\n")
    assert by_name(tokens.check_tokens())["wandb key"].details == {"present": False, "source": None}


def test_an_empty_variable_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", " ")
    assert by_name(tokens.check_tokens())["hugging face token"].found.startswith("absent")


def test_a_tracking_address_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hidden@mlflow.example.org:8443/x?key=hidden")
    found = software.check_mlflow().found
    assert "https://mlflow.example.org:8443" in found
    assert "hidden" not in found


@pytest.mark.parametrize(("free_gib", "status"), [(0.5, "problem"), (3, "warning"), (50, "ok")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_gib: float, status: str) -> None:
    monkeypatch.setattr(machine, "_free_gib", lambda _: free_gib)
    assert machine.check_disk(tmp_path).status == status


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "not" / "made" / "yet"))
    assert machine.check_disk(tmp_path).details["hugging face cache"] > 0


def test_limits_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2**29}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {2**28}\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    finding = machine.check_memory_and_cores()
    assert finding.details["cores"] == 0.5
    if Path("/proc/meminfo").exists():
        assert finding.details["memory_gib"] == pytest.approx(0.75, abs=0.06)
        assert finding.status is Status.WARNING


def test_without_torch_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed", lambda name: "0.1.0" if name == "etude" else None)
    monkeypatch.setattr(hardware, "installed", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert software.check_versions().status is Status.PROBLEM
    for check in (
        software.check_versions,
        hardware.check_gpu,
        hardware.check_decoders,
        hardware.check_rendering,
    ):
        assert "etude[" in (check().fix or "")


@pytest.mark.parametrize(
    ("torchcodec", "pyav", "status"),
    [
        (decodes("h264", "libsvtav1"), decodes("h264"), "ok"),
        (BROKEN, decodes("h264", "libsvtav1"), "warning"),
        (BROKEN, BROKEN, "problem"),
    ],
)
def test_decoders(monkeypatch: pytest.MonkeyPatch, torchcodec: Probe, pyav: Probe, status: str) -> None:
    say(monkeypatch, torchcodec=torchcodec, pyav=pyav)
    finding = hardware.check_decoders()
    assert finding.status == status
    assert ("apt install ffmpeg" in (finding.fix or "")) is (status != "ok")


@pytest.mark.parametrize(
    ("egl", "osmesa", "wished", "status", "fix"),
    [
        (Probe(True), Probe(True), None, "ok", None),
        (BROKEN, Probe(True), None, "ok", "export MUJOCO_GL=osmesa"),
        (BROKEN, Probe(True), "egl", "warning", "export MUJOCO_GL=osmesa"),
        (BROKEN, BROKEN, None, "warning", "sudo apt install libegl1 libgl1 libosmesa6"),
    ],
)
def test_rendering(
    monkeypatch: pytest.MonkeyPatch,
    egl: Probe,
    osmesa: Probe,
    wished: str | None,
    status: str,
    fix: str | None,
) -> None:
    if wished:
        monkeypatch.setenv("MUJOCO_GL", wished)
    say(monkeypatch, egl=egl, osmesa=osmesa)
    finding = hardware.check_rendering()
    assert (finding.status, finding.fix) == (status, fix)


def test_a_gpu_that_the_driver_has_and_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_nvidia_driver", lambda: "450.1")
    say(monkeypatch, torch_device=Probe(True, {"devices": [], "cuda_build": "13.0", "mps": False}))
    finding = hardware.check_gpu()
    assert finding.status is Status.WARNING
    assert "CUDA 13.0" in (finding.fix or "")


def test_a_torch_that_does_not_load_prevents_training(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, torch_device=BROKEN)
    assert hardware.check_gpu().status is Status.PROBLEM


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import time; time.sleep(30)", "no answer in 1 s"),
        ("import os; os.abort()", "it crashed (SIGABRT)"),
        ("raise SystemExit('no library')", "no library"),
        ("pass", "it printed no result"),
    ],
)
def test_a_probe_that_hangs_or_crashes_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, error: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(probe.sys, "executable", str(program))
    answer = run_probe("video", "pyav", timeout_s=1 if "sleep" in code else 60)
    assert not answer.ok
    assert answer.error == error


def test_pyav_really_decodes() -> None:
    answer = run_probe("video", "pyav")
    assert answer.ok, answer.error
    assert "h264" in answer.facts["decoded"]


def test_examine_looks_at_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_device = Probe(True, {"devices": [], "cuda_build": None, "mps": False})
    say(
        monkeypatch, torchcodec=decodes("h264"), pyav=decodes("h264"), egl=BROKEN, osmesa=BROKEN,
        torch_device=torch_device,
    )  # fmt: skip
    names = [finding.name for finding in examine()]
    assert len(names) == len(set(names))
    assert {
        "python",
        "libraries",
        "gpu",
        "decoders",
        "rendering",
        "disk",
        "memory",
        "mlflow",
        "ffmpeg",
    } <= set(names)


def test_where_jobs_would_go_and_which_place_says_so(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME", "AZUREML_COMPUTE"):
        monkeypatch.delenv(name, raising=False)
    (absent,) = workspace.check_workspace()
    assert absent.status is Status.OK
    assert "AZUREML_WORKSPACE_NAME" in str(absent.fix)
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "robots")
    (tmp_path / "terraform").mkdir()
    outputs = {"azureml_workspace_name": {"value": "arms", "sensitive": False, "type": "string"}}
    (tmp_path / "terraform" / "terraform.tfstate").write_text(json.dumps({"version": 4, "outputs": outputs}))
    findings = by_name(workspace.check_workspace())
    assert findings["azure resource group"].found == "robots, from environment AZURE_RESOURCE_GROUP"
    assert findings["azure ml workspace"].details["value"] == "arms"
    assert "Terraform" in findings["azure ml workspace"].found
    assert findings["azure compute"].found == "not known"
    assert "--compute" in str(findings["azure compute"].fix)
