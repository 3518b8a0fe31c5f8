"""The error for a secret that certainly is not there, as opposed to one that could not be looked for."""

from __future__ import annotations

from etude.errors import SecretError

__all__ = ["MissingSecretError"]


class MissingSecretError(SecretError):
    """Its place was looked at, and it is not there."""
