"""Who a caller is: the login host of service principals, the endpoint of managed identities, the check of tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.emulators.azureml.wire import Request, Response, ServiceError, answer

__all__ = ["Identities", "Principal"]

LIFETIME_S = 3600


@dataclass(frozen=True)
class Principal:
    """An application or a managed identity, and what it may reach: `workspace`, `secrets`."""

    client_id: str
    secret: str = field(repr=False)
    access: frozenset[str]
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Identities:
    """Known principals of one tenant. Tokens are JWTs with the fields of real ones, signed with a key of its own."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.node_secret = secrets.token_hex(16)
        self._key = secrets.token_bytes(32)
        self._principals: dict[str, Principal] = {}

    def add(self, access: tuple[str, ...], client_id: str | None = None) -> Principal:
        principal = Principal(client_id or str(uuid.uuid4()), secrets.token_urlsafe(24), frozenset(access))
        self._principals[principal.client_id] = principal
        return principal

    def token(self, principal: Principal, audience: str, lifetime_s: float = LIFETIME_S) -> str:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": int(now + lifetime_s),
            "appid": principal.client_id,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant,
            "idtyp": "app",
            "ver": "1.0",
        }
        signed = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def check(self, request: Request, audiences: tuple[str, ...], access: str) -> Principal:
        """The caller.

        Raises:
            ServiceError: 401 without a valid token for one of `audiences`, 403 without the permission `access`.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise ServiceError(401, "AuthenticationFailed", "The 'Authorization' header is missing.")
        claims = self._claims(token)
        if claims["exp"] < time.time():
            raise ServiceError(401, "ExpiredAuthenticationToken", "The access token has expired.")
        if claims["aud"].rstrip("/") not in audiences:
            message = f"The access token is for '{claims['aud']}', not for '{audiences[0]}'."
            raise ServiceError(401, "InvalidAuthenticationTokenAudience", message)
        principal = self._principals[claims["appid"]]
        if access not in principal.access:
            message = (
                f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have "
                f"authorization to perform action '{request.method}' over scope '{request.path}'."
            )
            raise ServiceError(403, "AuthorizationFailed" if access == "workspace" else "Forbidden", message)
        return principal

    def login(self, request: Request) -> Response:
        """login.microsoftonline.com: discovery and the client credentials grant."""
        words = [word for word in request.path.split("/") if word]
        if words[:2] == ["common", "discovery"]:
            known = {"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}
            where = request.url(f"/{self.tenant}/v2.0/.well-known/openid-configuration")
            return answer({"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": [known]})
        if not words or words[0] != self.tenant:
            return _refuse(400, "invalid_tenant", f"AADSTS90002: Tenant '{''.join(words[:1])}' not found.")
        if words[-1] == "openid-configuration":
            return answer(self._configuration(request))
        if words[-1] == "token" and request.method == "POST":
            return self._grant({name: values[0] for name, values in parse_qs(request.body.decode()).items()})
        raise ServiceError(404, "NotFound", f"{request.path} is not emulated.")

    def node(self, request: Request) -> Response:
        """The identity endpoint of a compute node, which holds no secret but the node's own.

        A client elsewhere asks the metadata service of its machine: there is none with an identity.
        """
        if request.path.startswith("/metadata/"):
            return _refuse(400, "invalid_request", "Identity not found")
        if request.headers.get("secret") != self.node_secret:
            return _refuse(401, "invalid_request", "The node's secret is missing.")
        client_id = request.query.get("clientid", "")
        principal = self._principals.get(client_id)
        if principal is None:
            return _refuse(400, "invalid_request", f"Identity '{client_id}' is not assigned to this compute.")
        resource = request.query.get("resource", "")
        expires = str(int(time.time()) + LIFETIME_S)
        granted = {"access_token": self.token(principal, resource), "expires_on": expires, "resource": resource}
        return answer({**granted, "token_type": "Bearer"})

    def _configuration(self, request: Request) -> dict[str, Any]:
        base = request.url(f"/{self.tenant}")
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"{base}/v2.0",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "tenant_region_scope": "EU",
        }

    def _grant(self, form: dict[str, str]) -> Response:
        principal = self._principals.get(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials":
            return _refuse(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")
        if principal is None:
            message = f"AADSTS700016: Application '{form.get('client_id')}' was not found in the directory."
            return _refuse(400, "unauthorized_client", message)
        if not hmac.compare_digest(form.get("client_secret", ""), principal.secret):
            return _refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        audience = form.get("scope", "").split()[0].removesuffix("/.default")
        token = self.token(principal, audience)
        return answer({"token_type": "Bearer", "expires_in": LIFETIME_S, "access_token": token})

    def _claims(self, token: str) -> dict[str, Any]:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature, self._signature(signed)):
            raise ServiceError(401, "InvalidAuthenticationToken", "The access token is invalid.")
        claims: dict[str, Any] = json.loads(_decode(signed.split(".")[1]))
        return claims

    def _signature(self, signed: str) -> str:
        return _encode_bytes(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def _refuse(status: int, error: str, description: str) -> Response:
    return answer({"error": error, "error_description": description, "error_codes": []}, status)


def _encode(content: object) -> str:
    return _encode_bytes(json.dumps(content).encode())


def _encode_bytes(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
