"""Registering: check, trace, look whether it is there already, upload, and create the version last."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etude.errors import EtudeError, RegistryError, UsageError
from etude.registry.base import Facts, ModelVersion, Registry
from etude.registry.candidate import Candidate, find_candidate, seal_of
from etude.registry.lineage import FOLDER, Lineage
from etude.registry.reference import check_name
from etude.registry.structure import check_structure
from etude.registry.tracing import Traced, trace

__all__ = ["Registered", "register", "register_run"]


@dataclass(frozen=True)
class Registered:
    """What came of it.

    Attributes:
        was_there: the same content was registered before; `version` is that one.
        loaded: whether the policy was loaded, or only its files were looked at.
        candidate: what was registered.
        evaluated_since: the version that was there knows another evaluation than the run folder does now.
    """

    version: ModelVersion
    lineage: Lineage
    candidate: Candidate
    was_there: bool
    loaded: bool
    evaluated_since: bool = False


def register_run(
    registry: Registry,
    name: str,
    run: Path,
    *,
    step: str | None = None,
    loads: Callable[[Path], None] | None = None,
    tags: Mapping[str, str] | None = None,
    evaluation: Path | None = None,
) -> Registered:
    """Register a run's `best` checkpoint, or `last` where none is best: what a training does at its end.

    See `register`.
    """
    return register(registry, name, find_candidate(run, step), loads=loads, tags=tags or {}, evaluation=evaluation)


def register(
    registry: Registry,
    name: str,
    candidate: Candidate,
    *,
    loads: Callable[[Path], None] | None = None,
    tags: Mapping[str, str] | None = None,
    evaluation: Path | None = None,
    source: str | None = None,
    force_new: bool = False,
) -> Registered:
    """Make a version of the model `name`, with its lineage. The same content again gives the version that is there.

    Args:
        loads: loads the policy in a folder, and raises an `EtudeError` where it cannot; None looks at files only.
        tags: the user's own.
        evaluation: see `trace`.
        source: an address where the candidate's files are already, to upload nothing.
        force_new: make a version even if the same content has one.

    Raises:
        RegistryError: the checkpoint is not whole or does not load, or the registry refuses.
        UsageError: a name or a tag that registries do not take.
    """
    check_name(name)
    _check_tags(tags or {})
    versions = registry.versions(name)  # first: a registry that is not there is known before minutes of loading
    _insist_on_a_policy(candidate, loads)
    traced = trace(candidate, evaluation)
    same = next((item for item in versions if item.digest == traced.lineage.digest), None)
    if same is not None and not force_new:
        known = same.lineage or traced.lineage
        since = bool(traced.lineage.evaluation) and known.evaluation != traced.lineage.evaluation
        return Registered(same, known, candidate, True, loads is not None, since)
    with staged(candidate, traced, name, with_documents=source is None) as (folder, lineage):
        facts = Facts.of(lineage, tags or {}, registry.longest_fact)
        version = registry.publish(name, folder, lineage, facts, source)
    return Registered(version, lineage, candidate, False, loads is not None)


def _insist_on_a_policy(candidate: Candidate, loads: Callable[[Path], None] | None) -> None:
    candidate.verify()
    check_structure(candidate.folder)
    if loads is None:
        return
    try:
        loads(candidate.folder)
    except RegistryError:
        raise
    except EtudeError as error:
        raise RegistryError(f"not registered, because it does not load: {error.message}", hint=error.hint) from error


@contextlib.contextmanager
def staged(candidate: Candidate, traced: Traced, name: str, *, with_documents: bool) -> Iterator[tuple[Path, Lineage]]:
    """A folder called `name` with the candidate's files (as links) and the documents of its lineage.

    Its content is the same for the same lineage, so that an upload that was interrupted is recognised.
    """
    lineage = traced.lineage
    parent = Path(tempfile.mkdtemp(prefix="etude-register-"))
    try:
        folder = parent / name
        for file in lineage.files:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(candidate.folder / file, target)
        if with_documents:
            lineage = _write_documents(folder / FOLDER, traced)
        yield folder, lineage
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _place(source: Path, target: Path) -> None:
    """A hard link where the disk allows one: uploaders read it like any file, and it takes no space."""
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source.resolve())


def _write_documents(folder: Path, traced: Traced) -> Lineage:
    folder.mkdir()
    files = dict(traced.lineage.files)
    for name, document in sorted(traced.documents.items()):
        _write(folder / name, document)
        files[f"{FOLDER}/{name}"] = seal_of(folder / name)
    lineage = dataclasses.replace(traced.lineage, files=files)
    _write(folder / "lineage.json", lineage.to_dict())
    return lineage


def _write(file: Path, document: object) -> None:
    file.write_text(json.dumps(document, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if key.startswith(("etude.", "mlflow.", "azureml.")):
            raise UsageError(
                f"--tag {key}=…: names that begin with {key.split('.')[0]}. are taken", hint="choose another name"
            )
        if not key or len(key) > 100 or len(value) > 900:
            raise UsageError(
                f"--tag {key}={value[:20]}…: a name has 1 to 100 characters, a value at most 900", hint="shorten it"
            )
