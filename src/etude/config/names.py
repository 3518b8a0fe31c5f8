"""Refusing unknown names at once, from LeRobot's source, which takes much longer to import than to read.

What cannot be told from the source (plug-ins, environments, types) is left to `etude.imitation.settings`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from etude.config.aliases import spellings
from etude.config.options import TrainOptions
from etude.config.request import Resolved
from etude.config.schema import unknown_choice, unknown_name

__all__ = ["refuse_unknown_names"]

_TRAIN = ("configs/train.py", "TrainPipelineConfig")
_POLICY = ("configs/policies.py", "PreTrainedConfig")
_SECTIONS = {
    "dataset": ("configs/default.py", "DatasetConfig"),
    "eval": ("configs/default.py", "EvalConfig"),
    "wandb": ("configs/default.py", "WandBConfig"),
}


def refuse_unknown_names(resolved: Resolved) -> None:
    """Refuse a setting, or a policy type, that the installed LeRobot and `TrainOptions` do not have.

    Raises:
        UsageError: there is one; with the nearest that exists. Without LeRobot nothing is refused.
    """
    theirs = _fields(*_TRAIN)
    if theirs is None:
        return
    ours: dict[str, Any] = {field.name: field.default_factory for field in dataclasses.fields(TrainOptions)}
    policy = _policy_names(resolved)
    levels: dict[str, tuple[str, ...]] = {"": (*theirs, *ours)}
    levels |= {name: fields for name, where in _SECTIONS.items() if (fields := _fields(*where))}
    levels |= {
        name: tuple(field.name for field in dataclasses.fields(make))
        for name, make in ours.items()
        if dataclasses.is_dataclass(make)
    }
    if policy:
        levels["policy"] = (*policy, "path", "type")
    known = [f"{level}.{name}".lstrip(".") for level, names in levels.items() for name in names]
    for level, names in levels.items():
        section = resolved.values.get(level) if level else resolved.values
        for name in section if isinstance(section, Mapping) else ():
            if name not in names:
                key = f"{level}.{name}".lstrip(".")
                kind = resolved.values["policy"].get("type") if level == "policy" else None
                raise unknown_name(resolved, key, kind, names, [*known, *spellings()])


def _policy_names(resolved: Resolved) -> tuple[str, ...] | None:
    """Settings of the policy type; None where they are not known here."""
    policy = resolved.values.get("policy")
    kind = policy.get("type") if isinstance(policy, Mapping) else None
    if kind is None or resolved.values.get("plugins"):
        return None
    where = _registered().get(str(kind))
    if where is None and _may_have_plugins():
        return None
    if where is None:
        raise unknown_choice(resolved, "policy.type", str(kind), _registered())
    return _fields(*where)


def _may_have_plugins() -> bool:
    return any(
        (item.metadata["Name"] or "").replace("-", "_").startswith("lerobot_policy_")
        for item in metadata.distributions()
    )


@cache
def _package() -> Path | None:
    spec = importlib.util.find_spec("lerobot")  # finds, and does not import
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


@cache
def _classes(file: str) -> dict[str, ast.ClassDef]:
    package = _package()
    try:
        tree = ast.parse((package / file).read_text(encoding="utf-8")) if package else ast.Module([], [])
    except (OSError, SyntaxError):
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(file: str, name: str) -> tuple[str, ...] | None:
    """Field names of a dataclass, its base classes' included; None where a base is elsewhere."""
    definition = _classes(file).get(name)
    if definition is None:
        return None
    names = [
        node.target.id
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    for base in definition.bases:
        word = base.id if isinstance(base, ast.Name) else ""
        if word in ("HubMixin", "") or (file, name) == _POLICY:
            continue
        inherited = _fields(*_POLICY) if word == _POLICY[1] else _fields(file, word)
        if inherited is None:
            return None
        names.extend(inherited)
    return tuple(names)


@cache
def _registered() -> dict[str, tuple[str, str]]:
    """Policy types, and the file and class of their settings."""
    package = _package()
    found = {}
    for file in sorted(package.glob("policies/*/configuration_*.py")) if package else []:
        relative = str(file.relative_to(package)) if package else ""
        for name, definition in _classes(relative).items():
            for kind in filter(None, map(_registered_as, definition.decorator_list)):
                found[kind] = (relative, name)
    return found


def _registered_as(decorator: ast.expr) -> str | None:
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    given: list[Any] = [*decorator.args, *(keyword.value for keyword in decorator.keywords)]
    if decorator.func.attr != "register_subclass" or not given or not isinstance(given[0], ast.Constant):
        return None
    return str(given[0].value)
