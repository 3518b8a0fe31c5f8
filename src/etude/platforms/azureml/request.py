"""A job as Azure ML is asked for it: a mapping, and the YAML that `az ml job create -f` takes. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import yaml

from etude.platforms.azureml.overrides import apply_overrides
from etude.platforms.job import Input, Job
from etude.platforms.problems import Problem, RefusedJobError
from etude.platforms.seam import Request

__all__ = ["DEFAULT_IMAGE", "SCHEMA", "SERVERLESS", "build_request", "draft_request", "is_address", "render"]

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"

# The documented image. Its Python 3.11 is too old for LeRobot, and its torch is not the one that is pinned: the
# bootstrap makes a Python 3.12 beside it, with the pip that the image has. It costs the minutes of an installation;
# `etude environment create` with an image that holds the requirements costs none.
DEFAULT_IMAGE = "pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime"

SERVERLESS = "serverless"

_ADDRESS = re.compile(r"^(azureml:|https?://|wasbs?://|abfss?://|adl://|mltable://)")
_REGISTERED = re.compile(r"^azureml:([^/]|/.*/models/)")
_INPUT_TYPES = {"data": "uri_folder", "model": "custom_model"}
# Mappings whose values are the user's: one that is wrong must stay to be seen.
_AS_GIVEN = ("environment_variables", "tags")
_IDENTITIES = {"managed_identity": "managed", "user": "user_identity", "amltoken": "aml_token"}


def build_request(job: Job, default_compute: str | None) -> Request:
    """The job as Azure ML is asked for it.

    Args:
        default_compute: where it runs when it names no compute itself.

    Raises:
        RefusedJobError: an override cannot be applied.
    """
    request, problems = draft_request(job, default_compute)
    if problems:
        raise RefusedJobError(problems)
    return request


def draft_request(job: Job, default_compute: str | None) -> tuple[Request, list[Problem]]:
    """The same, with what is wrong with overrides. Other things that cannot be are left in, as they were given."""
    command = ["bash bootstrap.sh"]
    command += [f"--input {item.name}=${{{{inputs.{item.name}}}}}" for item in job.inputs]
    command += [f"--output {name}=${{{{outputs.{name}}}}}" for name in job.outputs]
    compute = job.resources.compute or default_compute
    data: dict[str, Any] = {
        "$schema": SCHEMA,
        "type": "command",
        "name": job.name,
        "display_name": job.title or job.name,
        "experiment_name": job.experiment,
        "tags": _tags(job),
        "compute": None if compute == SERVERLESS else (compute or "").removeprefix("azureml:") or None,
        "code": os.path.abspath(job.bundle.folder),
        "command": " ".join(command),
        "environment": _environment(job),
        "environment_variables": dict(job.environment),
        "inputs": {item.name: _input(item) for item in job.inputs},
        "outputs": {name: {"type": "uri_folder", "mode": "rw_mount"} for name in job.outputs},
        "distribution": _distribution(job),
        "resources": _resources(job),
        "limits": {"timeout": job.resources.timeout_s},
        "identity": _identity(job.settings),
        "queue_settings": {"job_tier": job.settings.get("job_tier"), "priority": job.resources.priority},
    }
    data = _without_nothing(data)
    problems = apply_overrides(data, job.settings)
    return Request(job.name, render(data), data), problems


def render(data: Mapping[str, Any]) -> str:
    """The mapping as YAML; the same text every time."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100_000)


def is_address(reference: str) -> bool:
    """Whether an input is somewhere already, and not a folder of this machine."""
    return _ADDRESS.match(reference) is not None


def _input(item: Input) -> dict[str, str]:
    reference = item.reference
    # A folder of this machine is uploaded when the job is sent; by its full path, as the YAML may be read elsewhere.
    path = reference if is_address(reference) else os.path.abspath(os.path.expanduser(reference))
    kind = item.kind
    if kind == "model" and not _REGISTERED.match(reference):
        kind = "data"  # a checkpoint in a folder, or among the outputs of a job, is a folder like any other
    return {"type": _INPUT_TYPES.get(kind, kind), "mode": "ro_mount", "path": path}


def _environment(job: Job) -> str | dict[str, str]:
    reference = job.settings.get("environment", "")
    if reference:
        return reference if reference.startswith("azureml:") else f"azureml:{reference}"
    if job.image and job.image.startswith("azureml:"):
        return job.image
    return {"image": job.image or DEFAULT_IMAGE}


def _distribution(job: Job) -> dict[str, Any] | None:
    """One start on each machine, told where the first one is: torchrun, inside, starts a process for each GPU.

    Azure ML could start all of them, but then each would make its own environment and keep the same outputs.
    """
    return None if job.resources.nodes == 1 else {"type": "pytorch", "process_count_per_instance": 1}


def _resources(job: Job) -> dict[str, Any]:
    wanted = job.resources
    return {"instance_count": wanted.nodes, "instance_type": wanted.instance_type, "shm_size": wanted.shm_size}


def _identity(settings: Mapping[str, str]) -> dict[str, str] | None:
    """The managed identity of the compute, unless something else is asked for: secrets are read with it."""
    kind = settings.get("identity", "managed").lower()
    if kind == "none":
        return None
    identity = {"type": _IDENTITIES.get(kind, kind)}
    if client := settings.get("identity_client_id"):
        identity["client_id"] = client
    return identity


def _tags(job: Job) -> dict[str, str]:
    return {**{key: str(value) for key, value in job.tags.items()}, "etude.bundle": job.bundle.digest[:16]}


def _without_nothing(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys that say nothing; a job without inputs has no `inputs`."""
    kept: dict[str, Any] = {}
    for key, value in data.items():
        inner = _without_nothing(value) if isinstance(value, Mapping) and key not in _AS_GIVEN else value
        if inner is not None and inner != {}:
            kept[key] = inner
    return kept
