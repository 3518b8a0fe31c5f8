"""Names of jobs everywhere: `local://NAME`, `azureml://WORKSPACE/NAME`, `osmo://PROFILE/NAME`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from etude.errors import UsageError

__all__ = ["Handle", "is_handle"]

_HANDLE = re.compile(r"^(?P<platform>[a-z][a-z0-9]*)://(?:(?P<place>[^/]+)/)?(?P<name>[^/]+)$")


@dataclass(frozen=True)
class Handle:
    """Where a job is, and what it is called there.

    Attributes:
        platform: local | azureml | osmo.
        place: the workspace or the profile; empty for this machine.
        name: unique in that place.
    """

    platform: str
    name: str
    place: str = ""

    def __str__(self) -> str:
        parts = [quote(part, safe="") for part in (self.place, self.name) if part]
        return f"{self.platform}://{'/'.join(parts)}"

    @classmethod
    def parse(cls, text: str) -> Handle:
        """From what `str()` writes.

        Raises:
            UsageError: it is no handle.
        """
        match = _HANDLE.match(text)
        if match is None:
            raise UsageError(
                f"{text!r} is not a job: it should look like azureml://WORKSPACE/NAME or local://NAME",
                hint="etude jobs list",
            )
        return cls(match["platform"], unquote(match["name"]), unquote(match["place"] or ""))


def is_handle(text: str) -> bool:
    """Whether `text` is written as a handle."""
    return _HANDLE.match(text) is not None
