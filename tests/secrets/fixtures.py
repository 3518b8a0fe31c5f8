"""The cloud with a vault, and this process as a user of it: fixtures for the tests of this room and of its command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from etude.secrets import redaction
from etude.secrets.keyvault import open_vault
from tests.secrets.cloud import VARIABLES, Cloud, open_cloud

__all__ = ["Enter", "cloud", "enter", "fresh_process", "started_cloud"]

Enter = Callable[[Mapping[str, str]], None]


@pytest.fixture(scope="session")
def started_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with open_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No login, no `az`, nothing remembered: neither from this machine nor from the test before."""
    home = tmp_path_factory.mktemp("home")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(home))
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME", "AZURE_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    monkeypatch.setattr(redaction, "_remembered", {})
    open_vault.cache_clear()
    yield
    open_vault.cache_clear()


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Become a process with these variables."""

    def become(environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        open_vault.cache_clear()

    return become


@pytest.fixture
def cloud(started_cloud: Cloud, enter: Enter) -> Iterator[Cloud]:
    """The cloud, for a process with a login that may use the vault."""
    enter(started_cloud.login("secrets"))
    yield started_cloud
    started_cloud.faults.clear()
