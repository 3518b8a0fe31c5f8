"""Which workspace, and which compute: flags, then environment, then Terraform outputs, then the Azure CLI's defaults.

Nothing here speaks to a network or loads an SDK; Terraform is only asked for what flags and environment leave open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etude.platforms.azureml.azure_cli import read_azure_cli
from etude.platforms.azureml.terraform import read_terraform
from etude.platforms.problems import Problem

__all__ = ["Context", "Found", "resolve_context"]


@dataclass(frozen=True)
class Found:
    """A value, and where it came from.

    Attributes:
        value: of the setting.
        source: in words: `flag --compute`, `environment AZUREML_COMPUTE`, `Terraform output azureml_compute in DIR`.
    """

    value: str
    source: str


@dataclass(frozen=True)
class Setting:
    """One thing to know about where jobs go.

    Attributes:
        name: as a field of `Context`.
        title: in a sentence.
        flag, variable: how it is given.
        outputs: names that Terraform modules give it; the first is the one to recommend.
        configure: the Azure CLI's command for it; empty when the CLI has no default of this kind.
    """

    name: str
    title: str
    flag: str
    variable: str
    outputs: tuple[str, ...]
    configure: str = ""

    def missing(self) -> Problem:
        """What to say when nothing gives it."""
        ways = [self.flag, f"the environment variable {self.variable}", f"a Terraform output {self.outputs[0]}"]
        if self.configure:
            ways.append(f"`{self.configure}`")
        return Problem(
            f"no {self.title} is known: neither a flag, nor the environment, nor Terraform outputs"
            + (", nor the Azure CLI's defaults name one" if self.configure else " name one"),
            f"give {', or '.join(ways)}",
        )


SETTINGS = (
    Setting(
        "subscription",
        "subscription",
        "--subscription-id",
        "AZURE_SUBSCRIPTION_ID",
        ("subscription_id", "azure_subscription_id", "subscription"),
        "az account set --subscription ID",
    ),
    Setting(
        "resource_group",
        "resource group",
        "--resource-group",
        "AZURE_RESOURCE_GROUP",
        ("resource_group_name", "resource_group", "azure_resource_group", "azure_resource_group_name", "rg_name"),
        "az configure --defaults group=NAME",
    ),
    Setting(
        "workspace",
        "Azure ML workspace",
        "--workspace-name",
        "AZUREML_WORKSPACE_NAME",
        (
            "azureml_workspace_name",
            "azureml_workspace",
            "machine_learning_workspace_name",
            "machine_learning_workspace",
            "azure_ml_workspace_name",
            "azure_ml_workspace",
            "aml_workspace_name",
            "aml_workspace",
            "ml_workspace_name",
            "ml_workspace",
            "workspace_name",
            "workspace",
        ),
        "az configure --defaults workspace=NAME",
    ),
    Setting(
        "compute",
        "compute",
        "--compute",
        "AZUREML_COMPUTE",
        (
            "azureml_compute",
            "azureml_compute_name",
            "azureml_compute_target",
            "azureml_compute_target_name",
            "aml_compute_name",
            "aml_compute",
            "ml_compute_name",
            "compute_target_name",
            "compute_target",
            "compute_cluster_name",
            "compute_name",
        ),
    ),
)


@dataclass(frozen=True)
class Context:
    """Where jobs go, as far as it is known; each value with its source.

    Attributes:
        notes: what was looked at in vain, for who wonders why a value is not found.
    """

    subscription: Found | None = None
    resource_group: Found | None = None
    workspace: Found | None = None
    compute: Found | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    def get(self, name: str) -> Found | None:
        """The value of a setting by its name."""
        found: Found | None = getattr(self, name)
        return found

    def rows(self) -> list[tuple[str, Found | None]]:
        """What each setting is called, and what it is: for `etude doctor`."""
        return [(setting.title, self.get(setting.name)) for setting in SETTINGS]

    def missing(self, *, compute: bool = True) -> list[Problem]:
        """What is not known, each naming all ways to give it.

        Args:
            compute: whether it is needed; a job that names its own, or reading of jobs, needs none.
        """
        wanted = [setting for setting in SETTINGS if compute or setting.name != "compute"]
        return [setting.missing() for setting in wanted if self.get(setting.name) is None]


OF_A_JOB = {
    "subscription": "AZUREML_ARM_SUBSCRIPTION",
    "resource_group": "AZUREML_ARM_RESOURCEGROUP",
    "workspace": "AZUREML_ARM_WORKSPACE_NAME",
}
"""Variables by which a job knows the workspace that it runs in."""


def resolve_context(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    *,
    folder: Path | None = None,
    terraform_dir: str | Path | None = None,
) -> Context:
    """Look for each setting in order: flags, environment, Terraform outputs, the Azure CLI's defaults.

    Args:
        flags: values by the names of `SETTINGS`; None and empty ones count as not given.
        environ: of the process.
        folder: where Terraform folders are looked for; the working directory by default.
        terraform_dir: the folder, state file or outputs file that the user named.

    Raises:
        UsageError: the Terraform folder that was named is not there or holds no outputs.
    """
    found: dict[str, Found] = {}
    for setting in SETTINGS:
        if value := (flags.get(setting.name) or "").strip():
            found[setting.name] = Found(value, f"flag {setting.flag}")
        elif value := environ.get(setting.variable, "").strip():
            found[setting.name] = Found(value, f"environment {setting.variable}")
        elif value := environ.get(OF_A_JOB.get(setting.name, ""), "").strip():
            found[setting.name] = Found(value, f"environment {OF_A_JOB[setting.name]}, which jobs have")
    notes: list[str] = []

    def fill(read: Callable[[], tuple[Mapping[str, tuple[str, str]], list[str]]]) -> None:
        if len(found) == len(SETTINGS):
            return
        values, more = read()
        notes.extend(more)
        for name, (value, source) in values.items():
            found.setdefault(name, Found(value, source))

    names = {setting.name: setting.outputs for setting in SETTINGS}
    named = terraform_dir or environ.get("ETUDE_TERRAFORM_DIR") or None
    fill(lambda: read_terraform(names, folder or Path.cwd(), named, environ))
    fill(lambda: (read_azure_cli(environ), []))
    return Context(**found, notes=tuple(notes))
