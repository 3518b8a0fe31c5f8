"""Every error a user can cause, with the next thing to do.

    EtudeError                 exit code 1
    ├── UsageError             2   a flag, a config key or a value that is not allowed
    ├── MissingExtraError      3   an optional library that is not installed
    ├── DatasetError           4   demonstrations that are absent, broken or do not fit
    ├── CheckpointError        5   a checkpoint that is absent, broken or does not fit
    ├── RunFolderError         6   a run folder that exists already, or is not one
    ├── StorageError           7   no space, no permission
    ├── DeviceError            8   a device that this machine does not have
    ├── TrainingError          9   the optimisation itself went wrong (NaN)
    ├── SimulationError       10   an environment that is unknown or cannot run here
    ├── TrackingError         11   a tracking server that was asked for and refused
    ├── PlatformError         12   a platform that cannot be reached, or that refuses
    ├── SecretError           13   a secret that is missing, or may not be read
    ├── JobError              14   a job that is not known, or is not in the state that was asked for
    └── RegistryError         15   a model registry that refuses, or a model that may not be registered

The command line prints `error: MESSAGE`, then the hint, and exits with the code. No traceback reaches a user.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "DatasetError",
    "DeviceError",
    "EtudeError",
    "JobError",
    "MissingExtraError",
    "PlatformError",
    "RegistryError",
    "RunFolderError",
    "SecretError",
    "SimulationError",
    "StorageError",
    "TrackingError",
    "TrainingError",
    "UsageError",
    "nearest",
]


class EtudeError(Exception):
    """A problem that a user can act on.

    Args:
        message: what was given and why it is refused, in one sentence.
        hint: what to do next, ideally a command to type.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EtudeError):
    exit_code = 2


class MissingExtraError(EtudeError):
    exit_code = 3


class DatasetError(EtudeError):
    exit_code = 4


class CheckpointError(EtudeError):
    exit_code = 5


class RunFolderError(EtudeError):
    exit_code = 6


class StorageError(EtudeError):
    exit_code = 7


class DeviceError(EtudeError):
    exit_code = 8


class TrainingError(EtudeError):
    exit_code = 9


class SimulationError(EtudeError):
    exit_code = 10


class TrackingError(EtudeError):
    exit_code = 11


class PlatformError(EtudeError):
    exit_code = 12


class SecretError(EtudeError):
    exit_code = 13


class JobError(EtudeError):
    exit_code = 14


class RegistryError(EtudeError):
    exit_code = 15


def nearest(given: str, allowed: Iterable[str], count: int = 3) -> list[str]:
    """The allowed names that look most like the given one, best first."""
    names = list(allowed)
    folded = {name.replace("-", "_").lower(): name for name in names}
    close = difflib.get_close_matches(given.replace("-", "_").lower(), folded, n=count, cutoff=0.5)
    return [folded[name] for name in close]
