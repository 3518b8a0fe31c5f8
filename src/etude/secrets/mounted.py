"""A secret in a file, as container runtimes mount them; a file that others may read is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from etude.errors import SecretError
from etude.secrets.missing import MissingSecretError
from etude.secrets.reference import SecretReference
from etude.secrets.spelling import LARGEST_BYTES

__all__ = ["read"]

# Container runtimes mount secrets readable for all users of the container, who cannot change that.
MOUNTS = ("/run/secrets/", "/var/run/secrets/")


def read(reference: SecretReference) -> str:
    """The file's text.

    Raises:
        MissingSecretError: there is no such file.
        SecretError: others may read it, or it is not a small file of UTF-8 text.
    """
    file = Path(reference.name)
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            _refuse_other_than_private(reference, status, stream.fileno())
            content = stream.read(LARGEST_BYTES + 3)  # a newline may follow
    except (FileNotFoundError, NotADirectoryError):
        raise MissingSecretError(
            f"{reference}: there is no such file", hint="mount it, or name another reference"
        ) from None
    except OSError as error:
        raise SecretError(
            f"{reference}: it cannot be read: {error.strerror}", hint=f"ls -l {file.parent} says who may"
        ) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError(f"{reference} is not UTF-8 text") from None


def _refuse_other_than_private(reference: SecretReference, status: os.stat_result, descriptor: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretError(f"{reference} is not a file", hint="name the file itself")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_mounted(reference.name, descriptor):
        mode = stat.S_IMODE(status.st_mode)
        raise SecretError(
            f"{reference}: others on this machine may read or change it (mode {mode:04o})",
            hint=f"chmod 600 {reference.name}",
        )


def _is_mounted(path: str, descriptor: int) -> bool:
    return os.path.realpath(path).startswith(MOUNTS) or bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
