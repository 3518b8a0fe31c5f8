"""Files turned into data URIs, so that the page needs nothing beside it; within a budget."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Embedder", "Media"]

_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Media:
    """A picture or video.

    Attributes:
        uri: its data URI; None when it was left out, and then `reason` says why.
    """

    name: str
    kind: str
    uri: str | None
    size: int = 0
    reason: str = ""


@dataclass
class Embedder:
    """Embeds files until `budget` bytes are used up.

    Attributes:
        left_out: what did not fit or was not there.
    """

    budget: int
    used: int = 0
    left_out: list[Media] = field(default_factory=list)

    def embed(self, folder: Path, name: str) -> Media:
        """The file `name` below `folder`; a name that leads out of the folder is not followed."""
        file = (folder / name).resolve()
        kind = _TYPES.get(file.suffix.lower(), "")
        try:
            inside = file.is_relative_to(folder.resolve()) and file.is_file()
            size = file.stat().st_size if inside else 0
        except OSError:
            inside, size = False, 0
        if not inside or not kind:
            return self._leave_out(Media(name, kind, None, reason="the file is not there"))
        if self.used + size > self.budget:
            return self._leave_out(Media(name, kind, None, size, "left out to keep this page small"))
        self.used += size
        return Media(name, kind, f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}", size)

    def _leave_out(self, media: Media) -> Media:
        self.left_out.append(media)
        return media
