"""A platform by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from etude.errors import UsageError, nearest
from etude.platforms.places import state_folder
from etude.platforms.seam import Platform

__all__ = ["PLATFORMS", "open_platform"]


def _local(_: Mapping[str, str]) -> Platform:
    from etude.platforms.local.platform import Local

    return Local(state_folder() / "local")


def _azureml(settings: Mapping[str, str]) -> Platform:
    module = importlib.import_module("etude.platforms.azureml.opening")
    platform: Platform = module.open_azureml(settings)
    return platform


PLATFORMS: dict[str, Callable[[Mapping[str, str]], Platform]] = {"local": _local, "azureml": _azureml}


def open_platform(name: str, settings: Mapping[str, str]) -> Platform:
    """The platform of this name; nothing is contacted yet.

    Args:
        settings: what the ledger keeps of it (subscription, workspace …), or what was given as flags.

    Raises:
        UsageError: there is no such platform, or the settings do not say which place is meant.
    """
    if name not in PLATFORMS:
        close = nearest(name, PLATFORMS)
        raise UsageError(
            f"there is no platform {name!r}; there are {', '.join(PLATFORMS)}",
            hint=f"did you mean {close[0]}?" if close else "etude submit --help",
        )
    return PLATFORMS[name](settings)
