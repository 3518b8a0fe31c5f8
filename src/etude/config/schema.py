"""Checking settings against the dataclasses that define them: names, types, and the nearest of both.

Works on any dataclass, nested ones, and on draccus' choice types (a mapping with a `type`); imports neither.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from etude.config.request import COMMAND_LINE, Resolved
from etude.config.scalars import parse_scalar, show
from etude.errors import UsageError, nearest

__all__ = ["Schema", "describe", "field_types", "unknown_choice", "unknown_name"]

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class _MismatchError(Exception):
    """The value is not of the type."""


class Schema:
    """Checks the settings of one command.

    Args:
        resolved: tells where a setting comes from, and what was typed.
        known: gives dotted keys to suggest from, besides those of the level where a name is unknown.
    """

    def __init__(self, resolved: Resolved, known: Callable[[], Iterable[str]] = tuple) -> None:
        self._resolved = resolved
        self._known = known

    def check(self, values: Mapping[str, Any], cls: Any, key: str = "") -> dict[str, Any]:
        """The settings of a dataclass, or of a choice type, with every value in the type of its field.

        Raises:
            UsageError: a name or a type is unknown, or a value does not fit; it says where that stands.
        """
        if not isinstance(values, Mapping):
            raise self._wrong(key, values, "a mapping")
        checked: dict[str, Any] = {}
        if _choices(cls) is not None:
            cls, name = self._choice(values, cls, key)
            values = {field: value for field, value in values.items() if field != "type"}
            checked["type"] = name
        annotations = field_types(cls)
        for name, value in values.items():
            below = f"{key}.{name}" if key else name
            if name not in annotations:
                known = list(self._known())
                raise unknown_name(self._resolved, below, checked.get("type"), annotations, known)
            if value is None and not _nullable(annotations[name]) and not self._typed(below):
                continue  # null in a file is "not given", where null is not a value
            try:
                checked[name] = self._conform(value, annotations[name], below)
            except _MismatchError:
                raise self._wrong(below, value, describe(annotations[name])) from None
        return checked

    def _choice(self, values: Mapping[str, Any], cls: Any, key: str) -> tuple[Any, str]:
        choices = _choices(cls) or {}
        default = getattr(cls, "default_choice_name", lambda: None)()
        name = values.get("type", default)
        if name is None:
            raise UsageError(f"{key}.type is missing", hint=f"one of {', '.join(sorted(choices))}")
        if name not in choices:
            raise unknown_choice(self._resolved, f"{key}.type", str(name), choices)
        return choices[name], str(name)

    def _conform(self, value: Any, annotation: Any, key: str) -> Any:
        """`value` in the type `annotation`; raises `_MismatchError` without a word."""
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if annotation is Any or isinstance(annotation, typing.TypeVar | str):
            return value
        if origin in (typing.Union, types.UnionType):
            return self._union(value, arguments, key)
        if origin is typing.Annotated:
            return self._conform(value, arguments[0], key)
        if origin is typing.Literal:
            return self._literal(value, arguments, key)
        if dataclasses.is_dataclass(annotation) or _choices(annotation) is not None:
            if not isinstance(value, Mapping):
                raise _MismatchError
            return self.check(value, annotation, key)
        container = origin or annotation
        if container in (list, tuple, set):
            return self._sequence(value, container, arguments, key)
        if container is dict or (isinstance(container, type) and issubclass(container, Mapping)):
            return self._mapping(value, arguments, key)
        if isinstance(container, type) and issubclass(container, enum.Enum):
            return self._enum(value, container, key)
        return self._scalar(value, container, key)

    def _union(self, value: Any, arguments: tuple[Any, ...], key: str) -> Any:
        if value is None and type(None) in arguments:
            return None
        exact = [item for item in arguments if (typing.get_origin(item) or item) is type(value)]
        for item in [*exact, *(other for other in arguments if other not in exact)]:
            if item is type(None):
                continue
            try:
                return self._conform(value, item, key)
            except _MismatchError:
                continue
        raise _MismatchError

    def _literal(self, value: Any, allowed: tuple[Any, ...], key: str) -> Any:
        for candidate in (value, self._resolved.texts.get(key)):
            if candidate in allowed and not (isinstance(candidate, bool) and True not in allowed):
                return candidate
        raise self._not_allowed(key, value, [str(item) for item in allowed])

    def _enum(self, value: Any, cls: type[enum.Enum], key: str) -> str:
        if isinstance(value, cls):
            return value.name
        for member in cls:
            if value in (member.name, member.value):
                return member.name
        raise self._not_allowed(key, value, [member.name for member in cls])

    def _sequence(self, value: Any, container: type, arguments: tuple[Any, ...], key: str) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            if key not in self._resolved.texts or value is None:
                raise _MismatchError
            # Typed: `a,b` or a single item.
            value = [parse_scalar(part) for part in value.split(",")] if isinstance(value, str) else [value]
        kinds = arguments
        if container is not tuple or Ellipsis in arguments or not arguments:
            kinds = (arguments[0] if arguments else Any,) * len(value)
        if len(value) != len(kinds):
            raise _MismatchError
        pairs = enumerate(zip(value, kinds, strict=True))
        return [self._conform(item, kind, f"{key}.{index}") for index, (item, kind) in pairs]

    def _mapping(self, value: Any, arguments: tuple[Any, ...], key: str) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise _MismatchError
        kind = arguments[1] if len(arguments) == 2 else Any
        checked = {}
        for name, item in value.items():
            try:
                checked[name] = self._conform(item, kind, f"{key}.{name}")
            except _MismatchError:
                raise self._wrong(f"{key}.{name}", item, describe(kind)) from None
        return checked

    def _scalar(self, value: Any, kind: Any, key: str) -> Any:
        if kind is bool:
            if isinstance(value, bool):
                return value
            if value in (0, 1):  # LeRobot writes the switches that it declares as int so
                return bool(value)
            word = str(self._resolved.texts.get(key, value)).lower()
            if word in _BOOLEANS:
                return _BOOLEANS[word]
        elif kind is int:
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            if isinstance(value, float) and value.is_integer():  # 1e5
                return int(value)
        elif kind is float:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        elif kind is str or (isinstance(kind, type) and issubclass(kind, Path)):
            return self._text(value, key)
        else:
            return value
        raise _MismatchError

    def _text(self, value: Any, key: str) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Path):
            return str(value)
        if value is not None and key in self._resolved.texts:
            return self._resolved.texts[key]
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise _MismatchError

    def _typed(self, key: str) -> bool:
        return self._resolved.source(key).startswith(COMMAND_LINE)

    def _wrong(self, key: str, value: Any, expected: str) -> UsageError:
        return UsageError(f"{key} must be {expected}, got {show(value)} ({self._resolved.source(key)})")

    def _not_allowed(self, key: str, value: Any, allowed: list[str]) -> UsageError:
        close = nearest(str(value), allowed)
        error = self._wrong(key, value, f"one of {', '.join(allowed)}")
        error.hint = f"did you mean {close[0]}?" if close else None
        return error


def unknown_name(
    resolved: Resolved, key: str, choice: str | None, names: Iterable[str], known: Iterable[str]
) -> UsageError:
    """The error about a setting that does not exist.

    Args:
        choice: the type that lacks it, where the type decides.
        names: what exists beside it.
        known: dotted keys that may have been meant.
    """
    above, _, name = key.rpartition(".")
    here = [f"{above}.{field}" if above else field for field in nearest(name, names, count=2)]
    elsewhere = [item for item in known if item.rpartition(".")[2] == name]
    close = elsewhere or here or nearest(key, known, count=2)
    reason = f": {choice} has no such setting" if choice else ""
    source = resolved.source(key)
    typed = source.startswith(COMMAND_LINE)
    message = f"unknown flag --{key}{reason}" if typed else f"unknown key {key} in {source}{reason}"
    words = " or ".join(f"--{item}" if typed else item for item in dict.fromkeys(close))
    return UsageError(message, hint=f"did you mean {words}?" if close else "see `etude train --help`")


def unknown_choice(resolved: Resolved, key: str, name: str, choices: Iterable[str]) -> UsageError:
    """The error about a `type` that does not exist."""
    close = nearest(name, choices)
    hint = f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(sorted(choices))}"
    return UsageError(f"unknown {key} {name!r} ({resolved.source(key)})", hint=hint)


@functools.cache
def field_types(cls: Any) -> dict[str, Any]:
    """Names and types of a dataclass' fields; a type that cannot be looked up is `Any`."""
    try:
        hints = typing.get_type_hints(cls)
    except Exception:  # noqa: BLE001  names imported for type checking only, in code that is not ours
        hints = {}
    annotations = {}
    for field in dataclasses.fields(cls):
        declared = Any if isinstance(field.type, str) else field.type
        annotations[field.name] = _with_default(hints.get(field.name, declared), field)
    return annotations


def _with_default(annotation: Any, field: dataclasses.Field[Any]) -> Any:
    # LeRobot declares a few switches as int, and a few fields that may be null without saying so.
    if isinstance(field.default, bool) and annotation is int:
        return bool
    return annotation | None if field.default is None and annotation is not Any else annotation


def _nullable(annotation: Any) -> bool:
    return annotation in (Any, None, type(None)) or type(None) in typing.get_args(annotation)


def describe(annotation: Any) -> str:
    """A type in words: `a whole number or null`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [describe(item) for item in arguments if item is not type(None)]
        return " or ".join(dict.fromkeys([*parts, *(["null"] if type(None) in arguments else [])]))
    if origin is typing.Literal:
        return "one of " + ", ".join(str(item) for item in arguments)
    if origin is tuple and arguments and Ellipsis not in arguments:
        return f"a list of {len(arguments)}: " + ", ".join(describe(item) for item in arguments)
    if origin in (list, tuple, set) and arguments:
        return f"a list, each {describe(arguments[0])}"
    container = origin or annotation
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Path: "a path",
        list: "a list",
        tuple: "a list",
        dict: "a mapping",
    }
    if container in words:
        return words[container]
    return "a mapping" if dataclasses.is_dataclass(container) else getattr(container, "__name__", str(container))


def _choices(cls: Any) -> dict[str, Any] | None:
    """The classes that a draccus choice type stands for; None for everything else, its members included."""
    if not isinstance(cls, type) or not hasattr(cls, "get_known_choices"):
        return None
    choices: dict[str, Any] = cls.get_known_choices()
    return None if cls in choices.values() else choices
