"""Texts of the command line, read as values."""

from __future__ import annotations

import re
from typing import Any

import yaml

from etude.errors import UsageError

__all__ = ["parse_episodes", "parse_scalar", "show"]

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+|[+-]?\.?inf|\.?nan", re.IGNORECASE)
_WORDS = {"true": True, "false": False, "null": None, "none": None, "~": None}
_RANGE = re.compile(r"(\d+):(\d+)")


def parse_scalar(text: str) -> Any:
    """Read `text` as null, a boolean, a number, a list or mapping in YAML's flow style, or else as text.

    Unlike YAML 1.1, `1e-5` is a number and `yes` or `on` are text.
    `0,1,2` is a list when all of it is numbers.
    """
    stripped = text.strip()
    if stripped.lower() in _WORDS:
        return _WORDS[stripped.lower()]
    if _INTEGER.fullmatch(stripped):
        return int(stripped)
    if _FLOAT.fullmatch(stripped):
        return float(stripped.replace(".inf", "inf").replace(".nan", "nan"))
    if stripped[:1] in ("[", "{"):
        return _parse_flow(stripped, text)
    if "," in stripped:
        items = [parse_scalar(item) for item in stripped.split(",") if item.strip()]
        if items and all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
            return items
    return text


def parse_episodes(value: Any, key: str) -> list[int] | None:
    """Read a list of episode numbers: `[0, 1]`, `0,1,2`, `0:10` (the end is left out), `0:5,8`.

    Raises:
        UsageError: it is something else.
    """
    if value is None:
        return None
    parts = value if isinstance(value, list) else str(value).strip("[] ").split(",")
    episodes: list[int] = []
    for part in parts:
        text = str(part).strip()
        span = _RANGE.fullmatch(text)
        if span and int(span.group(1)) < int(span.group(2)):
            episodes.extend(range(int(span.group(1)), int(span.group(2))))
        elif text.isdecimal() and not isinstance(part, bool):
            episodes.append(int(text))
        elif text:
            raise UsageError(
                f"{key} must be episode numbers, got {show(value)}",
                hint=f"for example --{key}=0,1,2 or --{key}=0:10, which is 0 to 9",
            )
    return episodes


def show(value: Any) -> str:
    """`value` as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def _parse_flow(stripped: str, text: str) -> Any:
    try:
        return _numbers(yaml.safe_load(stripped))
    except yaml.YAMLError:
        return text


def _numbers(value: Any) -> Any:
    # YAML 1.1 reads 1e-5 as text, and people write it.
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, str) and _FLOAT.fullmatch(value) and any(mark in value for mark in "eE."):
        return float(value)
    if value in ("None", "none"):
        return None
    return value
