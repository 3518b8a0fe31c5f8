"""What a model registry can do. Everything else is built on these few methods, once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from etude.registry.lineage import DIGEST, Lineage, facts_of, lineage_from
from etude.registry.reference import spell

__all__ = ["Facts", "ModelVersion", "Registry", "latest_first"]


@dataclass(frozen=True)
class Facts:
    """What is written beside a version's files.

    Attributes:
        tags: for people, and to be searched.
        properties: the lineage, in pieces that the registry takes.
    """

    tags: dict[str, str]
    properties: dict[str, str]

    @classmethod
    def of(cls, lineage: Lineage, tags: Mapping[str, str], longest: int) -> Facts:
        """The lineage's facts and the user's own tags."""
        readable, pieces = facts_of(lineage, longest)
        return cls({**readable, **tags}, pieces)


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model in a registry.

    Attributes:
        kind: of the registry, "mlflow" or "azureml".
        created_at: ISO 8601, UTC.
        source: the address of its files.
        facts: tags and properties together.
    """

    kind: str
    name: str
    version: str
    created_at: str
    source: str
    aliases: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """As the commands take it."""
        return spell(self.kind, self.name, self.version)

    @property
    def digest(self) -> str | None:
        """Of the content; None where somebody else registered it."""
        return self.facts.get(DIGEST)

    @property
    def lineage(self) -> Lineage | None:
        """Where it comes from; None where somebody else registered it."""
        return lineage_from(self.facts)

    @property
    def tags(self) -> dict[str, str]:
        """Those of people, without ours."""
        return {name: value for name, value in self.facts.items() if not name.startswith(("etude.", "mlflow."))}


def latest_first(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """By number where versions are numbers, else by time."""

    def age(version: ModelVersion) -> tuple[int, str, str]:
        return (int(version.version) if version.version.isdigit() else -1, version.created_at, version.version)

    return sorted(versions, key=age, reverse=True)


class Registry(Protocol):
    """A store of models by name and version.

    Attributes:
        kind: "mlflow" or "azureml".
        title: for sentences, "MLflow at ADDRESS".
        longest_fact: characters in one tag or property.

    Every method raises `RegistryError` where the registry cannot be reached or refuses.
    """

    kind: str
    title: str
    longest_fact: int

    def names(self) -> list[str]:
        """Every model, sorted."""
        ...

    def versions(self, name: str) -> list[ModelVersion]:
        """The versions of a model, latest first; none for a name that is not there."""
        ...

    def publish(self, name: str, folder: Path, lineage: Lineage, facts: Facts, source: str | None) -> ModelVersion:
        """Upload, and only then create the version, in one request. What an interrupted call left is used again.

        Args:
            folder: with the files that the lineage names.
            source: an address where the same files are already, to upload nothing.
        """
        ...

    def files(self, version: ModelVersion) -> dict[str, int]:
        """The version's files and their sizes, bytes."""
        ...

    def read(self, version: ModelVersion, file: str, target: Path) -> None:
        """Copy one file to `target`. What an interrupted call left there may be used."""
        ...
