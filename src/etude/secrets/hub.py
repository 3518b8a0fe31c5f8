"""This machine's login at the Hugging Face hub, found where the hub's own client looks for it."""

from __future__ import annotations

import os
from pathlib import Path

from etude.errors import SecretError
from etude.secrets.missing import MissingSecretError
from etude.secrets.reference import SecretReference

__all__ = ["read"]

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def read(reference: SecretReference) -> str:
    """The token: of the environment, else of the file that `hf auth login` writes.

    Raises:
        MissingSecretError: there is no login.
        SecretError: the file cannot be read.
    """
    for variable in VARIABLES:
        if token := _joined(os.environ.get(variable, "")):
            return token
    file = _token_file()
    try:
        token = _joined(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        token = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretError(f"{reference}: {file} cannot be read: {reason}", hint="hf auth login") from None
    if not token:
        raise MissingSecretError(
            f"{reference}: this machine has no login at the Hugging Face hub (no $HF_TOKEN, nothing in {file})",
            hint="hf auth login",
        )
    return token


def _joined(text: str) -> str:
    return text.replace("\r", "").replace("\n", "").strip()


def _token_file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(os.path.expandvars(os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token"))).expanduser()
