"""What this machine cannot do for a job."""

from __future__ import annotations

from pathlib import Path

from etude.platforms.job import Job
from etude.platforms.problems import Problem

__all__ = ["problems_of"]


def problems_of(job: Job) -> list[Problem]:
    """All of them."""
    found = []
    resources = job.resources
    for flag, value in (("--nodes", resources.nodes), ("--retries", resources.retries + 1)):
        if value < 1:
            found.append(Problem(f"{flag} must be at least 1, got {value}"))
    if resources.nodes > 1:
        found.append(Problem(f"--nodes={resources.nodes}: this machine is one", "leave it out"))
    if resources.timeout_s is not None and resources.timeout_s <= 0:
        found.append(Problem(f"--timeout must be longer than nothing, got {resources.timeout_s} s"))
    for flag, given in (
        ("--compute", resources.compute),
        ("--instance-type", resources.instance_type),
        ("--image", job.image),
        ("--priority", resources.priority),
        ("--shm-size", resources.shm_size),
    ):
        if given:
            found.append(Problem(f"{flag}={given}: jobs run on this machine as they are", "leave it out"))
    for item in job.inputs:
        if "://" in item.reference or item.reference.startswith("azureml:"):
            found.append(
                Problem(
                    f"{item.flag or item.name}={item.reference} is not on this machine",
                    "give a folder, or submit to the platform that has it",
                )
            )
        elif not Path(item.reference).expanduser().exists():
            found.append(Problem(f"{item.flag or item.name}: there is no folder {item.reference}"))
    for variable, reference in job.secrets.items():
        if reference.startswith("osmo://"):
            found.append(Problem(f"secret {variable}={reference} exists on OSMO only", f"use env://{variable}"))
    return found
