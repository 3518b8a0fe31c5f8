"""Keeping secrets out of everything that is written or sent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["redact", "redact_tree", "split_credentials"]

MASK = "***"
_SHORTEST = 6  # a shorter value would blank out ordinary words
_SECRET_VARIABLE = re.compile(
    r"(TOKEN|PASSWORD|PASSWD|SECRET|API_KEY|APIKEY|ACCESS_KEY|ACCOUNT_KEY|_PAT|SAS|CONNECTION_STRING)$"
)
_SECRET_KEY = re.compile(r"(^|[._-])(token|password|passwd|secret|api_?key|access_key|credentials?)$", re.IGNORECASE)
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<userinfo>[^\s/?#'\"<>]*)@")
_QUERY_SECRET = re.compile(r"(?P<name>[?&](?:sig|token|password|api_key|access_token)=)[^&\s'\"]+", re.IGNORECASE)
_REFERENCE = re.compile(r"^(env|keyvault|osmo)://", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` without credentials in addresses and without the values of secret environment variables."""
    for value in _secret_values():
        text = text.replace(value, MASK)
    text = _USERINFO.sub(lambda match: f"{match['scheme']}{MASK}@", text)
    return _QUERY_SECRET.sub(lambda match: match["name"] + MASK, text)


def redact_tree(value: Any, key: str = "") -> Any:
    """A copy of nested mappings and lists, strings redacted and the values of secret-looking keys masked.

    A reference such as `env://HF_TOKEN` is no secret and stays.
    """
    if isinstance(value, Mapping):
        return {name: redact_tree(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_tree(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if value and _SECRET_KEY.search(key) and not _REFERENCE.match(value):
        return MASK
    return redact(value)


def split_credentials(uri: str) -> tuple[str, str | None, str | None]:
    """A web address without its `user:password@`, the user and the password."""
    match = _USERINFO.match(uri)
    if not match or not match["scheme"].lower().startswith("http"):
        return uri, None, None
    from urllib.parse import unquote

    user, _, password = match["userinfo"].partition(":")
    return match["scheme"] + uri[match.end() :], unquote(user), unquote(password)


def _secret_values() -> list[str]:
    found = {
        value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name.upper()) and len(value) >= _SHORTEST
    }
    return sorted(found, key=len, reverse=True)
