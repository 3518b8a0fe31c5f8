"""The platform from settings: flags of a command line, or what the ledger kept of a job."""

from __future__ import annotations

import os
from collections.abc import Mapping

from etude.platforms.azureml.context import Context, resolve_context
from etude.platforms.azureml.platform import AzureML

__all__ = ["OFFLINE", "open_azureml", "place_settings"]

OFFLINE = "offline"
"""A setting that, with any value, keeps `check` from asking the workspace: for `--dry-run`, which needs no login."""
# Settings, and the fields of a context that they give.
PLACES = {
    "subscription_id": "subscription",
    "resource_group": "resource_group",
    "workspace": "workspace",
    "compute": "compute",
}


def open_azureml(settings: Mapping[str, str]) -> AzureML:
    """The workspace that settings, environment, Terraform and the Azure CLI name; nothing is asked of it yet.

    Raises:
        UsageError: the Terraform folder that the settings name holds no outputs.
    """
    flags = {field: settings.get(name) for name, field in PLACES.items()}
    context = resolve_context(flags, os.environ, terraform_dir=settings.get("terraform_dir"))
    return AzureML(context, online=not settings.get(OFFLINE))


def place_settings(context: Context) -> dict[str, str]:
    """What opens the same workspace again from any folder and with any environment."""
    known = {name: context.get(field) for name, field in PLACES.items() if field != "compute"}
    return {name: found.value for name, found in known.items() if found is not None}
