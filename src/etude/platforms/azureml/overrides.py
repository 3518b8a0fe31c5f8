"""`--set KEY=VALUE`: a setting of the job's YAML by its dotted path, as `az ml job create --set` takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from etude.errors import UsageError, nearest
from etude.platforms.problems import Problem

__all__ = ["OVERRIDE", "apply_overrides"]

OVERRIDE = "set."
"""Settings of a job that begin so are overrides: `set.limits.timeout` for `--set limits.timeout=...`."""

KEYS = (
    "compute",
    "description",
    "display_name",
    "distribution",
    "environment",
    "environment_variables",
    "experiment_name",
    "identity",
    "inputs",
    "limits",
    "outputs",
    "properties",
    "queue_settings",
    "resources",
    "services",
    "tags",
)
# Keys of the YAML that are not free, and what to use instead.
OURS = {
    "name": "choose it with --job-name",
    "command": "the command is what follows the platform's options",
    "code": "the bundle is what is sent; the command is what follows the platform's options",
    "type": "only command jobs are sent",
    "$schema": "only command jobs are sent",
}
NUMBERS = {
    ("limits", "timeout"),
    ("resources", "instance_count"),
    ("resources", "max_instance_count"),
    ("distribution", "process_count_per_instance"),
}


def apply_overrides(data: dict[str, Any], settings: Mapping[str, str]) -> list[Problem]:
    """Change `data` as the overrides among `settings` say; returns what is wrong with those that cannot be."""
    problems = []
    for name, value in settings.items():
        if not name.startswith(OVERRIDE):
            continue
        try:
            _apply(data, name.removeprefix(OVERRIDE), value)
        except UsageError as error:
            problems.append(Problem(error.message, error.hint or ""))
    return problems


def _apply(data: dict[str, Any], key: str, value: str) -> None:
    """Change `data` at a dotted path.

    Raises:
        UsageError: the path names no setting that may be changed, or leads through something that holds no others.
    """
    path = _path(key)
    inner: Any = data
    for depth, name in enumerate(path[:-1], 1):
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {key}: {'.'.join(path[:depth])} is {inner!r} and holds no other settings")
    last, parsed = path[-1], _parse(path, value)
    before = inner.get(last)
    if isinstance(before, dict) and "path" in before and isinstance(parsed, str):
        before["path"] = parsed  # `inputs.dataset=azureml:NAME:1` means its path
    else:
        inner[last] = parsed


def _path(key: str) -> tuple[str, ...]:
    path = tuple(key.split("."))
    if path[0] in OURS:
        raise UsageError(f"--set {key}: {path[0]} cannot be set", hint=OURS[path[0]])
    if path[0] not in KEYS or not all(path):
        close = nearest(path[0], KEYS)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(KEYS)}"
        raise UsageError(f"--set {key}: a job has no setting {path[0]!r}", hint=hint)
    if path[0] in ("environment_variables", "tags", "properties") and len(path) > 2:
        path = (path[0], ".".join(path[1:]))  # names of variables and tags may hold dots
    return path


def _parse(path: tuple[str, ...], value: str) -> Any:
    if path in NUMBERS:
        try:
            return int(value)
        except ValueError:
            raise UsageError(f"--set {'.'.join(path)}={value}: a whole number is wanted") from None
    if path == ("compute",):
        return value.removeprefix("azureml:")
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
