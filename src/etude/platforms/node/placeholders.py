"""Folders in a command: `{bundle}`, `{input:NAME}`, `{output:NAME}`, known only where the job runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from etude.errors import PlatformError

__all__ = ["filled", "names_in"]

_PLACEHOLDER = re.compile(r"\{(?:bundle|(?P<kind>input|output):(?P<name>[A-Za-z0-9_]+))\}")


def filled(command: Sequence[str], bundle: Path, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> list[str]:
    """The command with folders in place of names.

    Raises:
        PlatformError: it names an input or an output that there is not.
    """
    places = {"input": inputs, "output": outputs}

    def folder(match: re.Match[str]) -> str:
        if match["kind"] is None:
            return str(bundle)
        try:
            return str(places[match["kind"]][match["name"]])
        except KeyError:
            raise PlatformError(f"the command refers to {match[0]}, which is not defined") from None

    return [_PLACEHOLDER.sub(folder, argument) for argument in command]


def names_in(command: Sequence[str], kind: str) -> list[str]:
    """The inputs or outputs that a command refers to, each once, in order."""
    found = (
        match["name"] for argument in command for match in _PLACEHOLDER.finditer(argument) if match["kind"] == kind
    )
    return list(dict.fromkeys(found))
