"""Where frame stores lie."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from etude.data.frames.forms import Form

__all__ = ["cache_folder", "store_folder"]


def cache_folder(override: Path | None = None) -> Path:
    """The folder of all frame stores: `override`, else `$ETUDE_CACHE/frames`, else `~/.cache/etude/frames`.

    No folder is made.
    """
    if override is not None:
        return Path(override).expanduser()
    given = os.environ.get("ETUDE_CACHE")
    if given:
        return Path(given).expanduser() / "frames"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "etude" / "frames"


def store_folder(cache: Path, fingerprint: str, camera: str, form: Form) -> Path:
    """Where the frames of one camera of one dataset lie in one form."""
    return cache / fingerprint[:16] / quote(camera, safe="") / form.folder_name
