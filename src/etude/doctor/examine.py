"""All the checks, quick ones first."""

from __future__ import annotations

from collections.abc import Iterator

from etude.doctor.finding import Finding
from etude.doctor.hardware import check_decoders, check_gpu, check_rendering
from etude.doctor.machine import check_disk, check_memory_and_cores
from etude.doctor.software import check_extras, check_ffmpeg, check_mlflow, check_python, check_versions
from etude.doctor.tokens import check_tokens
from etude.doctor.workspace import check_workspace

__all__ = ["examine"]


def examine() -> Iterator[Finding]:
    """Look at this machine, one finding after the other. Uses no network and changes nothing."""
    yield check_python()
    yield check_versions()
    yield check_extras()
    yield check_memory_and_cores()
    yield check_disk()
    yield check_mlflow()
    yield check_ffmpeg()
    yield from check_tokens()
    yield from check_workspace()
    yield check_decoders()
    yield check_rendering()
    yield check_gpu()
