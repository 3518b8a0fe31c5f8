"""Azure ML passes the tests of every platform, with real bundles that the emulated service runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("azure.ai.ml")

from etude.platforms.azureml.assets import push_data
from etude.platforms.azureml.context import resolve_context
from etude.platforms.azureml.platform import AzureML
from etude.platforms.handles import Handle
from etude.platforms.seam import Platform
from tests.emulators.azureml.emulator import AzureMLEmulator
from tests.emulators.azureml.fixtures import azureml
from tests.platforms.conformance import Conformance
from tests.platforms.jobs import until

__all__ = ["azureml"]

VALUE = "hush-9f8e7d6c5b4a"


@pytest.fixture
def platform(azureml: AzureMLEmulator) -> AzureML:
    # A node's image has the requirements already: nothing is installed.
    azureml.job_environment["ETUDE_PYTHON"] = sys.executable
    return AzureML(resolve_context({"compute": "gpu-cluster"}, os.environ, folder=Path("/nowhere")))


@pytest.fixture
def shared_input(platform: AzureML, tmp_path: Path) -> str:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "info.json").write_text("{}")
    return push_data(platform, "conformance", folder).reference


@pytest.fixture
def secret(azureml: AzureMLEmulator) -> tuple[str, str]:
    azureml.add_secret("the-token", VALUE)
    return f"keyvault://{azureml.workspace.vault}/the-token", VALUE


class TestAzureML(Conformance):
    tells_attempts = False

    @pytest.fixture(autouse=True)
    def _emulator(self, azureml: AzureMLEmulator) -> None:
        self.emulator = azureml

    def after_a_kill(self, platform: Platform, handle: Handle) -> None:
        """A command that dies is a failed job on Azure ML; what it starts again is a job whose node was taken."""
        until(lambda: platform.output_files(handle, "checkpoint"), "the first checkpoint in the storage")
        self.emulator.preempt(handle.name, grace_s=0.0)
