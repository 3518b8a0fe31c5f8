"""Nested mappings: reading, setting and walking by path.

A path is a tuple of names, not a dotted text, because names such as `observation.state` hold dots themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Path", "dotted", "drop", "get", "leaves", "put"]

Path = tuple[str, ...]


def dotted(path: Path) -> str:
    """The path as it is typed: `policy.chunk_size`."""
    return ".".join(path)


def get(mapping: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value at a dotted key, or `default`."""
    current: Any = mapping
    for name in key.split("."):
        if not isinstance(current, Mapping) or name not in current:
            return default
        current = current[name]
    return current


def put(mapping: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at `path`; anything in its way that is no mapping is replaced."""
    for name in path[:-1]:
        below = mapping.get(name)
        if not isinstance(below, dict):
            below = mapping[name] = {}
        mapping = below
    mapping[path[-1]] = value


def drop(mapping: dict[str, Any], key: str) -> Any:
    """Remove the value at a dotted key, and mappings that become empty; returns it, or None."""
    first, _, rest = key.partition(".")
    if not rest:
        return mapping.pop(first, None)
    below = mapping.get(first)
    if not isinstance(below, dict):
        return None
    removed = drop(below, rest)
    if not below:
        del mapping[first]
    return removed


def leaves(mapping: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no mapping (an empty mapping is a value), with its path."""
    for name, value in mapping.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path, value
