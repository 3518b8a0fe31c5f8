"""From references to values."""

from __future__ import annotations

import os
from collections.abc import Mapping

from etude.errors import SecretError
from etude.secrets import hub, mounted
from etude.secrets.missing import MissingSecretError
from etude.secrets.redaction import remember
from etude.secrets.reference import SecretReference
from etude.secrets.spelling import clean_value

__all__ = ["MissingSecretError", "exists", "resolve", "resolve_all"]


def resolve(reference: SecretReference | str) -> str:
    """The value, which `redact` masks from now on. A newline that ends it is cut.

    Raises:
        MissingSecretError: it is not there.
        SecretError: it may not be read, its place cannot be reached, or the reference is not one.
        MissingExtraError: a Key Vault is named and its client is not installed.
    """
    if isinstance(reference, str):
        reference = SecretReference.parse(reference)
    value = clean_value(_READERS[reference.kind](reference), str(reference))
    remember(value)
    return value


def resolve_all(references: Mapping[str, SecretReference | str]) -> dict[str, str]:
    """The values of environment variables, by the references to them.

    Raises:
        SecretError: at least one cannot be read; the message names all of those.
        MissingExtraError: a Key Vault is named and its client is not installed.
    """
    values, problems = {}, {}
    for variable, reference in references.items():
        try:
            values[variable] = resolve(reference)
        except SecretError as error:
            problems[variable] = error
    if problems:
        raise _all_of(problems)
    return values


def exists(reference: SecretReference | str) -> bool | None:
    """Whether `resolve` would find it; None where that cannot be told from here (no login, no permission, no network).

    Raises:
        SecretError: the text is not a reference.
    """
    if isinstance(reference, str):
        reference = SecretReference.parse(reference)
    try:
        resolve(reference)
    except MissingSecretError:
        return False
    except SecretError:
        return None
    return True


def _all_of(problems: Mapping[str, SecretError]) -> SecretError:
    sentences = [f"{variable}: {error.message}" for variable, error in problems.items()]
    hints = dict.fromkeys(error.hint for error in problems.values() if error.hint)
    kind = (
        MissingSecretError if all(isinstance(item, MissingSecretError) for item in problems.values()) else SecretError
    )
    count = "" if len(sentences) == 1 else f"{len(sentences)} secrets cannot be read\n  "
    return kind(count + "\n  ".join(sentences), hint="\n  ".join(hints) or None)


def _from_environment(reference: SecretReference) -> str:
    value = os.environ.get(reference.name, "")
    if not value.strip():
        raise MissingSecretError(
            f"{reference}: the environment variable {reference.name} is not set",
            hint=f"read -rs {reference.name} && export {reference.name}     (asks for it, out of the shell's history)",
        )
    return value


def _from_key_vault(reference: SecretReference) -> str:
    from etude.secrets.keyvault import open_vault

    return open_vault(reference.vault).get(reference.name)


def _from_osmo(reference: SecretReference) -> str:
    raise SecretError(
        f"{reference}: OSMO keeps this secret and gives it to jobs as an environment variable; here it is unknown",
        hint="here, use env://NAME, hub:// or keyvault://VAULT/NAME",
    )


_READERS = {
    "env": _from_environment,
    "keyvault": _from_key_vault,
    "hub": hub.read,
    "file": mounted.read,
    "osmo": _from_osmo,
}
