"""What Azure's answers mean, and what to do then."""

from __future__ import annotations

import re

from etude.errors import PlatformError

__all__ = ["LOGIN", "ServiceError", "no_answer", "no_login", "refused"]

LOGIN = "az login (or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal)"
SUBMITTER, READER = "AzureML Data Scientist", "Storage Blob Data Reader"


class ServiceError(PlatformError):
    """Azure refuses, or does not answer.

    Attributes:
        status: of the answer; None when there was none.
        code: the service's own word; "NoLogin" when nothing was asked for want of a login.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status, self.code = status, code


def no_login(reason: str) -> ServiceError:
    """There is no token. `reason` is what all ways to log in said; only Azure's own code is repeated."""
    code = re.search(r"AADSTS\d+", reason)
    why = f" ({code[0]})" if code else ""
    return ServiceError(f"no login for Azure{why}", hint=LOGIN, code="NoLogin")


def no_answer(host: str, reason: str, attempts: int) -> ServiceError:
    """Nothing that could be read came back, however often it was tried."""
    known = {
        r"NameResolution|Name or service not known|getaddrinfo|nodename nor servname": "its name is not known here",
        r"Tunnel connection failed|ProxyError": "the proxy does not let it through",
        r"CERTIFICATE_VERIFY_FAILED|SSLError": "its certificate is not trusted; REQUESTS_CA_BUNDLE names others",
        r"Connection refused": "the connection is refused",
        r"[Tt]imed? ?out": "no answer in time",
    }
    why = next((text for pattern, text in known.items() if re.search(pattern, reason)), "the connection breaks")
    return ServiceError(
        f"{host} cannot be reached: {why} ({attempts} attempts)", hint="check the network and the proxy, and try again"
    )


def refused(status: int, code: str, message: str, *, action: str, place: str) -> ServiceError:
    """An answer that is no success.

    Args:
        code, message: the service's own.
        action: what was asked for, as it goes on after "may not": "read job x".
        place: the workspace, the storage account.
    """
    first = message.strip().splitlines()[0].rstrip(".") if message.strip() else code
    said = f": {first}" if first else ""
    if status == 401:
        text, hint = f"Azure does not accept the login ({code or status}){said}", LOGIN
    elif status == 403 and "Firewall" in message + code:
        text, hint = f"the firewall of {place} refuses this machine", "ask from within its network"
    elif status == 403:
        role = READER if "container" in place or "blob" in place else SUBMITTER
        text = f"this login may not {action} in {place}{said}"
        hint = f"ask for the role '{role}' on {place}"
    elif status == 404:
        text, hint = f"there is nothing to {action} in {place}{said}", "check the name and the workspace: etude doctor"
    elif status in (409, 412):
        text, hint = (
            f"{place} would not {action}, as something is there already{said}",
            "choose another name or version",
        )
    elif status == 429 or status >= 500:
        busy = "is asked too often" if status == 429 else "has a failure"
        text = f"Azure {busy} ({status}), also after waiting; it would not {action}{said}"
        hint = "try again in a minute"
    else:
        text, hint = f"Azure refuses to {action} in {place} ({code or status}){said}", "etude doctor"
    return ServiceError(text, hint=hint, status=status, code=code)
