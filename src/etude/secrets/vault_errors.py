"""What a vault's refusals mean, and what to do then. Nothing that the service wrote is repeated, besides its codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etude.errors import SecretError
from etude.secrets.missing import MissingSecretError
from etude.secrets.spelling import vault_label

__all__ = ["Attempt", "no_answer", "no_login", "not_found", "refused"]

READER, WRITER = "Key Vault Secrets User", "Key Vault Secrets Officer"


@dataclass(frozen=True)
class Attempt:
    """What was tried: `read`, `write`, `list` or `remove`, on which secret (empty: all) of which vault.

    Attributes:
        in_job: as the managed identity of a job, not as a person.
    """

    action: str
    host: str
    name: str = ""
    in_job: bool = False

    @property
    def vault(self) -> str:
        return vault_label(self.host)

    @property
    def vault_name(self) -> str:
        """As `az keyvault` takes it."""
        return self.host.partition(".")[0]

    def __str__(self) -> str:
        return f"keyvault://{self.vault}/{self.name}" if self.name else f"the vault {self.vault}"


def not_found(attempt: Attempt, close: list[str]) -> MissingSecretError:
    """404: no such secret. `close` are the nearest names."""
    suggestion = f"did you mean {' or '.join(close)}? " if close else ""
    return MissingSecretError(
        f"{attempt}: the vault holds no secret of this name",
        hint=f"{suggestion}etude secrets set {attempt.name or 'NAME'} --vault {attempt.vault}",
    )


def no_login(attempt: Attempt, reason: str) -> SecretError:
    """There is no token: nobody is logged in, or the login is not valid."""
    code = re.search(r"AADSTS\d+", reason)
    why = f" ({code[0]})" if code else ""
    if attempt.in_job:
        return SecretError(
            f"{attempt}: the job's managed identity gives no token{why}",
            hint="give the compute a managed identity: "
            "az ml compute update --name COMPUTE --identity-type SystemAssigned",
        )
    return SecretError(
        f"{attempt}: no login at Azure{why}",
        hint="az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    )


def no_answer(attempt: Attempt, reason: str) -> SecretError:
    """No vault answered. `reason` is read, not shown."""
    if re.search(r"NameResolution|Name or service not known|getaddrinfo|nodename nor servname", reason):
        return SecretError(
            f"{attempt}: there is no vault at {attempt.host} (the host's name is unknown)",
            hint="az keyvault list --query '[].name' -o tsv, or check the network",
        )
    known = {
        "Tunnel connection failed|ProxyError": "the proxy does not let it through",
        "CERTIFICATE_VERIFY_FAILED|SSLError": "its certificate is not trusted; REQUESTS_CA_BUNDLE names others",
        "Connection refused": "the connection is refused",
        "[Tt]imed? ?out": "no answer in time",
        "no Key Vault|challenge": "what answers there is no Key Vault",
    }
    why = next((text for pattern, text in known.items() if re.search(pattern, reason)), "the connection breaks")
    return SecretError(f"{attempt}: {attempt.host} cannot be reached: {why}", hint="check the network, and try again")


def refused(attempt: Attempt, status: int, code: str, challenge: str = "") -> SecretError:
    """An answer that is no success.

    Args:
        code: the service's own, `ForbiddenByFirewall` for example.
        challenge: the header WWW-Authenticate of a 401.
    """
    code = code if re.fullmatch(r"[A-Za-z]{1,60}", code) else ""
    if status == 401:
        return _unknown_caller(attempt, challenge)
    if status == 403:
        return _forbidden(attempt, code)
    if status == 409:
        return SecretError(
            f"{attempt}: a secret of this name is being removed or brought back", hint="try again in a minute"
        )
    if status == 429 or status >= 500:
        busy = "is asked too often" if status == 429 else "has a failure"
        return SecretError(f"{attempt}: the vault {busy} ({status}), also after waiting", hint="try again in a minute")
    return SecretError(
        f"{attempt}: the vault refuses this ({code or status})", hint=f"az keyvault show --name {attempt.vault_name}"
    )


def _unknown_caller(attempt: Attempt, challenge: str) -> SecretError:
    tenant = re.search(r"authorization(?:_uri)?=\"?https://[^/\"]+/([0-9A-Za-z.-]+)", challenge)
    return SecretError(
        f"{attempt}: the vault does not accept this login (401); it may be of another tenant, or too old",
        hint=f"az login --tenant {tenant[1] if tenant else 'TENANT'}",
    )


def _forbidden(attempt: Attempt, code: str) -> SecretError:
    vault = attempt.vault_name
    if code in ("SecretDisabled", "SecretNotYetValid", "SecretExpired"):
        return SecretError(
            f"{attempt}: the secret is disabled, or out of the time in which it is valid",
            hint=f"etude secrets set {attempt.name} --vault {attempt.vault}",
        )
    if "Firewall" in code or "Connection" in code:
        return SecretError(
            f"{attempt}: the vault's firewall refuses this machine ({code})",
            hint=f"az keyvault network-rule add --name {vault} --ip-address ADDRESS, or ask from within its network",
        )
    role = READER if attempt.action in ("read", "list") else WRITER
    who = "the job's managed identity" if attempt.in_job else "this login"
    why = f" ({code})" if code else ""
    return SecretError(
        f"{attempt}: {who} may not {attempt.action} here{why}; the role '{role}' would allow it",
        hint=f"az role assignment create --role '{role}' --assignee WHO "
        f'--scope "$(az keyvault show --name {vault} --query id -o tsv)"',
    )
