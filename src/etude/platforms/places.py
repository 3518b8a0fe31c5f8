"""Where jobs are remembered on this machine."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["state_folder"]


def state_folder() -> Path:
    """`$ETUDE_STATE`, else `etude` where this system keeps state (`$XDG_STATE_HOME`, `~/.local/state`)."""
    given = os.environ.get("ETUDE_STATE")
    if given:
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".local" / "state") / "etude"
