"""From a candidate to its lineage: what the run folder, the checkpoint and the evaluations say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.errors import RegistryError, RunFolderError
from etude.registry.candidate import Candidate
from etude.registry.lineage import FOLDER, Lineage, content_digest
from etude.runs.manifest import RunManifest
from etude.runs.results import ReplayResult, RolloutResult, load_result
from etude.secrets.redaction import redact_tree

__all__ = ["Traced", "trace"]

DATASET = ("repo_id", "fingerprint", "episodes", "frames", "fps")
RUN = ("name", "kind", "status", "created_at", "steps")
TRACKED = {"mlflow": ("uri", "experiment", "run_id"), "wandb": ("project", "entity", "run_id")}


@dataclass(frozen=True)
class Traced:
    """A lineage, and the documents that go with it into the registry.

    Attributes:
        documents: JSON by file name, for the folder `lineage/`.
    """

    lineage: Lineage
    documents: dict[str, Any] = field(default_factory=dict)


def trace(candidate: Candidate, evaluation: Path | None = None) -> Traced:
    """Say where a candidate comes from, as far as that is written down.

    Args:
        evaluation: a `result.json` or its folder; by default the newest in the run folder of this checkpoint.

    Raises:
        RegistryError: the evaluation cannot be read, or judges another checkpoint.
    """
    files = candidate.seals()
    digest = content_digest(files)
    carried = _carried(candidate, digest)
    judged = _given(evaluation, candidate.step) if evaluation else _newest(candidate)
    if carried is not None:
        return _with_evaluation(carried, judged)
    manifest = _manifest(candidate)
    config = redact_tree(manifest.config) if manifest else _read(candidate.folder / "train_config.json")
    lineage = Lineage(
        digest=digest,
        files=files,
        checkpoint=_without_none(
            step=candidate.step, named=candidate.named, seal=candidate.seal_digest(), run_folder=_run_name(candidate)
        ),
        run=_picked(manifest, RUN),
        policy=_policy(candidate, manifest),
        dataset=_dataset(manifest, config),
        git=dict(manifest.git) if manifest else {},
        packages=dict(manifest.packages) if manifest else {},
        tracking=_tracking(manifest),
    )
    return _with_evaluation(Traced(lineage, {"config.json": config} if config else {}), judged)


# the parts


def _manifest(candidate: Candidate) -> RunManifest | None:
    if candidate.run is None:
        return None
    try:
        return candidate.run.manifest()
    except RunFolderError as error:
        raise RegistryError(error.message, hint=error.hint) from error


def _policy(candidate: Candidate, manifest: RunManifest | None) -> dict[str, Any]:
    base = (manifest.lineage if manifest else {}).get("policy")
    return _without_none(type=_read(candidate.folder / "config.json").get("type"), base=base)


def _dataset(manifest: RunManifest | None, config: Mapping[str, Any]) -> dict[str, Any]:
    section = config.get("dataset")
    written = section if isinstance(section, Mapping) else {}
    recorded = manifest.dataset if manifest else {}
    facts = {name: recorded.get(name, written.get(name)) for name in DATASET}
    return _without_none(**facts, version=recorded.get("version") or written.get("revision"))


def _tracking(manifest: RunManifest | None) -> dict[str, Any]:
    recorded = manifest.tracking if manifest else {}
    return {
        tracker: _without_none(**{name: recorded[tracker].get(name) for name in names})
        for tracker, names in TRACKED.items()
        if recorded.get(tracker)
    }


def _run_name(candidate: Candidate) -> str | None:
    return candidate.run.root.resolve().name if candidate.run else None


# evaluations


def _with_evaluation(traced: Traced, judged: RolloutResult | ReplayResult | None) -> Traced:
    if judged is None:
        return traced
    lineage = dataclasses.replace(traced.lineage, evaluation=redact_tree(_summary(judged)))
    return Traced(lineage, {**traced.documents, "evaluation.json": redact_tree(dataclasses.asdict(judged))})


def _summary(result: RolloutResult | ReplayResult) -> dict[str, Any]:
    common = {"kind": result.kind, "created_at": result.created_at}
    if isinstance(result, RolloutResult):
        place = {name: result.environment.get(name) for name in ("type", "task")}
        return {
            **common,
            "environment": _without_none(**place),
            "episodes": len(result.episodes),
            "success_rate": dataclasses.asdict(result.success_rate),
            "mean_reward": dataclasses.asdict(result.mean_reward),
        }
    return {**common, "dataset": result.dataset.get("repo_id"), "mse": result.mse, "mae": result.mae}


def _given(path: Path, step: int | None) -> RolloutResult | ReplayResult:
    try:
        result = load_result(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"--evaluation {path} is no evaluation result: {error}",
            hint="name a result.json, or its folder: outputs/train/NAME/evaluations/…",
        ) from error
    if not isinstance(result, RolloutResult | ReplayResult):
        raise RegistryError(f"--evaluation {path} compares two policies", hint="name the evaluation of one")
    judged = result.policy.get("checkpoint_step")
    if step is not None and judged is not None and judged != step:
        raise RegistryError(
            f"--evaluation {path} judges checkpoint {judged}, not {step}", hint=f"register that one: --step {judged}"
        )
    return result


def _newest(candidate: Candidate) -> RolloutResult | ReplayResult | None:
    """The run's newest rollouts of this checkpoint, or else its newest replay."""
    if candidate.run is None or candidate.step is None:
        return None
    found = []
    for file in candidate.run.evaluations.glob("*/result.json"):
        try:
            result = load_result(file)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half of one, or of a later version: not what the model is judged by
        if isinstance(result, RolloutResult | ReplayResult) and result.policy.get("checkpoint_step") == candidate.step:
            found.append(result)
    return max(found, key=lambda item: (isinstance(item, RolloutResult), item.created_at), default=None)


# a lineage that came with the files


def _carried(candidate: Candidate, digest: str) -> Traced | None:
    """What `etude models download` wrote beside the files, where it is still about these files."""
    payload = _read(candidate.folder / FOLDER / "lineage.json")
    try:
        lineage = Lineage.from_dict(payload)
    except ValueError:
        return None
    if lineage.digest != digest:
        return None
    own = {name: seal for name, seal in lineage.files.items() if not name.startswith(f"{FOLDER}/")}
    documents = {name: _read(candidate.folder / FOLDER / name) for name in ("config.json", "evaluation.json")}
    return Traced(
        dataclasses.replace(lineage, files=own), {name: document for name, document in documents.items() if document}
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        payload = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _picked(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return _without_none(**{name: getattr(value, name, None) for name in names})


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
