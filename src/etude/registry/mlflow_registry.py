"""MLflow's model registry: a local database or a server. The only file of this room that imports its SDK.

A version's files lie among the artifacts of the run that trained it, where the registry knows that run, else of a
run of their own. They are uploaded first; the version is created last, in one request.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etude.config.mlflow_address import artifact_location, mlflow_uri, sqlite_file
from etude.errors import RegistryError
from etude.extras import require
from etude.registry.base import Facts, ModelVersion, latest_first
from etude.registry.lineage import Lineage
from etude.secrets.redaction import redact, split_credentials

__all__ = ["MlflowRegistry"]

EXPERIMENT = "etude-models"
STAMP = "etude.registered"
PAGE = 200
FIRST_TRY = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4"}
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


class MlflowRegistry:
    """Models in MLflow.

    Args:
        address: as `mlflow_uri` takes it; credentials in it are used and never written.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    kind = "mlflow"

    def __init__(self, address: str | None = None) -> None:
        require("mlflow", extra="tracking")
        self._uri, user, password = split_credentials(mlflow_uri(address))
        given = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        self._credentials = {name: value for name, value in given.items() if value}
        self._connected: Any = None
        self.title = f"MLflow at {redact(self._uri)}"
        # Azure ML takes 1000 characters; older servers 5000.
        self.longest_fact = 900 if self._uri.startswith("azureml") else 4500

    def names(self) -> list[str]:
        """Every model, sorted."""
        if self._is_unborn():
            return []
        with self._asking() as client:
            return sorted(item.name for item in _every(client.search_registered_models))

    def versions(self, name: str) -> list[ModelVersion]:
        """The versions of a model, latest first; none for a name that is not there."""
        if self._is_unborn():
            return []
        from mlflow.exceptions import MlflowException

        quote = '"' if "'" in name else "'"
        with self._asking() as client:
            try:
                model = client.get_registered_model(name)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
                    return []
                raise
            found = list(_every(client.search_model_versions, filter_string=f"name={quote}{name}{quote}"))
        aliases: dict[str, list[str]] = {}
        for alias, version in (model.aliases or {}).items():
            aliases.setdefault(str(version), []).append(alias)
        return latest_first(_version(item, aliases.get(str(item.version), ())) for item in found)

    def publish(self, name: str, folder: Path, lineage: Lineage, facts: Facts, source: str | None) -> ModelVersion:
        """See `Registry.publish`."""
        with self._asking(create=True) as client:
            run_id = None
            if source is None:
                run = self._home(client, name, lineage)
                run_id = run.info.run_id
                place = f"models/{lineage.digest[:16]}-{lineage.stamp()[:8]}"
                self._upload(client, run_id, place, folder)
                source = f"{run.info.artifact_uri.rstrip('/')}/{place}"
            self._ensure_model(client, name)
            created = client.create_model_version(
                name, source, run_id=run_id, tags={**facts.tags, **facts.properties}, await_creation_for=0
            )
        return _version(created, ())

    def files(self, version: ModelVersion) -> dict[str, int]:
        """The version's files and their sizes, bytes."""
        with self._asking() as client:
            return _sizes(self._artifacts(client, version))

    def read(self, version: ModelVersion, file: str, target: Path) -> None:
        """Copy one file to `target`; MLflow cannot continue within a file."""
        with self._asking() as client:
            root = target
            for _ in Path(file).parts:
                root = root.parent  # MLflow keeps the folders that the name has
            self._artifacts(client, version).download_artifacts(file, str(root))

    # uploading

    def _home(self, client: Any, name: str, lineage: Lineage) -> Any:
        """The run that keeps the files: the one that trained the model, or one for this content."""
        tracked = lineage.tracking.get("mlflow", {})
        if tracked.get("run_id") and tracked.get("uri") == redact(self._uri):
            run = _run(client, tracked["run_id"])
            if run is not None:
                return run
        experiment = self._experiment(client)
        condition = f"tags.`{STAMP}` = '{lineage.digest}'"
        found = client.search_runs([experiment], filter_string=condition, max_results=1)
        if found:
            return found[0]
        run = client.create_run(experiment, tags={STAMP: lineage.digest}, run_name=name)
        client.set_terminated(run.info.run_id)
        return run

    def _experiment(self, client: Any) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                location = artifact_location(self._uri, EXPERIMENT)
                return str(client.create_experiment(EXPERIMENT, artifact_location=location))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(EXPERIMENT)  # somebody else was faster
        if found is None or found.lifecycle_stage == "deleted":
            raise RegistryError(
                f"the experiment {EXPERIMENT!r}, which keeps models' files, was deleted ({self.title})",
                hint=f"restore it: mlflow experiments restore --experiment-id {getattr(found, 'experiment_id', 'ID')}",
            )
        return str(found.experiment_id)

    def _upload(self, client: Any, run_id: str, place: str, folder: Path) -> None:
        """Send what is not there yet. A file that was cut off has another size, and is sent again."""
        there = _sizes(_repository(f"runs:/{run_id}/{place}", self._uri))
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and there.get(name) != path.stat().st_size:
                inside = path.parent.relative_to(folder).as_posix()
                client.log_artifact(run_id, str(path), place if inside == "." else f"{place}/{inside}")

    def _ensure_model(self, client: Any, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    # talking

    def _artifacts(self, client: Any, version: ModelVersion) -> Any:
        return _repository(client.get_model_version_download_uri(version.name, version.version), self._uri)

    def _is_unborn(self) -> bool:
        """A local database that nobody made yet: to ask is no reason to make one."""
        file = sqlite_file(self._uri)
        return file is not None and not file.is_file()

    @contextlib.contextmanager
    def _asking(self, *, create: bool = False) -> Iterator[Any]:
        """A client, in an environment with our patience and the credentials; what it raises becomes one sentence.

        Raises:
            RegistryError: MLflow cannot be reached, or refuses.
        """
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        self._check_database(create=create)
        try:
            with _environment({**_unset({**PATIENCE, **QUIET}), **self._credentials}):
                yield self._client()
        except (MlflowException, RequestException, SQLAlchemyError) as error:
            raise _told(error, self.title) from error

    def _client(self) -> Any:
        """Connected once, with little patience: a server that is not there must be known soon."""
        if self._connected is None:
            from mlflow import MlflowClient

            for talkative in ("mlflow", "alembic"):
                logging.getLogger(talkative).setLevel(logging.WARNING)
            client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
            with _environment(_unset(FIRST_TRY, but=PATIENCE)):
                client.search_registered_models(max_results=1)
            self._connected = client
        return self._connected

    def _check_database(self, *, create: bool) -> None:
        """SQLite would be tried for minutes."""
        file = sqlite_file(self._uri)
        if file is None or file.is_file():
            return
        if not (create and file.parent.is_dir()):
            raise RegistryError(
                f"there is no MLflow database {file}",
                hint="name another one, or a server: --mlflow.tracking_uri=http://host:5000",
            )


def _version(item: Any, aliases: Any) -> ModelVersion:
    created = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
    return ModelVersion(
        kind="mlflow",
        name=item.name,
        version=str(item.version),
        created_at=created,
        source=redact(str(item.source or "")),
        aliases=tuple(sorted(aliases)),
        facts={str(key): str(value) for key, value in (item.tags or {}).items()},
    )


def _run(client: Any, run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage != "deleted" else None


def _repository(uri: str, tracking_uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=tracking_uri)


def _sizes(repository: Any) -> dict[str, int]:
    """Every file below a place, with its size."""
    found: dict[str, int] = {}
    folders: list[str | None] = [None]
    while folders:
        for item in repository.list_artifacts(folders.pop()):
            if item.is_dir:
                folders.append(item.path)
            else:
                found[item.path] = int(item.file_size or 0)
    return found


def _every(search: Any, **conditions: Any) -> Iterator[Any]:
    """All pages of a search."""
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **conditions)
        yield from page
        token = page.token
        if not token:
            return


def _unset(variables: Mapping[str, str], but: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those that the user has not set; `but` are values of our own, which do not count as set."""
    return {name: value for name, value in variables.items() if os.environ.get(name) in (None, (but or {}).get(name))}


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables for a while: MLflow reads its settings nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _told(error: Exception, title: str) -> RegistryError:
    text = redact(str(error).strip())
    first = (text.splitlines() or [type(error).__name__])[0]
    code = getattr(error, "error_code", "")
    if code == "UNAUTHENTICATED" or re.search(r"\b401\b", first):
        return RegistryError(f"{title} wants a login", hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if code == "PERMISSION_DENIED" or re.search(r"\b403\b", first):
        return RegistryError(f"{title} does not permit this: {first[:200]}")
    if any(sign in text for sign in ("Max retries exceeded", "Connection refused", "timed out", "ConnectionError")):
        return RegistryError(
            f"{title} does not answer", hint="is it running? another address: --mlflow.tracking_uri=http://host:5000"
        )
    return RegistryError(f"{title} refuses: {first[:200]}")
