"""The machine's load, sampled now and then: processor, memory, disk, GPUs. No CUDA context is made."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

__all__ = ["SystemSampler", "sample_system"]

GIB = 1024**3


class _GpuReader(Protocol):
    def read(self) -> list[tuple[float, float]]:
        """Utilisation in percent and used memory in GiB, of each GPU."""
        ...


class SystemSampler:
    """Calls `emit(metrics)` every `interval_s` seconds from a thread of its own, until `stop`."""

    def __init__(self, interval_s: float, folder: Path, emit: Callable[[dict[str, float]], None]) -> None:
        self._interval_s = interval_s
        self._folder = folder
        self._emit = emit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="system-metrics", daemon=True)

    def start(self) -> None:
        if self._interval_s > 0:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _work(self) -> None:
        gpus = _gpu_reader()
        sample_system(self._folder, gpus)  # the processor's load is measured between two calls
        while not self._stop.wait(self._interval_s):
            self._emit(sample_system(self._folder, gpus))


def sample_system(folder: Path, gpus: _GpuReader | None = None) -> dict[str, float]:
    """`system/*` values now; what this machine does not tell is left out.

    Args:
        folder: its disk's free space is measured.
    """
    metrics: dict[str, float] = {}
    with contextlib.suppress(ImportError):
        import psutil

        metrics["system/cpu_percent"] = psutil.cpu_percent(interval=None)
        metrics["system/memory_gib"] = psutil.virtual_memory().used / GIB
        metrics["system/process_memory_gib"] = psutil.Process().memory_info().rss / GIB
    with contextlib.suppress(OSError):
        metrics["system/disk_free_gib"] = shutil.disk_usage(folder).free / GIB
    for index, (utilisation, memory_gib) in enumerate(gpus.read() if gpus else []):
        metrics[f"system/gpu_{index}_percent"] = utilisation
        metrics[f"system/gpu_{index}_memory_gib"] = memory_gib
    return metrics


class _Nvml:
    """Through NVIDIA's management library, in-process and fast."""

    def __init__(self) -> None:
        import pynvml

        self._nvml: Any = pynvml
        pynvml.nvmlInit()
        self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]

    def read(self) -> list[tuple[float, float]]:
        found = []
        for handle in self._handles:
            try:
                utilisation = float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            except self._nvml.NVMLError:
                utilisation = float("nan")  # a partitioned GPU (MIG) does not tell
            with contextlib.suppress(self._nvml.NVMLError):
                found.append((utilisation, self._nvml.nvmlDeviceGetMemoryInfo(handle).used / GIB))
        return found


class _NvidiaSmi:
    """Through the command that comes with the driver."""

    def read(self) -> list[tuple[float, float]]:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        try:
            answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return []
        return [
            (_number(utilisation), _number(mebibytes) / 1024)
            for utilisation, _, mebibytes in (line.partition(",") for line in answer.splitlines() if line.strip())
        ]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # "[N/A]"


def _gpu_reader() -> _GpuReader | None:
    if not (os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi")):
        return None
    try:
        return _Nvml()
    except Exception:  # noqa: BLE001  no library, no driver, a version that differs: the command may still work
        return _NvidiaSmi() if shutil.which("nvidia-smi") else None
