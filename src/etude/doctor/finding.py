"""One thing that was looked at, how it stands, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Status"]


class Status(StrEnum):
    """How a thing stands: fine, worth a look, or in the way of training."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """A line of `etude doctor`.

    Attributes:
        name: what was looked at.
        found: what was seen, in one sentence. Never the value of a secret.
        fix: what to do; also set where all is well but something optional is absent.
        details: the same in parts, for `--json`.
    """

    name: str
    status: Status
    found: str
    fix: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
