"""From a reference to the version it means, or to the nearest names."""

from __future__ import annotations

from etude.errors import RegistryError, nearest
from etude.registry.base import ModelVersion, Registry
from etude.registry.reference import LATEST, ModelReference

__all__ = ["find", "versions_of"]


def versions_of(registry: Registry, name: str) -> list[ModelVersion]:
    """The versions of a model that exists, latest first.

    Raises:
        RegistryError: there is no such model; the nearest names are shown.
    """
    found = registry.versions(name)
    if found:
        return found
    names = registry.names()
    if name in names:
        raise RegistryError(
            f"the model {name!r} has no version yet ({registry.title})", hint=f"etude models register {name} RUN"
        )
    close = nearest(name, names)
    hint = "`etude models list` shows what there is" if names else "`etude models register NAME RUN` makes the first"
    raise RegistryError(
        f"there is no model {name!r} ({registry.title})", hint=f"did you mean {' or '.join(close)}?" if close else hint
    )


def find(registry: Registry, reference: ModelReference) -> ModelVersion:
    """The version that a reference means.

    Raises:
        RegistryError: there is none; the nearest names, versions or aliases are shown.
    """
    versions = versions_of(registry, reference.name)
    if reference.alias is not None:
        return _aliased(versions, reference, registry)
    found = next((item for item in versions if item.version == reference.version), None)
    if found is not None:
        return found
    have = [item.version for item in versions]
    close = nearest(reference.version or "", have) or have[:3]
    raise RegistryError(
        f"the model {reference.name!r} has no version {reference.version} ({registry.title})",
        hint=f"it has {', '.join(close)}" + (f", … ({len(have)} in all)" if len(have) > len(close) else ""),
    )


def _aliased(versions: list[ModelVersion], reference: ModelReference, registry: Registry) -> ModelVersion:
    alias = reference.alias or LATEST
    found = next((item for item in versions if alias in item.aliases), None)
    if found is not None:
        return found
    if alias == LATEST:
        return versions[0]
    known = [LATEST, *sorted({name for item in versions for name in item.aliases})]
    close = nearest(alias, known) or known
    raise RegistryError(
        f"the model {reference.name!r} has no alias {alias!r} ({registry.title})",
        hint=f"did you mean {' or '.join(f'@{name}' for name in close)}?",
    )
