"""Reading a page back: its elements, its text, what it would load."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

_VOID = {"meta", "link", "img", "br", "input", "hr"}
_LOADING = {"src", "href", "data", "poster", "srcset", "action"}


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        elements: tag and attributes of each element.
        unbalanced: end tags that close nothing, and start tags never closed.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = file.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(self.source)
        self.close()
        self.unbalanced += self._open

    @property
    def text(self) -> str:
        """What a reader sees, one space between words."""
        return " ".join(" ".join(self._text).split())

    @property
    def charts(self) -> list[dict[str, Any]]:
        start = self.source.index('id="chart-data">') + len('id="chart-data">')
        charts: list[dict[str, Any]] = json.loads(self.source[start : self.source.index("</script>", start)])
        return charts

    def loaded(self) -> list[str]:
        """Every address that the browser would fetch or follow."""
        return [value for _, attributes in self.elements for name, value in attributes.items() if name in _LOADING]

    def media(self, kind: str) -> list[bytes]:
        """The embedded files of a media type."""
        prefix = f"data:{kind};base64,"
        return [base64.b64decode(uri[len(prefix) :]) for uri in self.loaded() if uri.startswith(prefix)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self._text.append(data)
