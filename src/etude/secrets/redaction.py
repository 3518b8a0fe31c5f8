"""Keeping secrets out of everything that is written or sent."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = [
    "VARIABLES",
    "is_plain_secret",
    "looks_like_a_token",
    "redact",
    "redact_tree",
    "remember",
    "split_credentials",
]

MASK = "***"
VARIABLES = "ETUDE_SECRET_VARIABLES"
"""Names (with commas between) of further environment variables that hold secrets; for the children of a process."""

_SHORTEST = 6  # a shorter value would blank out ordinary words
_SECRET_VARIABLE = re.compile(
    r"(TOKEN|PASSWORD|PASSWD|SECRET|API_KEY|APIKEY|ACCESS_KEY|ACCOUNT_KEY|_PAT|SAS|CONNECTION_STRING)$"
)
_SECRET_KEY = re.compile(r"(^|[._-])(token|password|passwd|secret|api_?key|access_key|credentials?)$", re.IGNORECASE)
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<userinfo>[^\s/?#'\"<>]*)@")
_QUERY_SECRET = re.compile(r"(?P<name>[?&](?:sig|token|password|api_key|access_token)=)[^&\s'\"]+", re.IGNORECASE)
_REFERENCE = re.compile(r"^(env|keyvault|hub|file|osmo)://", re.IGNORECASE)
# Hugging Face, GitHub, GitLab, Slack, AWS, OpenAI and their like, a signed token (JWT), an account key in Base64.
_TOKEN = re.compile(
    r"hf_\w{20,}|gh[a-z]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{16}"
    r"|sk-[\w-]{20,}|nvapi-[\w-]{20,}|wandb_v\d_\w{20,}|eyJ[\w-]{10,}\.[\w-]{10,}(\.[\w-]*)?|[A-Za-z0-9+/]{86}=="
)

_remembered: dict[str, None] = {}


def remember(value: str) -> None:
    """Mask `value` in everything that this process redacts from now on. Values under 6 characters are not masked."""
    _remembered[value] = None


def redact(text: str) -> str:
    """`text` without credentials in addresses and without the values that are known to be secret.

    Those are the values of environment variables with a secret's name, and the values that were remembered; each
    also as it is spelled inside JSON, inside an address, and in Python's messages.
    """
    for value in _secret_values():
        for spelling in _spellings(value):
            text = text.replace(spelling, MASK)
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


def is_plain_secret(name: str, value: str) -> bool:
    """Whether the setting or variable `name` holds a secret itself, where a reference belongs."""
    if not value.strip() or _REFERENCE.match(value):
        return False
    named = _SECRET_KEY.search(name) or _SECRET_VARIABLE.search(name.upper())
    return bool(named) or looks_like_a_token(value) or redact(value) != value


def looks_like_a_token(text: str) -> bool:
    """Whether `text` is written as the tokens of well-known services are."""
    return _TOKEN.fullmatch(text.strip()) is not None


def split_credentials(uri: str) -> tuple[str, str | None, str | None]:
    """A web address without its `user:password@`, the user and the password."""
    match = _USERINFO.match(uri)
    if not match or not match["scheme"].lower().startswith("http"):
        return uri, None, None
    from urllib.parse import unquote

    user, _, password = match["userinfo"].partition(":")
    return match["scheme"] + uri[match.end() :], unquote(user), unquote(password)


def _secret_values() -> list[str]:
    named = set(os.environ.get(VARIABLES, "").split(","))
    found = {
        value for name, value in os.environ.items() if name in named or _SECRET_VARIABLE.search(name.upper())
    } | _remembered.keys()
    chosen = [value for value in found if len(value) >= _SHORTEST and not _REFERENCE.match(value)]
    return sorted(chosen, key=len, reverse=True)


@functools.lru_cache(maxsize=256)
def _spellings(value: str) -> tuple[str, ...]:
    """The value as it may be met in a text, the longest first; of a value with several lines also each line."""
    encodable = value.encode("utf-8", "replace").decode("utf-8")
    found = {value}
    for text in {value, *(line for line in value.splitlines() if len(line.strip()) >= _SHORTEST)}:
        found |= {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    found |= {quote(encodable, safe=""), quote(encodable), quote_plus(encodable)}
    return tuple(sorted(found, key=len, reverse=True))
