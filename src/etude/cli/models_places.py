"""Which registry `etude models` speaks to, and the flags that say so."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from etude.errors import UsageError

if TYPE_CHECKING:
    from etude.registry import Registry

__all__ = ["add_places", "open_registry"]


def add_places(parser: argparse.ArgumentParser) -> None:
    """The flags that every sub-command has."""
    places = parser.add_argument_group("registry")
    places.add_argument(
        "--registry",
        choices=("mlflow", "azureml"),
        default="mlflow",
        help="where the reference does not say (default: mlflow)",
    )
    places.add_argument(
        "--mlflow.tracking_uri",
        dest="mlflow_uri",
        metavar="ADDRESS",
        help="MLflow's database or server (default: MLFLOW_TRACKING_URI, else mlflow.db in this folder)",
    )
    places.add_argument("--subscription-id", metavar="ID", help="Azure subscription (default: AZURE_SUBSCRIPTION_ID …)")
    places.add_argument("--resource-group", metavar="NAME", help="of the workspace (default: AZURE_RESOURCE_GROUP …)")
    places.add_argument(
        "--workspace-name", metavar="NAME", help="Azure ML workspace (default: AZUREML_WORKSPACE_NAME …)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def open_registry(options: argparse.Namespace, kind: str) -> Registry:
    """The registry of that kind.

    Raises:
        UsageError: the Azure ML workspace is not known.
        MissingExtraError: its libraries are not installed.
    """
    if kind == "mlflow":
        from etude.registry.mlflow_registry import MlflowRegistry

        return MlflowRegistry(options.mlflow_uri)
    from etude.platforms.azureml.context import resolve_context
    from etude.registry.azureml_registry import AzureMlRegistry

    flags = {
        "subscription": options.subscription_id,
        "resource_group": options.resource_group,
        "workspace": options.workspace_name,
    }
    context = resolve_context(flags, os.environ)
    missing = context.missing(compute=False)
    if missing or not (context.subscription and context.resource_group and context.workspace):
        raise UsageError(
            "; ".join(problem.message for problem in missing), hint="; ".join(problem.fix for problem in missing)
        )
    return AzureMlRegistry(context.subscription.value, context.resource_group.value, context.workspace.value)
