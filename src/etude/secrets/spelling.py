"""What a secret, a vault and a value may look like."""

from __future__ import annotations

import re

from etude.errors import SecretError
from etude.secrets.redaction import looks_like_a_token

__all__ = ["clean_value", "legal_name", "vault_host", "vault_label"]

PUBLIC_CLOUD = "vault.azure.net"
LARGEST_BYTES = 25 * 1024  # Key Vault's limit
_LEGAL_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_LEGAL_VAULT = re.compile(r"(?!.*--)[A-Za-z][0-9A-Za-z-]{1,22}[0-9A-Za-z]")
_HOST = re.compile(r"(?P<vault>[^.]+)\.(?P<cloud>vault(\.[0-9a-z-]+){2,})", re.IGNORECASE)


def legal_name(name: str) -> str:
    """The name as Key Vault can hold it: `hf_token` becomes `hf-token`.

    Raises:
        SecretError: even so it is not legal. What looks like a token is not repeated.
    """
    if looks_like_a_token(name):
        raise SecretError(
            "a name was expected, and what was given looks like a secret's value (it is not shown)",
            hint="etude secrets set hf_token, and type the value when asked; then replace the value: it has been shown",
        )
    legal = name.strip().replace("_", "-").replace(".", "-")
    if not _LEGAL_NAME.fullmatch(legal):
        raise SecretError(
            f"{name!r} cannot be the name of a secret in Key Vault: it takes 1 to 127 letters, digits and '-'",
            hint="for example hf_token, which is stored as hf-token",
        )
    return legal


def vault_host(vault: str) -> str:
    """The host name of a vault that is given by its name, its host name or its address.

    Raises:
        SecretError: it is none of them.
    """
    host = vault.strip().removeprefix("https://").rstrip("/")
    match = _HOST.fullmatch(host)
    name, cloud = (match["vault"], match["cloud"].lower()) if match else (host, PUBLIC_CLOUD)
    if not _LEGAL_VAULT.fullmatch(name):
        raise SecretError(
            f"{vault!r} is not a vault: its name takes 3 to 24 letters, digits and single '-', a letter first",
            hint=f"for example my-vault, my-vault.{PUBLIC_CLOUD} or https://my-vault.vault.azure.cn",
        )
    return f"{name.lower()}.{cloud}"


def vault_label(host: str) -> str:
    """The shortest spelling of a vault: its name, or its host where it is not in the public cloud."""
    return host.removesuffix(f".{PUBLIC_CLOUD}")


def clean_value(value: str, where: str) -> str:
    """The value without the newline that ends it.

    Raises:
        SecretError: it is empty, or nothing could take it. Its text is in no message.
    """
    for ending in ("\r\n", "\n"):
        if value.endswith(ending):
            value = value.removesuffix(ending)
            break
    if not value.strip():
        raise SecretError(f"{where} is empty")
    if "\0" in value:
        raise SecretError(f"{where} holds a NUL character, which no environment variable can hold")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise SecretError(f"{where} is not UTF-8 text") from None
    if size > LARGEST_BYTES:
        raise SecretError(f"{where} has {size} bytes; {LARGEST_BYTES} is the most that Key Vault keeps")
    return value
