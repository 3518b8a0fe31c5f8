"""What the roles of a login allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from etude.platforms.azureml.permissions import missing_permissions
from etude.platforms.azureml.refusals import ServiceError

WORKSPACES = "Microsoft.MachineLearningServices/workspaces"


class Roles:
    """A workspace that tells of roles and of nothing else."""

    workspace = "w"

    def __init__(self, *roles: dict[str, Any]) -> None:
        self._roles = roles

    def pages(self, path: str, action: str, **query: str) -> Iterator[dict[str, Any]]:
        assert query == {"api-version": "2022-04-01"}
        return iter(self._roles)


class Silent(Roles):
    def pages(self, path: str, action: str, **query: str) -> Iterator[dict[str, Any]]:
        raise ServiceError("no", status=403)


READER = {"actions": ["*/read"], "notActions": []}
CONTRIBUTOR = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/write"]}
SCIENTIST = {
    "actions": [f"{WORKSPACES}/*/read", f"{WORKSPACES}/*/action", f"{WORKSPACES}/*/write"],
    "notActions": [f"{WORKSPACES}/write", f"{WORKSPACES}/computes/*/write"],
}


@pytest.mark.parametrize("roles", [(CONTRIBUTOR,), (SCIENTIST,), (READER, SCIENTIST), ()])
def test_who_may(roles: tuple[dict[str, Any], ...]) -> None:
    assert missing_permissions(Roles(*roles)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "roles", [(READER,), (READER, {"actions": ["*"], "notActions": [f"{WORKSPACES}/jobs/*"]}), ({"actions": None},)]
)
def test_who_may_not(roles: tuple[dict[str, Any], ...]) -> None:
    (problem,) = missing_permissions(Roles(*roles))  # type: ignore[arg-type]
    assert "may not submit jobs" in problem.message
    assert "AzureML Data Scientist" in problem.fix


def test_roles_that_cannot_be_read_are_no_problem() -> None:
    assert missing_permissions(Silent()) == []  # type: ignore[arg-type]
