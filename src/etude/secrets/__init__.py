"""Secrets by reference: a config says where a secret is, and only the process that needs it reads the value.

`env://HF_TOKEN`, `keyvault://VAULT/NAME`, `hub://`, `file:///PATH`, `osmo://NAME`. A value that was read is
masked in whatever this process redacts from then on.
"""

from etude.secrets.redaction import is_plain_secret, redact, redact_tree, remember
from etude.secrets.reference import SecretReference
from etude.secrets.resolving import MissingSecretError, exists, resolve, resolve_all

__all__ = [
    "MissingSecretError",
    "SecretReference",
    "exists",
    "is_plain_secret",
    "redact",
    "redact_tree",
    "remember",
    "resolve",
    "resolve_all",
]
