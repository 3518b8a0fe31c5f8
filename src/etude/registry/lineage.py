"""Where a model comes from: what every version in a registry carries, and how it is spelled in tags."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FOLDER", "FileSeal", "Lineage", "content_digest", "facts_of", "lineage_from"]

FOLDER = "lineage"
"""Files of ours lie in this folder, beside those of LeRobot."""

SCHEMA = 1
PREFIX = "etude."
DIGEST = f"{PREFIX}digest"
_PART = f"{PREFIX}lineage."


@dataclass(frozen=True)
class FileSeal:
    """What a file must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Lineage:
    """Everything that led to a model.

    Attributes:
        digest: SHA-256 over the names and hashes of the checkpoint's files; the same content has the same.
        files: of the version, by their path in it; all but `lineage/lineage.json`.
        checkpoint: `step`, `named` ("best", "last" or None), `seal` (SHA-256 of `checkpoint.json`), `run_folder`.
        run: `name`, `kind`, `status`, `created_at`, `steps`.
        policy: `type`, and what it was fine-tuned from (`base`).
        dataset: `repo_id`, `version`, `fingerprint`, `episodes`, `frames`, `fps`.
        tracking: `mlflow` {`uri`, `experiment`, `run_id`}, `wandb` {`project`, `entity`, `run_id`}.
        evaluation: `kind`, `environment`, `episodes`, `success_rate` with its interval, or the errors of a replay.
    """

    digest: str
    files: dict[str, FileSeal]
    checkpoint: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def stamp(self) -> str:
        """SHA-256 over all that is said here: two versions of the same content may have other evaluations."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """One line of JSON, the same for the same lineage."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(seal.bytes for seal in self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in `lineage/lineage.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Lineage:
        """Read plain data; fields that a later version added are left out.

        Raises:
            ValueError: it is no lineage.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        given = {name: value for name, value in payload.items() if name in known}
        try:
            given["files"] = {str(name): FileSeal(**seal) for name, seal in dict(given["files"]).items()}
            return cls(**given)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no lineage: {error}") from error


def content_digest(files: Mapping[str, FileSeal]) -> str:
    """SHA-256 over the names and hashes of the checkpoint's own files; ours do not count."""
    own = sorted((name, seal.sha256) for name, seal in files.items() if not name.startswith(f"{FOLDER}/"))
    return hashlib.sha256("\n".join(f"{sha256}  {name}" for name, sha256 in own).encode()).hexdigest()


def facts_of(lineage: Lineage, longest: int) -> tuple[dict[str, str], dict[str, str]]:
    """A version's tags for people, and the whole lineage in pieces for `lineage_from`.

    Args:
        longest: characters that the registry takes in one value.
    """
    rate = lineage.evaluation.get("success_rate") or {}
    readable = {
        "digest": lineage.digest,
        "step": lineage.checkpoint.get("step"),
        "policy": lineage.policy.get("type"),
        "dataset": lineage.dataset.get("repo_id"),
        "dataset_version": lineage.dataset.get("version"),
        "dataset_fingerprint": lineage.dataset.get("fingerprint"),
        "run": lineage.run.get("name"),
        "git_commit": lineage.git.get("commit"),
        "mlflow_run_id": lineage.tracking.get("mlflow", {}).get("run_id"),
        "success_rate": f"{rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]" if rate else None,
    }
    text = lineage.to_text()
    pieces = [text[start : start + longest] for start in range(0, len(text), longest)]
    tags = {f"{PREFIX}{name}": str(value)[:longest] for name, value in readable.items() if value is not None}
    return tags, {f"{_PART}{number:02d}": piece for number, piece in enumerate(pieces)}


def lineage_from(facts: Mapping[str, str]) -> Lineage | None:
    """The lineage in a version's tags and properties; None where somebody else registered it."""
    pieces = sorted((name, text) for name, text in facts.items() if name.startswith(_PART))
    if not pieces:
        return None
    try:
        return Lineage.from_dict(json.loads("".join(text for _, text in pieces)))
    except ValueError:
        return None
