"""Which workspace and compute: the order of the sources, and what each of them may look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.errors import UsageError
from etude.platforms.azureml.context import SETTINGS, Context, Found, resolve_context

NAMES = [setting.name for setting in SETTINGS]
WORKSPACE_ID = (
    "/subscriptions/sub-1/resourceGroups/rg-1/providers/Microsoft.MachineLearningServices/workspaces/mlw-robots"
)


def outputs_file(file: Path, outputs: dict[str, Any]) -> Path:
    """As `terraform output -json` prints it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    body = {name: {"sensitive": False, "type": "string", "value": value} for name, value in outputs.items()}
    file.write_text(json.dumps(body))
    return file


def state_file(file: Path, outputs: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    body = {name: {"value": value, "type": "string"} for name, value in outputs.items()}
    file.write_text(json.dumps({"version": 4, "terraform_version": "1.9.0", "outputs": body, "resources": []}))
    return file


def cli_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config").write_text("[cloud]\nname = AzureCloud\n[defaults]\ngroup = rg-cli\nworkspace = mlw-cli\n")
    profile = {
        "subscriptions": [
            {"id": "sub-other", "isDefault": False, "name": "other"},
            {"id": "sub-cli", "isDefault": True, "name": "robots"},
        ]
    }
    (folder / "azureProfile.json").write_text(json.dumps(profile), encoding="utf-8-sig")
    return folder


def look(tmp_path: Path, flags: dict[str, str] | None = None, **environ: str) -> Context:
    environ.setdefault("AZURE_CONFIG_DIR", str(tmp_path / "no-azure"))
    environ.setdefault("PATH", "")
    return resolve_context(flags or {}, environ, folder=tmp_path)


def values(context: Context) -> dict[str, str | None]:
    return {name: found.value if (found := context.get(name)) else None for name in NAMES}


def test_nothing_is_known(tmp_path: Path) -> None:
    context = look(tmp_path)
    assert context == Context()
    problems = context.missing()
    assert len(problems) == 4
    for setting, problem in zip(SETTINGS, problems, strict=True):
        assert setting.title in problem.message
        for way in (setting.flag, setting.variable, setting.outputs[0], setting.configure):
            assert way in problem.fix
    assert len(context.missing(compute=False)) == 3


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(["flag", "environment", "terraform", "cli"]))))
def test_the_first_source_that_has_a_value_wins(
    tmp_path_factory: pytest.TempPathFactory, given_by: dict[str, set[str]]
) -> None:
    folder = tmp_path_factory.mktemp("context")
    flags, environ, outputs = {}, {"AZURE_CONFIG_DIR": str(folder / "azure"), "PATH": ""}, {}
    cli_defaults = []
    expected: dict[str, tuple[str, str] | None] = dict.fromkeys(NAMES)
    for setting in SETTINGS:
        sources = given_by.get(setting.name, set())
        if "cli" in sources and setting.name in ("resource_group", "workspace"):
            word = {"resource_group": "group"}.get(setting.name, setting.name)
            cli_defaults.append(f"{word} = from-cli")
            expected[setting.name] = ("from-cli", "Azure CLI")
        if "terraform" in sources:
            outputs[setting.outputs[0]] = "from-terraform"
            expected[setting.name] = ("from-terraform", "Terraform output")
        if "environment" in sources:
            environ[setting.variable] = "from-environment"
            expected[setting.name] = ("from-environment", f"environment {setting.variable}")
        if "flag" in sources:
            flags[setting.name] = "from-flag"
            expected[setting.name] = ("from-flag", f"flag {setting.flag}")
    (folder / "azure").mkdir()
    (folder / "azure" / "config").write_text("\n".join(["[defaults]", *cli_defaults]) + "\n")
    outputs_file(folder / "terraform" / "outputs.json", outputs)
    context = resolve_context(flags, environ, folder=folder)
    for name, wanted in expected.items():
        found = context.get(name)
        assert (found is None) == (wanted is None)
        if found is not None and wanted is not None:
            assert found.value == wanted[0]
            assert found.source.startswith(wanted[1])


def test_a_state_file_in_a_usual_place(tmp_path: Path) -> None:
    state_file(
        tmp_path / "infrastructure" / "terraform" / "terraform.tfstate",
        {
            "resource_group": {"id": "/subscriptions/sub-1/resourceGroups/rg-1", "name": "rg-1", "location": "weu"},
            "azureml_workspace": {"id": WORKSPACE_ID, "name": "mlw-robots"},
            "aks_cluster": {"id": "x", "name": "aks-robots-dev-001"},
        },
    )
    context = look(tmp_path)
    assert values(context) == {
        "subscription": "sub-1",
        "resource_group": "rg-1",
        "workspace": "mlw-robots",
        "compute": "k8s-robots-dev-0",
    }
    assert context.workspace is not None
    assert context.workspace.source.startswith("Terraform output azureml_workspace in ")


@pytest.mark.parametrize("write", [outputs_file, state_file])
def test_a_file_that_is_named(tmp_path: Path, write: Any) -> None:
    file = write(tmp_path / "elsewhere" / "x.json", {"azureml_workspace_name": "mlw", "azureml_compute": ["gpu"]})
    context = look(tmp_path, ETUDE_TERRAFORM_DIR=str(file))
    assert (values(context)["workspace"], values(context)["compute"]) == ("mlw", "gpu")
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"resource_group_name": "rg", "kubernetes": {"version": "1.30"}}))
    found = resolve_context({}, {"PATH": "", "AZURE_CONFIG_DIR": "/none"}, folder=tmp_path, terraform_dir=plain)
    assert found.resource_group == Found("rg", f"Terraform output resource_group_name in {plain}")


def test_the_chosen_workspace_of_terraform(tmp_path: Path) -> None:
    place = tmp_path / "terraform"
    state_file(place / "terraform.tfstate", {"compute_name": "default-one"})
    state_file(place / "terraform.tfstate.d" / "prod" / "terraform.tfstate", {"compute_name": "prod-one"})
    (place / ".terraform").mkdir()
    (place / ".terraform" / "environment").write_text("prod")
    assert values(look(tmp_path))["compute"] == "prod-one"


def fake_terraform(folder: Path, body: str) -> str:
    folder.mkdir()
    program = folder / "terraform"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_terraform_itself_is_asked_where_the_state_is_elsewhere(tmp_path: Path) -> None:
    place = tmp_path / "infra"
    (place / ".terraform").mkdir(parents=True)
    (place / ".terraform" / "terraform.tfstate").write_text(json.dumps({"backend": {"type": "azurerm"}}))
    state_file(place / "terraform.tfstate", {"compute_name": "stale"})
    answer = json.dumps({"compute_name": {"value": "fresh"}})
    path = fake_terraform(tmp_path / "bin", f"[ \"$2 $3\" = 'output -json' ] && echo '{answer}'")
    context = look(tmp_path, PATH=path)
    assert values(context)["compute"] == "fresh"
    assert not context.notes


def test_a_terraform_that_fails_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("")
    path = fake_terraform(tmp_path / "bin", "echo 'Error: Backend initialization required' >&2; exit 1")
    context = look(tmp_path, PATH=path)
    assert context == Context()
    assert any("Backend initialization required" in note for note in context.notes)
    with pytest.raises(UsageError, match="Backend initialization required"):
        look(tmp_path, PATH=path, ETUDE_TERRAFORM_DIR=str(tmp_path))
    with pytest.raises(UsageError, match="holds no state"):
        look(tmp_path, ETUDE_TERRAFORM_DIR="nowhere")


def test_terraform_is_left_alone_when_all_is_known(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("")
    path = fake_terraform(tmp_path / "bin", f"touch {tmp_path}/was-asked")
    context = look(tmp_path, dict.fromkeys(NAMES, "x"), PATH=path)
    assert set(values(context).values()) == {"x"}
    assert not (tmp_path / "was-asked").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"outputs": 3}', '{"a": {"value": null}}'])
def test_damaged_files_are_as_good_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "terraform.tfstate").write_text(damage)
    folder = cli_folder(tmp_path / "azure")
    (folder / "azureProfile.json").write_text(damage)
    (folder / "config").write_text(f"[defaults\n{damage}")
    assert look(tmp_path, AZURE_CONFIG_DIR=str(folder)) == Context()


def test_the_azure_cli_is_last(tmp_path: Path) -> None:
    folder = cli_folder(tmp_path / "azure")
    context = look(tmp_path, AZURE_CONFIG_DIR=str(folder))
    assert values(context) == {
        "subscription": "sub-cli",
        "resource_group": "rg-cli",
        "workspace": "mlw-cli",
        "compute": None,
    }
    assert context.subscription is not None
    assert str(folder) in context.subscription.source
    changed = look(tmp_path, AZURE_CONFIG_DIR=str(folder), AZURE_DEFAULTS_GROUP="rg-variable")
    assert changed.resource_group == Found("rg-variable", "environment AZURE_DEFAULTS_GROUP")
