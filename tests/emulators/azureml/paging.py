"""Lists come in pages, as the service's do: a client that reads the first page only misses something."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.emulators.azureml.wire import Request, Response, answer

__all__ = ["page"]

PAGE = 20


def page(request: Request, items: list[dict[str, Any]]) -> Response:
    """The part of `items` that `$skip` and `$top` ask for, with the address of the next one."""
    top = request.query.get("top")
    if top:
        return answer({"value": items[: int(top)]})
    start = int(request.query.get("skip") or 0)
    content: dict[str, Any] = {"value": items[start : start + PAGE]}
    if start + PAGE < len(items):
        kept = {name: value for name, value in request.query.items() if name not in ("skip", "api-version", "orderby")}
        named = {**kept, "$skip": str(start + PAGE), "api-version": request.query.get("api-version", "")}
        if "orderby" in request.query:
            named["$orderBy"] = request.query["orderby"]
        content["nextLink"] = request.url(f"{request.path}?{urlencode(named)}")
    return answer(content)
