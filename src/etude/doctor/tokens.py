"""Which credentials are there, and where they come from. Their values are never read into a finding."""

from __future__ import annotations

import netrc
import os
from pathlib import Path

from etude.doctor.finding import Finding, Status
from etude.doctor.machine import huggingface_home

__all__ = ["check_tokens"]


def check_tokens() -> list[Finding]:
    """Hugging Face, Weights & Biases, MLflow and Azure."""
    return [
        _finding(
            "hugging face token",
            _variables("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") or _huggingface_file(),
            "private data, gated models and publishing",
            "hf auth login, or export HF_TOKEN=...",
        ),
        _finding(
            "wandb key",
            _variables("WANDB_API_KEY") or _netrc("api.wandb.ai"),
            "--wandb.enable=true",
            "wandb login, or export WANDB_API_KEY=...",
        ),
        _finding(
            "mlflow credentials",
            _variables("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
            "an MLflow server that asks for them",
            "export MLFLOW_TRACKING_USERNAME=... MLFLOW_TRACKING_PASSWORD=...",
        ),
        _finding(
            "azure credentials",
            _variables("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH")
            or _azure_login(),
            "Azure Machine Learning and Blob storage",
            "az login",
        ),
    ]


def _finding(name: str, source: str | None, purpose: str, how: str) -> Finding:
    if source:
        return Finding(name, Status.OK, f"present, from {source}", details={"present": True, "source": source})
    return Finding(name, Status.OK, f"absent; only needed for {purpose}", how, {"present": False, "source": None})


def _variables(*names: str) -> str | None:
    present = [name for name in names if os.environ.get(name, "").strip()]
    return f"the environment ({', '.join(present)})" if present else None


def _huggingface_file() -> str | None:
    path = Path(os.environ.get("HF_TOKEN_PATH", huggingface_home() / "token")).expanduser()
    return str(path) if _holds_something(path) else None


def _azure_login() -> str | None:
    folder = Path(os.environ.get("AZURE_CONFIG_DIR", Path.home() / ".azure")).expanduser()
    caches = (folder / name for name in ("msal_token_cache.json", "msal_token_cache.bin"))
    return f"az login ({folder})" if any(map(_holds_something, caches)) else None


def _netrc(machine: str) -> str | None:
    path = Path(os.environ.get("NETRC", Path.home() / ".netrc")).expanduser()
    try:
        return str(path) if netrc.netrc(str(path)).authenticators(machine) else None
    except (OSError, netrc.NetrcParseError):
        return None


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
