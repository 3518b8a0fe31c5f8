"""Importing an optional library, or saying which extra brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from etude.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, which the extra `etude[extra]` installs.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name.split(".")[0]):
            raise
        raise MissingExtraError(
            f"this command needs {module.split('.')[0]}, which is not installed",
            hint=f"pip install 'etude[{extra}]', or in a clone: make setup",
        ) from error
