"""What the service checks before it takes a job, in the order in which it would notice."""

from __future__ import annotations

import re
from typing import Any

from tests.emulators.azureml.locations import locate, parse_asset_id
from tests.emulators.azureml.state import Job, State
from tests.emulators.azureml.wire import ServiceError

__all__ = ["check_job", "seconds", "unchanged"]

NAME = re.compile(r"[a-zA-Z0-9][\w-]{0,254}")
DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
SHM_SIZE = re.compile(r"\d+[bkmg]?", re.IGNORECASE)
CHANGEABLE = {"description", "displayName", "tags", "isArchived", "properties", "services", "status"}


def seconds(duration: object) -> float | None:
    """An ISO 8601 duration in seconds; None without one.

    Raises:
        ServiceError: it is not a duration, or not a positive one.
    """
    if duration is None:
        return None
    found = DURATION.fullmatch(str(duration))
    if found is None or not any(found.groups()):
        raise _refused(f"The timeout '{duration}' is not a positive ISO 8601 duration.")
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def check_job(state: State, name: str, properties: dict[str, Any]) -> None:
    """Raises:
    ServiceError: the job cannot run: 400 for what it says, 404 for what it names.
    """
    if not NAME.fullmatch(name):
        raise _refused(f"The job name '{name}' is not allowed: letters, digits, '_' and '-', up to 255 of them.")
    if properties.get("jobType") != "Command":
        raise _refused(f"Job type '{properties.get('jobType')}' is not emulated.")
    if not str(properties.get("command") or "").strip():
        raise _refused("A command job needs a command.")
    _check_environment(state, str(properties.get("environmentId") or ""))
    _check_compute(state, properties)
    for value in (properties.get("environmentVariables") or {}).values():
        if not isinstance(value, str):
            raise _refused(f"Environment variables are strings, {value!r} is not.")
    seconds((properties.get("limits") or {}).get("timeout"))
    if properties.get("codeId"):
        locate(state, str(properties["codeId"]))
    for given in (properties.get("inputs") or {}).values():
        if given.get("jobInputType") != "literal" and not str(given.get("uri", "")).startswith("http"):
            locate(state, str(given.get("uri")))


def unchanged(there: Job, properties: dict[str, Any]) -> bool:
    """Is this the same submission once more? Then it is an update and starts nothing."""
    keys = (set(there.properties) | set(properties)) - CHANGEABLE
    return all((there.properties.get(key) or None) == (properties.get(key) or None) for key in keys)


def _check_environment(state: State, address: str) -> None:
    asset = parse_asset_id(address)
    if asset is None or asset[0] != "environments":
        raise _refused(f"The environment '{address}' is not one.")
    if "/registries/" not in address and state.asset(*asset) is None:
        raise ServiceError(404, "NotFound", f"Environment {asset[1]}:{asset[2]} was not found.")


def _check_compute(state: State, properties: dict[str, Any]) -> None:
    name = str(properties.get("computeId") or "").rsplit("/", 1)[-1]
    if not name:
        raise _refused("A job needs a compute.")
    compute = state.computes.get(name)
    if compute is None:
        raise ServiceError(400, "UserError", f"Compute with name '{name}' was not found.")
    resources = properties.get("resources") or {}
    count = resources.get("instanceCount")
    if count is not None and (not isinstance(count, int) or count < 1):
        raise _refused(f"The instance count {count} is not a positive number.")
    if compute.kind == "AmlCompute" and compute.nodes and (count or 1) > compute.nodes:
        raise _refused(f"The job asks for {count} nodes, compute '{name}' has at most {compute.nodes}.")
    wanted = resources.get("instanceType")
    if wanted and compute.kind == "Kubernetes" and wanted not in compute.instance_types:
        known = ", ".join(sorted(compute.instance_types)) or "none"
        raise _refused(f"Instance type '{wanted}' was not found on compute '{name}'. It has: {known}.")
    shm = resources.get("shmSize")
    if shm and not SHM_SIZE.fullmatch(str(shm)):
        raise _refused(f"The shared memory size '{shm}' is not a number with b, k, m or g.")


def _refused(message: str) -> ServiceError:
    return ServiceError(400, "UserError", message)
