"""The emulator as a fixture: `from tests.emulators.azureml.fixtures import azureml, azureml_service`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulators.azureml.azurite import AzuriteMissingError
from tests.emulators.azureml.emulator import AzureMLEmulator

__all__ = ["azureml", "azureml_service"]


@pytest.fixture(scope="session")
def azureml_service() -> Iterator[AzureMLEmulator]:
    """One emulator for all tests of a session, with a managed cluster and an attached one."""
    try:
        emulator = AzureMLEmulator(grace_s=3.0)
    except AzuriteMissingError as missing:
        pytest.skip(str(missing))
    with emulator:
        emulator.add_compute("gpu-cluster")
        gpu = {"resources": {"requests": {"cpu": "4"}, "limits": {"nvidia.com/gpu": 1}}}
        emulator.add_compute("k8s-gpu", "Kubernetes", instance_types={"gpuspot": gpu, "gpu": gpu})
        yield emulator


@pytest.fixture
def azureml(azureml_service: AzureMLEmulator) -> Iterator[AzureMLEmulator]:
    """The emulator, and this process's environment pointing at it; no fault waits from the test before."""
    azureml_service.faults.clear()
    with azureml_service.in_this_process():
        yield azureml_service
    azureml_service.faults.clear()
