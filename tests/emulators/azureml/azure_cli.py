"""A stand-in for the Azure CLI's `az`, as far as credentials ask it: tokens of whoever has logged in with `az login`.

The file that `write_azure_cli` leaves is this one: it runs alone, with the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

__all__ = ["write_azure_cli"]

NOT_LOGGED_IN = "ERROR: Please run 'az login' to setup account.\n"


def write_azure_cli(folder: Path) -> Path:
    """Put an executable `az` into `folder`; the folder, for `PATH`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "az"
    program.write_text(f"#!{sys.executable} -I\n" + Path(__file__).read_text())
    program.chmod(0o755)
    return folder


def main(words: list[str]) -> int:
    """`ETUDE_AZ_LOGIN` is who has logged in: the endpoint that gives tokens, the node's secret and a client id."""
    login = os.environ.get("ETUDE_AZ_LOGIN", "")
    if not login:
        sys.stderr.write(NOT_LOGGED_IN)
        return 1
    endpoint, secret, client_id, tenant, subscription = login.split(" ")
    account = {"id": subscription, "tenantId": tenant, "state": "Enabled", "isDefault": True, "name": "tests"}
    if words[:2] == ["account", "show"]:
        print(json.dumps({**account, "user": {"name": client_id, "type": "servicePrincipal"}}))
        return 0
    if words[:2] != ["account", "get-access-token"]:
        sys.stderr.write(f"ERROR: 'az {' '.join(words)}' is not emulated.\n")
        return 2
    options = dict(zip(words[2::2], words[3::2], strict=False))
    resource = options.get("--resource") or options.get("--scope", "").removesuffix("/.default")
    query = urllib.parse.urlencode({"resource": resource, "clientid": client_id})
    request = urllib.request.Request(f"{endpoint}?{query}", headers={"secret": secret})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        granted = json.load(response)
    expires = int(granted["expires_on"])
    when = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.localtime(expires))
    token = {"accessToken": granted["access_token"], "expiresOn": when, "expires_on": expires}
    print(json.dumps({**token, "subscription": subscription, "tenant": tenant, "tokenType": "Bearer"}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
