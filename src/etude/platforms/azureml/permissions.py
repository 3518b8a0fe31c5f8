"""Whether this login may do what sending a job needs, found before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from etude.platforms.azureml.client import Client
from etude.platforms.azureml.refusals import SUBMITTER, ServiceError
from etude.platforms.problems import Problem

__all__ = ["missing_permissions"]

API_VERSION = "2022-04-01"
WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
# What sending takes: the job, its code; an environment is registered for an image.
NEEDED = {
    f"{WORKSPACES}/jobs/write": "submit jobs",
    f"{WORKSPACES}/codes/versions/write": "upload code",
}


def missing_permissions(client: Client) -> list[Problem]:
    """What the roles of this login lack; nothing where they cannot be read."""
    try:
        action = "read the permissions of this login"
        path = "/providers/Microsoft.Authorization/permissions"
        roles = list(client.pages(path, action, **{"api-version": API_VERSION}))
    except ServiceError:
        return []  # the service itself will tell
    if not roles:
        return []
    lacking = [what for needed, what in NEEDED.items() if not _allowed(needed, roles)]
    if not lacking:
        return []
    return [
        Problem(
            f"this login may not {' and '.join(lacking)} in workspace {client.workspace}",
            f"ask for the role '{SUBMITTER}' on workspace {client.workspace}",
        )
    ]


def _allowed(action: str, roles: Iterable[Mapping[str, Any]]) -> bool:
    """A role allows what its `actions` name and its `notActions` do not; one that allows is enough."""
    return any(_named(action, role.get("actions")) and not _named(action, role.get("notActions")) for role in roles)


def _named(action: str, patterns: Any) -> bool:
    return any(
        re.fullmatch(re.escape(str(pattern)).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns or ()
    )
