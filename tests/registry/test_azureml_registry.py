"""Models in an Azure ML workspace: Azure's own client against the emulator, files in a real blob store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etude.errors import RegistryError
from etude.registry import ModelVersion, download, find, find_candidate, parse_reference, register, register_run
from etude.registry.azureml_registry import AzureMlRegistry
from etude.runs.folder import RunFolder
from tests.emulators.azureml.emulator import AzureMLEmulator
from tests.emulators.azureml.fixtures import azureml  # noqa: F401
from tests.registry.handmade import make_run, save_rollouts

pytestmark = pytest.mark.slow  # the emulator takes half a minute to start


@pytest.fixture
def workspace(azureml: AzureMLEmulator) -> AzureMlRegistry:  # noqa: F811
    place = azureml.workspace
    return AzureMlRegistry(place.subscription, place.group, place.name)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses: the emulator lives as long as the session."""
    return str(request.node.name.removeprefix("test_").replace("_", "-"))


def latest(registry: AzureMlRegistry, text: str) -> ModelVersion:
    return find(registry, parse_reference(text))


def test_a_run_becomes_a_version_and_comes_back(
    workspace: AzureMlRegistry, model: str, run: RunFolder, tmp_path: Path
) -> None:
    save_rollouts(run, 100, 0.8)
    made = register_run(workspace, model, run.root, tags={"robot": "left"})
    assert (made.version.reference, made.was_there) == (f"azureml:{model}:1", False)
    found = latest(workspace, f"azureml:{model}@latest")
    assert found.tags == {"robot": "left"}
    assert found.lineage == made.lineage
    assert max(map(len, found.facts.values())) <= 1000
    assert model in workspace.names()

    got = download(workspace, found, tmp_path / "got")
    assert got.verified
    for path in run.checkpoints.named("best").pretrained_model.iterdir():  # type: ignore[union-attr]
        assert (tmp_path / "got" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "got" / "lineage" / "evaluation.json").is_file()
    assert register(workspace, model, find_candidate(tmp_path / "got")).was_there


def test_the_same_content_is_the_same_version(workspace: AzureMlRegistry, model: str, run: RunFolder) -> None:
    register_run(workspace, model, run.root)
    assert register_run(workspace, model, run.root).was_there
    assert register_run(workspace, model, run.root, step="last").version.version == "2"
    assert register(workspace, model, find_candidate(run.root), force_new=True).version.version == "3"
    assert [item.version for item in workspace.versions(model)] == ["3", "2", "1"]


def test_what_is_not_there(workspace: AzureMlRegistry, model: str, run: RunFolder) -> None:
    assert workspace.versions("nothing-of-this-name") == []
    register_run(workspace, model, run.root)
    with pytest.raises(RegistryError, match="no version 9"):
        latest(workspace, f"azureml:{model}:9")
    with pytest.raises(RegistryError, match="no model") as refused:
        latest(workspace, f"azureml:{model}s:1")
    assert refused.value.hint == f"did you mean {model}?"


def test_a_big_file_goes_on_within_itself(
    workspace: AzureMlRegistry, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", steps=(1,), best=None)
    version = register_run(workspace, model, run.root).version
    weights = (run.checkpoints.all()[0].pretrained_model / "model.safetensors").read_bytes()
    half = tmp_path / "half"
    half.write_bytes(weights[:100])
    workspace.read(version, "model.safetensors", half)
    assert half.read_bytes() == weights
    half.write_bytes(b"\7" * len(weights))  # as long as it must be, and wrong
    workspace.read(version, "model.safetensors", half)
    assert half.read_bytes() == weights


def test_files_that_are_in_the_workspace_already(
    workspace: AzureMlRegistry, model: str, run: RunFolder, tmp_path: Path
) -> None:
    uploaded = register_run(workspace, f"{model}-first", run.root).version.source
    made = register(workspace, model, find_candidate(run.root), source=uploaded)
    assert made.version.source == uploaded
    got = download(workspace, made.version, tmp_path / "got")
    assert got.verified
    assert (tmp_path / "got" / "lineage" / "lineage.json").is_file()


def test_two_at_once_get_a_version_each(
    workspace: AzureMlRegistry, model: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import azure.ai.ml.operations._model_operations as operations

    following, given = operations._get_next_version_from_container, []

    def stale(**arguments: Any) -> str:
        """The number that was free before the other one came, once."""
        given.append(1)
        return "1" if len(given) == 1 else str(following(**arguments))

    register_run(workspace, model, run.root)
    monkeypatch.setattr(operations, "_get_next_version_from_container", stale)
    assert register_run(workspace, model, run.root, step="last").version.version == "2"


def test_a_lost_answer_makes_one_version(
    azureml: AzureMLEmulator,  # noqa: F811
    workspace: AzureMlRegistry,
    model: str,
    run: RunFolder,
) -> None:
    lost = azureml.faults.lose_answer(method="PUT", path=f"/models/{model}/versions")
    register_run(workspace, model, run.root)
    assert lost.met == 1
    assert [item.version for item in workspace.versions(model)] == ["1"]


def test_files_without_a_version_are_used_by_the_next_call(
    azureml: AzureMLEmulator,  # noqa: F811
    workspace: AzureMlRegistry,
    model: str,
    run: RunFolder,
    tmp_path: Path,
) -> None:
    azureml.faults.status(400, method="PUT", path=f"/models/{model}/versions")
    with pytest.raises(RegistryError, match="refuses"):
        register_run(workspace, model, run.root)
    assert workspace.versions(model) == []
    made = register_run(workspace, model, run.root)
    assert made.version.version == "1"
    assert download(workspace, made.version, tmp_path / "got").verified


def test_a_workspace_that_is_not_there(azureml: AzureMLEmulator) -> None:  # noqa: F811
    place = azureml.workspace
    with pytest.raises(RegistryError, match="the Azure ML workspace nowhere"):
        AzureMlRegistry(place.subscription, place.group, "nowhere").names()


def test_nobody_is_logged_in(azureml: AzureMLEmulator, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    place = azureml.workspace
    with pytest.raises(RegistryError, match="wants a login"):
        AzureMlRegistry(place.subscription, place.group, place.name).names()
