"""Python, the libraries, and the programs beside them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata, util
from urllib.parse import urlsplit

from etude.doctor.finding import Finding, Status

__all__ = ["check_extras", "check_ffmpeg", "check_mlflow", "check_python", "check_versions"]

INSTALL = "in a clone: make setup; else: pip install 'etude[{extra}]'"
# extra -> a module that only it brings
EXTRAS = {
    "imitation": "lerobot",
    "tracking": "mlflow",
    "sim": "metaworld",
    "azure": "azure.ai.ml",
    "tune": "optuna",
}


def installed(distribution: str) -> str | None:
    """The installed version of a package, without importing it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_python() -> Finding:
    """Python 3.12, and whether it is an environment of its own."""
    version = platform.python_version()
    details = {"version": version, "executable": sys.executable}
    if sys.version_info[:2] != (3, 12):
        fix = "use Python 3.12: LeRobot needs it, and Isaac Lab takes none later"
        return Finding("python", Status.PROBLEM, version, fix, details)
    own = sys.prefix != sys.base_prefix
    found = f"{version} in {sys.prefix}" if own else f"{version}, the system's own (no virtual environment)"
    return Finding("python", Status.OK, found, details=details)


def check_versions() -> Finding:
    """etude, and what it trains with."""
    names = ("etude", "lerobot", "torch", "torchvision", "torchcodec", "numpy")
    versions = {name: version for name in names if (version := installed(name))}
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    lacking = [name for name in ("torch", "lerobot") if name not in versions]
    if lacking:
        found += f"; without {' and '.join(lacking)} nothing can be trained here (submitting jobs needs neither)"
        return Finding("libraries", Status.PROBLEM, found, INSTALL.format(extra="imitation"), versions)
    return Finding("libraries", Status.OK, found, details=versions)


def check_extras() -> Finding:
    """Which optional parts are installed."""
    present = {extra: _importable(module) for extra, module in EXTRAS.items()}
    absent = [extra for extra, there in present.items() if not there]
    found = ", ".join(extra for extra, there in present.items() if there) or "none"
    if absent:
        found += f"; absent: {', '.join(absent)}"
    fix = INSTALL.format(extra=",".join(absent)) if absent else None
    return Finding("extras", Status.OK, found, fix, present)


def _importable(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_mlflow() -> Finding:
    """MLflow and where points go. The server is not called."""
    version = installed("mlflow") or installed("mlflow-skinny")
    if version is None:
        found = "not installed: points go to metrics.jsonl in the run folder only"
        return Finding("mlflow", Status.WARNING, found, INSTALL.format(extra="tracking"))
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    where = f"server {_without_credentials(uri)} (MLFLOW_TRACKING_URI)" if uri else "mlflow.db, a local SQLite file"
    return Finding("mlflow", Status.OK, f"{version}, into {where}", details={"version": version})


def _without_credentials(uri: str) -> str:
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri.split("?")[0]
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def check_ffmpeg() -> Finding:
    """The ffmpeg program. Its shared libraries are what the decoders' own check tries."""
    program = shutil.which("ffmpeg")
    if program is None:
        found = "no ffmpeg program; torchcodec needs its libraries, PyAV brings its own"
        return Finding("ffmpeg", Status.WARNING, found, "sudo apt install ffmpeg")
    try:
        printed = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", Status.WARNING, f"{program} does not run: {error}", "sudo apt install ffmpeg")
    words = printed.split()
    version = words[2] if len(words) > 2 else "of unknown version"
    return Finding("ffmpeg", Status.OK, f"{version} ({program})", details={"version": version})
