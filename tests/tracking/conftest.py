"""Servers, good and bad, and runs to track."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from tests.tracking.tracking_helpers import MlflowServer


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow-server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    for connection in kept:
        connection.close()


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., tuple[RunFolder, RunManifest]]:
    def make(name: str = "run") -> tuple[RunFolder, RunManifest]:
        run = RunFolder.create(tmp_path / "outputs" / name)
        manifest = RunManifest("imitation", name, ["etude", "train"], {"steps": 10})
        manifest.save(run.manifest_path)
        return run, manifest

    return make
