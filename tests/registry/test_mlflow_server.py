"""Models on a real MLflow server: files go through it, not to a folder of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from etude.errors import RegistryError
from etude.registry import download, find, parse_reference, register_run
from etude.registry.mlflow_registry import MlflowRegistry
from etude.runs.folder import RunFolder
from tests.registry.handmade import make_run, save_rollouts
from tests.tracking.tracking_helpers import MlflowServer

pytestmark = pytest.mark.slow  # the server takes half a minute to start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow-server"))
    server.start()
    yield server
    server.kill()


def test_a_run_becomes_a_version_and_comes_back(server: MlflowServer, run: RunFolder, tmp_path: Path) -> None:
    save_rollouts(run, 100, 0.8)
    registry = MlflowRegistry(server.uri)
    made = register_run(registry, "drawer", run.root)
    assert made.version.source.startswith("mlflow-artifacts:")
    assert register_run(registry, "drawer", run.root).was_there
    found = find(registry, parse_reference("models:/drawer@latest"))
    assert found.lineage == made.lineage
    got = download(registry, found, tmp_path / "got")
    assert (got.verified, got.files) == (True, len(made.lineage.files))
    weights = run.checkpoints.named("best").pretrained_model / "model.safetensors"  # type: ignore[union-attr]
    assert (tmp_path / "got" / "model.safetensors").read_bytes() == weights.read_bytes()


def test_the_files_lie_with_the_run_that_trained_it(server: MlflowServer, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server.uri)
    tracked = client.create_run(client.create_experiment("arms"))
    tracking = {"mlflow": {"uri": server.uri, "experiment": "arms", "run_id": tracked.info.run_id}}
    run = make_run(tmp_path / "run", tracking=tracking)
    registry = MlflowRegistry(server.uri)
    made = register_run(registry, "with-its-run", run.root)
    assert client.get_model_version("with-its-run", "1").run_id == tracked.info.run_id
    assert download(registry, made.version, tmp_path / "got").verified


def test_a_server_that_takes_connections_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        registry = MlflowRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(RegistryError, match="does not answer"):
            registry.names()


def test_what_is_no_mlflow_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import functools
    import http.server
    import threading

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(RegistryError, match=r"MLflow at http://127\.0\.0\.1:\d+ refuses"):
            MlflowRegistry(f"http://127.0.0.1:{other.server_port}").names()
        other.shutdown()
