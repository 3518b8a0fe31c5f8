"""`@latest` as the version that it is now: a job that is looked at in a year still says what it was trained on."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from etude.platforms.azureml.client import Client
from etude.platforms.azureml.refusals import ServiceError

__all__ = ["kind_of_input", "latest_version", "resolve_latest", "split_asset"]

_ASSET = re.compile(r"azureml:(?!/)(?P<name>[^:@/]+)(?::(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")
_KINDS = {"custom_model": "models", "mlflow_model": "models"}


def split_asset(reference: str) -> tuple[str, str, str] | None:
    """Name, version and label of `azureml:NAME:VERSION` or `azureml:NAME@LABEL`; None when it is no such reference."""
    match = _ASSET.fullmatch(reference)
    return (match["name"], match["version"] or "", match["label"] or "") if match else None


def kind_of_input(value: Mapping[str, Any]) -> str:
    """Where the workspace keeps what an input names: `data` or `models`."""
    return _KINDS.get(str(value.get("type")), "data")


def latest_version(client: Client, kind: str, name: str) -> str | None:
    """The newest version of `data`, `models` or `environments`; None when there is no asset of that name."""
    try:
        if kind == "environments":
            query = {"$orderBy": "createdtime desc", "$top": "1"}
            found = client.get(f"/{kind}/{quote(name)}/versions", f"find {kind} {name}", **query).get("value", [])
            return str(found[0]["name"]) if found else None
        told = client.get(f"/{kind}/{quote(name)}", f"find {kind} {name}")
    except ServiceError as error:
        if error.status == 404:
            return None
        raise
    version = (told.get("properties") or {}).get("latestVersion")
    return str(version) if version else None


def resolve_latest(client: Client, data: Mapping[str, Any]) -> dict[str, Any]:
    """The request with versions instead of `@latest`, and tags that record every asset that the job takes."""
    resolved: dict[str, Any] = copy.deepcopy(dict(data))
    tags = resolved.setdefault("tags", {})
    for name, value in resolved.get("inputs", {}).items():
        if isinstance(value, dict) and split_asset(str(value.get("path", ""))):
            value["path"] = _fixed(client, kind_of_input(value), str(value["path"]))
            tags[f"etude.input.{name}"] = value["path"]
    environment = resolved.get("environment")
    if isinstance(environment, str) and split_asset(environment):
        resolved["environment"] = tags["etude.environment"] = _fixed(client, "environments", environment)
    return resolved


def _fixed(client: Client, kind: str, reference: str) -> str:
    name, _, label = split_asset(reference) or ("", "", "")
    if label != "latest":
        return reference
    version = latest_version(client, kind, name)
    return f"azureml:{name}:{version}" if version else reference
