"""`etude evaluate --env.type=NAME`: roll a policy out in simulation, and compare it with another."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.evaluate_arguments import RolloutArguments, parse
from etude.cli.evaluate_environments import started_environments
from etude.cli.evaluate_output import RolloutProgress, comparison_summary, rollout_summary
from etude.cli.evaluate_places import result_folder, run_of
from etude.errors import CheckpointError, EtudeError, UsageError
from etude.runs.atomic import atomic_directory
from etude.runs.folder import RunFolder

if TYPE_CHECKING:
    from etude.policies import LoadedPolicy
    from etude.runs.results import ComparisonResult, RolloutResult
    from etude.simulation import Environments, EnvironmentSpec

__all__ = ["main", "record_evaluation"]


def main(argv: Sequence[str]) -> int:
    """Evaluate one policy, or two on the same seeds; print the rates and write the results."""
    arguments = parse(argv)
    if arguments.compare is None:
        result, folder, _ = _evaluate(arguments, arguments.policy, argv)
        print(_as_json(result, folder) if arguments.json else rollout_summary(result, folder, run_of(folder)))
        return 0
    first, _, spec = _evaluate(arguments, arguments.policy, argv, label="first")
    second, _, _ = _evaluate(arguments, arguments.compare, argv, label="second", spec=spec)
    from etude.evaluation.comparison import compare

    comparison = compare(first, second, ["etude", "evaluate", *argv])
    folder = result_folder(arguments.output_dir, run_of(arguments.policy), "comparison", taken_ok=True)
    comparison.save(folder)
    _record(folder, comparison)
    print(_as_json(comparison, folder) if arguments.json else comparison_summary(comparison, folder))
    return 0


def _evaluate(
    arguments: RolloutArguments,
    policy_path: str,
    argv: Sequence[str],
    *,
    label: str = "",
    spec: EnvironmentSpec | None = None,
) -> tuple[RolloutResult, Path, EnvironmentSpec]:
    """Load a policy, roll it out, and write its result folder."""
    from etude.policies import find_policy, load_policy
    from etude.simulation import resolve

    run = run_of(policy_path)
    # Names are checked before the weights are loaded.
    environment = spec or _environment(arguments, policy_path, run)
    resolve(dataclasses.replace(environment, observations={}))
    location = find_policy(policy_path, arguments.checkpoint)
    with started_environments(arguments, environment, location) as environments:
        loaded = load_policy(location, arguments.device, overrides=arguments.overrides, rename_map=arguments.rename_map)
        name = f"{environment.type}-{environment.task}" if environment.task else environment.type
        target = result_folder(arguments.output_dir, run, _name(name, loaded), label)
        result = _roll_out(arguments, loaded, environment, environments, target, label, argv)
    _record(target, result)
    return result, target, environment


def _roll_out(
    arguments: RolloutArguments,
    loaded: LoadedPolicy,
    spec: EnvironmentSpec,
    environments: Environments | None,
    target: Path,
    label: str,
    argv: Sequence[str],
) -> RolloutResult:
    """Roll a policy out and write its result folder."""
    from etude.evaluation.rollouts import evaluate_policy, observations_read_by

    if environments is not None and environments.spec.observations != observations_read_by(
        loaded, arguments.rename_map
    ):
        environments = None  # the files promised something else
    with (
        atomic_directory(target) as temporary,
        RolloutProgress(arguments.episodes, label or "rollouts", quiet=arguments.json) as progress,
    ):
        result = evaluate_policy(
            loaded,
            spec,
            episodes=arguments.episodes,
            seed=arguments.seed,
            batch_size=arguments.batch_size,
            processes=arguments.processes,
            videos=min(arguments.videos, arguments.episodes),
            folder=temporary,
            progress=progress.update,
            rename_map=arguments.rename_map,
            environments=environments,
            command=["etude", "evaluate", *argv],
        )
        result.save(temporary)
    return result


def _environment(arguments: RolloutArguments, policy_path: str, run: RunFolder | None) -> EnvironmentSpec:
    """The environment that was asked for; what was not said comes from the demonstrations' origin.

    Raises:
        UsageError: no environment was named and none is recorded.
    """
    from etude.data.recording import read_origin
    from etude.simulation import EnvironmentSpec

    dataset = _dataset_of(policy_path, run)
    origin = read_origin(dataset) if dataset is not None else None
    recorded = (origin or {}).get("environment") or {}
    if run is not None and not recorded:
        recorded = run.manifest().dataset.get("environment") or {}
    kind = arguments.env_type or recorded.get("type")
    if kind is None:
        absent = not Path(policy_path).exists()
        raise UsageError(
            f"there is no folder {policy_path}; for a policy on the hub, name the environment"
            if absent
            else "which environment? The policy's demonstrations do not say",
            hint="pass --env.type=pusht, aloha or metaworld (with --env.task); or --dataset.root to replay recordings",
        )
    if recorded.get("type") != kind:
        recorded = {}
    shadows = arguments.shadows if arguments.shadows is not None else bool(recorded.get("shadows", True))
    return EnvironmentSpec(
        type=kind,
        task=arguments.env_task or recorded.get("task"),
        max_steps=arguments.max_steps,
        shadows=shadows,
    )


def _dataset_of(policy_path: str, run: RunFolder | None) -> Path | None:
    """The folder of the demonstrations that the policy learned from, if it is still there."""
    from etude.policies.location import TRAIN_CONFIG, find_policy

    roots = [run.manifest().dataset.get("root")] if run is not None else []
    if Path(policy_path).exists():
        try:
            config = find_policy(policy_path).read_json(TRAIN_CONFIG) or {}
        except CheckpointError:
            config = {}  # told properly when the policy is loaded
        roots.append((config.get("dataset") or {}).get("root"))
    return next((Path(root) for root in roots if root and Path(root).is_dir()), None)


def _name(environment: str, loaded: LoadedPolicy) -> str:
    return environment if loaded.step is None else f"{environment}-{loaded.step:06d}"


def _record(folder: Path, result: RolloutResult | ComparisonResult) -> None:
    run = run_of(folder)
    if run is not None:
        record_evaluation(run, result, folder)


def record_evaluation(run: RunFolder, result: Any, folder: Path) -> None:
    """Hand a result to the run's trackers; the evaluation never fails because of them."""
    try:
        tracking = importlib.import_module("etude.tracking")
        tracking.log_evaluation(run, result, folder)
    except (ImportError, EtudeError, OSError) as error:
        print(f"note: the evaluation was not sent to the tracker: {error}", file=sys.stderr)


def _as_json(result: RolloutResult | ComparisonResult, folder: Path) -> str:
    return json.dumps({**dataclasses.asdict(result), "folder": str(folder)}, indent=2)
