"""A job as the workspace tells of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from etude.platforms.azureml.states import state_of
from etude.platforms.states import JobStatus

__all__ = ["ToldJob", "status_of"]

_EXIT_CODE = re.compile(r"(?:status|exit(?:ed)?(?: with)?)[ -]?code:?\s*(?:is\s*)?(-?\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class ToldJob:
    """What `GET jobs/NAME` answers."""

    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.body.get("name", ""))

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.body.get("properties") or {}

    @property
    def said(self) -> str:
        """Its state in the service's words."""
        return str(self.properties.get("status") or "Unknown")

    @property
    def outputs(self) -> list[str]:
        """Names of its outputs; `default` holds the artifacts and is none of ours."""
        return [name for name in self.properties.get("outputs") or {} if name != "default"]

    def address(self, output: str) -> str:
        """Where an output was asked to be; empty when that was left to the service."""
        told = (self.properties.get("outputs") or {}).get(output) or {}
        address = str(told.get("uri") or told.get("path") or "")
        return address.replace("${{name}}", self.name).replace("${{output_name}}", output)

    @property
    def artifacts(self) -> str:
        """The address of its logs and artifacts."""
        return (
            self.address("default").rstrip("/")
            or f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{self.name}"
        )


def status_of(handle: str, job: ToldJob, details: Mapping[str, Any] | None = None) -> JobStatus:
    """What a job is doing.

    Args:
        details: of the run history, which has times and the error; None leaves them out.
    """
    details = details or {}
    error = (details.get("error") or {}).get("error") or {}
    reason = _reason(str(error.get("message") or ""))
    code = _EXIT_CODE.search(str(error.get("message") or ""))
    studio = ((job.properties.get("services") or {}).get("Studio") or {}).get("endpoint")
    return JobStatus(
        handle=handle,
        state=state_of(job.said),
        said=job.said,
        reason=reason,
        exit_code=int(code[1]) if code else (0 if job.said == "Completed" else None),
        attempt=_attempt(job, details),
        created=_seconds((job.body.get("systemData") or {}).get("createdAt")),
        started=_seconds(details.get("startTimeUtc")),
        ended=_seconds(details.get("endTimeUtc")),
        url=str(studio or ""),
    )


def _attempt(job: ToldJob, details: Mapping[str, Any]) -> int:
    """Which attempt it is, where a property tells; the service itself counts its retries nowhere."""
    for place in (details.get("properties"), job.properties.get("properties"), job.properties.get("tags")):
        for name in ("etude.attempt", "attempt"):
            value = (place or {}).get(name)
            if value is not None and str(value).isdigit():
                return int(value)
    return 1


def _reason(message: str) -> str:
    """The message without its line ends: one sentence for a table."""
    return " ".join(message.split())[:500]


def _seconds(text: Any) -> float | None:
    if not text:
        return None
    try:
        # The service writes seven digits of a second; six are the most that are understood.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text).replace("Z", "+00:00")))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
