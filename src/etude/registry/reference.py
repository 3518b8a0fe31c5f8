"""How a registered model is named: `models:/NAME/VERSION`, `models:/NAME@alias`, `azureml:NAME:VERSION`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etude.errors import UsageError

__all__ = ["KINDS", "ModelReference", "check_name", "parse_reference", "spell"]

KINDS = ("mlflow", "azureml")
LATEST = "latest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_SPELLINGS = (
    re.compile(r"models:/(?P<name>[^/@:]+)(?:/(?P<version>[^/@:]+)|@(?P<alias>[^/@:]+))?"),
    re.compile(r"azureml:(?P<name>[^/@:]+)(?::(?P<version>[^/@:]+)|@(?P<alias>[^/@:]+))?"),
    re.compile(r"(?P<name>[^/@:]+)(?:[:/](?P<version>[^/@:]+)|@(?P<alias>[^/@:]+))?"),
)


@dataclass(frozen=True)
class ModelReference:
    """A version of a model, or an alias that leads to one.

    Attributes:
        kind: "mlflow" or "azureml"; None where the text does not say.
        version, alias: one of them is set.
    """

    kind: str | None
    name: str
    version: str | None = None
    alias: str | None = None


def parse_reference(text: str) -> ModelReference:
    """Read a reference. A name alone means its latest version.

    Raises:
        UsageError: it is spelled in no known way.
    """
    for kind, spelling in zip(("mlflow", "azureml", None), _SPELLINGS, strict=True):
        match = spelling.fullmatch(text.strip())
        if not match:
            continue
        version, alias = match["version"], match["alias"]
        if version == LATEST or (version is None and alias is None):
            version, alias = None, LATEST
        return ModelReference(kind, match["name"], version, alias)
    raise UsageError(
        f"{text!r} is no reference to a model",
        hint="models:/NAME/VERSION or models:/NAME@ALIAS in MLflow, azureml:NAME:VERSION or azureml:NAME@latest "
        "in Azure ML",
    )


def spell(kind: str, name: str, version: str) -> str:
    """The reference of one version."""
    return f"azureml:{name}:{version}" if kind == "azureml" else f"models:/{name}/{version}"


def check_name(name: str) -> str:
    """Return a name that every registry takes.

    Raises:
        UsageError: it has other characters; a near name is shown.
    """
    if _NAME.fullmatch(name):
        return name
    near = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:255]
    raise UsageError(
        f"{name!r} is no name for a model: letters, digits, '-', '_' and '.', at most 255, a letter or digit first",
        hint=f"for example {near}" if near else "for example pusht-act",
    )
