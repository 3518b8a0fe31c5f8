"""Environments by name: what exists, what each can show, and the nearest name to a wrong one."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import ModuleType

from etude.errors import SimulationError, nearest
from etude.simulation.base import Environment, EnvironmentInfo, EnvironmentSpec

__all__ = ["create", "describe", "imported_early", "known_environments", "known_tasks", "resolve"]

# Each module has: tasks(), DEFAULT_TASK, DEFAULT_OBSERVATIONS, offers(), info(spec), create(spec), and may have
# IMPORTED_EARLY.
_MODULES = {
    "aloha": "etude.simulation.aloha",
    "metaworld": "etude.simulation.metaworld",
    "pusht": "etude.simulation.pusht",
}


def known_environments() -> list[str]:
    """Names for `--env.type`."""
    return sorted(_MODULES)


def known_tasks(environment: str) -> list[str]:
    """Names for `--env.task`."""
    return sorted(_module(environment).tasks())


def resolve(spec: EnvironmentSpec) -> EnvironmentSpec:
    """Fill in the defaults and check every name.

    Raises:
        SimulationError: unknown type or task, or an observation that the environment cannot give.
        MissingExtraError: the simulator is not installed.
    """
    module = _module(spec.type)
    task = (spec.task or module.DEFAULT_TASK).removeprefix(f"{spec.type}-")
    known = sorted(module.tasks())
    if task not in known:
        close = nearest(task, known)
        hint = f"did you mean {' or '.join(close)}?" if close else f"tasks: {', '.join(known)}"
        raise SimulationError(f"{spec.type} has no task {task!r}", hint=hint)
    observations = dict(module.DEFAULT_OBSERVATIONS if spec.observations is None else spec.observations)
    _check_observations(spec.type, observations, module.offers())
    return replace(spec, task=task, observations=observations, max_steps=spec.max_steps or module.MAX_STEPS)


def create(spec: EnvironmentSpec) -> Environment:
    """Start one environment; `spec` comes from `resolve`."""
    environment: Environment = _module(spec.type).create(spec)
    return environment


def describe(spec: EnvironmentSpec) -> EnvironmentInfo:
    """What the environment is, without starting it; `spec` comes from `resolve`."""
    info: EnvironmentInfo = _module(spec.type).info(spec)
    return info


def imported_early(spec: EnvironmentSpec) -> list[str]:
    """Modules that a process may import before it is copied, so that each copy need not."""
    return list(getattr(_module(spec.type), "IMPORTED_EARLY", ()))


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        close = nearest(name, _MODULES)
        hint = f"did you mean {' or '.join(close)}?" if close else f"environments: {', '.join(_MODULES)}"
        raise SimulationError(f"unknown environment {name!r}", hint=hint)
    return importlib.import_module(_MODULES[name])


def _check_observations(
    environment: str, wanted: dict[str, tuple[int, ...]], offered: dict[str, tuple[int, ...] | None]
) -> None:
    """`offered` maps a name to its shape, or to None for an image, which comes in any size."""
    for name, shape in wanted.items():
        if name not in offered:
            similar = [*nearest(name, offered), *offered][0]
            raise SimulationError(
                f"the policy reads {name!r}, which {environment} does not give: it has {', '.join(offered)}",
                hint=f'if two names mean the same: --rename_map=\'{{"{similar}": "{name}"}}\'',
            )
        expected = offered[name]
        image_shape = len(shape) == 3 and shape[0] == 3
        if (expected is None and not image_shape) or (expected is not None and tuple(shape) != expected):
            gives = "an image (3, height, width)" if expected is None else f"shape {expected}"
            raise SimulationError(
                f"{name} does not fit: the policy reads shape {tuple(shape)}, {environment} gives {gives}",
                hint="was the policy trained on demonstrations of this environment?",
            )
