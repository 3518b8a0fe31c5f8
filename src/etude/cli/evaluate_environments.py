"""The environments of `etude evaluate`: how many, in how many processes, and started while the policy is loaded."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

from etude.cli.evaluate_arguments import RolloutArguments

if TYPE_CHECKING:
    from etude.policies.location import PolicyLocation
    from etude.simulation import Environments, EnvironmentSpec

__all__ = ["started_environments"]


@contextlib.contextmanager
def started_environments(
    arguments: RolloutArguments, spec: EnvironmentSpec, location: PolicyLocation
) -> Iterator[Environments | None]:
    """Environments for the policy that lies there; None where its config alone does not tell what it reads.

    Processes start while the caller loads the policy, which takes longer.

    Raises:
        SimulationError: the environment does not give what the policy reads.
    """
    from etude.evaluation.layout import choose_layout
    from etude.simulation import make_environments

    read = _observations(arguments, location)
    if read is None:
        yield None
        return
    spec = dataclasses.replace(spec, observations=read)
    layout = choose_layout(spec, arguments.episodes, arguments.batch_size, arguments.processes)
    if not arguments.json:
        print(f"{layout} (--eval.batch_size and --eval.processes change that)", file=sys.stderr)
    environments = make_environments(spec, layout.environments, layout.processes)
    try:
        yield environments
    finally:
        environments.close()


def _observations(arguments: RolloutArguments, location: PolicyLocation) -> dict[str, tuple[int, ...]] | None:
    """What the policy reads, by its configuration files."""
    from etude.evaluation.rollouts import observations_read_by
    from etude.policies.location import CONFIG, PREPROCESSOR

    if any(name.startswith("input_features") for name in arguments.overrides):
        return None
    try:
        given = (location.read_json(CONFIG) or {})["input_features"]
        features = {name: SimpleNamespace(shape=tuple(feature["shape"])) for name, feature in given.items()}
        saved = (location.read_json(PREPROCESSOR) or {}).get("steps", [])
        steps = [SimpleNamespace(**step.get("config", {})) for step in saved]
        files = SimpleNamespace(
            config=SimpleNamespace(input_features=features), preprocessor=SimpleNamespace(steps=steps)
        )
        return observations_read_by(files, arguments.rename_map)
    except (KeyError, TypeError, AttributeError, ValueError):
        return None  # the loaded policy will tell
