"""A reference says where a secret is. It is what configs, bundles and jobs hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etude.errors import SecretError, nearest
from etude.secrets.spelling import legal_name, vault_host, vault_label

__all__ = ["SecretReference"]

KINDS = {
    "env": "env://HF_TOKEN",
    "keyvault": "keyvault://VAULT/NAME",
    "hub": "hub://",
    "file": "file:///run/secrets/NAME",
    "osmo": "osmo://NAME",
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SecretReference:
    """Where a secret is.

    Attributes:
        kind: env, keyvault, hub, file or osmo.
        name: the variable, the secret in its legal spelling, the file's path; empty for the hub.
        vault: the vault's host name; empty for the others.
    """

    kind: str
    name: str = ""
    vault: str = ""

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """Read `env://HF_TOKEN`, `keyvault://VAULT/NAME`, `hub://`, `file:///PATH` or `osmo://NAME`.

        Raises:
            SecretError: it is none of them. A text without `://` may be a value: it is not repeated.
        """
        kind, separator, rest = text.strip().partition("://")
        kind = kind.lower()
        if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]{0,19}", kind):
            raise SecretError(
                "this is not a reference to a secret (its text is not shown: it may be a value)",
                hint=f"references are {', '.join(KINDS.values())}",
            )
        if kind not in KINDS:
            close = nearest(kind, KINDS)
            hint = f"did you mean {KINDS[close[0]]}?" if close else f"references are {', '.join(KINDS.values())}"
            raise SecretError(f"there are no references of the kind {kind}://", hint=hint)
        return _READERS[kind](rest)

    @classmethod
    def in_vault(cls, vault: str, name: str) -> SecretReference:
        """The secret `name`, in any spelling, of the vault that `vault` names.

        Raises:
            SecretError: one of the two is not legal.
        """
        return cls("keyvault", legal_name(name), vault_host(vault))

    def __str__(self) -> str:
        return f"{self.kind}://{vault_label(self.vault)}/{self.name}" if self.vault else f"{self.kind}://{self.name}"


def _env(rest: str) -> SecretReference:
    if not _VARIABLE.fullmatch(rest):
        raise SecretError("env:// names no environment variable", hint="for example env://HF_TOKEN")
    return SecretReference("env", rest)


def _keyvault(rest: str) -> SecretReference:
    vault, separator, name = rest.removeprefix("https://").strip("/").partition("/")
    if not separator or "/" in name:
        raise SecretError("keyvault:// names a vault and a secret in it", hint="for example keyvault://VAULT/hf_token")
    return SecretReference.in_vault(vault, name)


def _hub(rest: str) -> SecretReference:
    if rest:
        raise SecretError(
            "hub:// stands alone: it is this machine's login at the Hugging Face hub", hint="write hub:// only"
        )
    return SecretReference("hub")


def _file(rest: str) -> SecretReference:
    if not rest.startswith("/") or not rest.strip("/") or "\0" in rest:
        raise SecretError(
            "file:// names a file by its full path, after three slashes", hint="for example file:///run/secrets/token"
        )
    return SecretReference("file", rest)


def _osmo(rest: str) -> SecretReference:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", rest):
        raise SecretError("osmo:// names no credential of OSMO", hint="for example osmo://hf_token")
    return SecretReference("osmo", rest)


_READERS = {"env": _env, "keyvault": _keyvault, "hub": _hub, "file": _file, "osmo": _osmo}
