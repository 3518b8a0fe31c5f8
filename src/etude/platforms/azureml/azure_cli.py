"""What `az configure --defaults` and `az account set` left on this machine, read without the Azure CLI."""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["read_azure_cli"]

# The CLI's word for a default, and ours.
DEFAULTS = {"group": "resource_group", "workspace": "workspace"}


def read_azure_cli(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """`{setting: (value, source)}` of the CLI's configuration; what is absent or unreadable is left out."""
    folder = Path(environ.get("AZURE_CONFIG_DIR") or Path(environ.get("HOME") or Path.home(), ".azure"))
    values: dict[str, tuple[str, str]] = {}
    configured = _defaults(folder / "config")
    for word, name in DEFAULTS.items():
        variable = f"AZURE_DEFAULTS_{word.upper()}"
        if value := environ.get(variable, "").strip():
            values[name] = (value, f"environment {variable}")
        elif value := configured.get(word, "").strip():
            values[name] = (value, f"Azure CLI default {word} in {folder / 'config'}")
    if subscription := _default_subscription(folder / "azureProfile.json"):
        values["subscription"] = (subscription, f"Azure CLI's current subscription in {folder / 'azureProfile.json'}")
    return values


def _defaults(file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(file, encoding="utf-8-sig")
        return dict(parser["defaults"]) if parser.has_section("defaults") else {}
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}


def _default_subscription(file: Path) -> str:
    try:
        profile = json.loads(file.read_text(encoding="utf-8-sig"))  # the CLI writes a byte order mark
        chosen = [item for item in profile["subscriptions"] if item.get("isDefault")]
        return str(chosen[0]["id"]) if chosen else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
