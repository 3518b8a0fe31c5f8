"""The emulator as a fixture: `from tests.emulators.azureml.fixtures import azureml`."""

from __future__ import annotations

import atexit
import functools
from collections.abc import Iterator

import pytest

from tests.emulators.azureml.azurite import AzuriteMissingError
from tests.emulators.azureml.emulator import AzureMLEmulator

__all__ = ["azureml"]


@functools.cache
def shared_emulator() -> AzureMLEmulator:
    """One for the whole test process. A session's fixture would be one for every file that imports it."""
    emulator = AzureMLEmulator(grace_s=3.0)
    atexit.register(emulator.close)
    emulator.add_compute("gpu-cluster")
    gpu = {"resources": {"requests": {"cpu": "4"}, "limits": {"nvidia.com/gpu": 1}}}
    emulator.add_compute("k8s-gpu", "Kubernetes", instance_types={"gpuspot": gpu, "gpu": gpu})
    return emulator


@pytest.fixture
def azureml() -> Iterator[AzureMLEmulator]:
    """The emulator, with this process's environment pointing at it, and no fault left of the test before.

    What was submitted and registered before is still there: take names of your own.
    """
    try:
        emulator = shared_emulator()
    except AzuriteMissingError as missing:
        pytest.skip(str(missing))
    emulator.faults.clear()
    with emulator.in_this_process():
        yield emulator
    emulator.faults.clear()
