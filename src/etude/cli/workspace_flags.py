"""The flags that say which Azure ML workspace is meant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from etude.platforms.opening import open_platform

if TYPE_CHECKING:
    from etude.platforms.azureml.platform import AzureML

__all__ = ["add_workspace_flags", "open_workspace"]


def add_workspace_flags(parser: argparse.ArgumentParser) -> None:
    """Subscription, resource group, workspace, and the Terraform folder whose outputs name them."""
    add = parser.add_argument_group("workspace").add_argument
    add("--subscription-id", dest="subscription_id", metavar="ID", help="($AZURE_SUBSCRIPTION_ID)")
    add("--resource-group", "-g", dest="resource_group", metavar="NAME", help="($AZURE_RESOURCE_GROUP)")
    add("--workspace", "--workspace-name", "-w", dest="workspace", metavar="NAME", help="($AZUREML_WORKSPACE_NAME)")
    add("--terraform-dir", dest="terraform_dir", metavar="DIR", help="folder whose outputs name all of them")


def open_workspace(options: argparse.Namespace) -> AzureML:
    """The workspace of these flags; nothing is contacted yet.

    Raises:
        RefusedJobError: it is not known which.
    """
    names = ("subscription_id", "resource_group", "workspace", "terraform_dir")
    platform = open_platform("azureml", {name: getattr(options, name) for name in names if getattr(options, name)})
    return platform  # type: ignore[return-value]
