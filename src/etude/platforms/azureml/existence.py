"""Whether what a job names is in the workspace: compute, instance type, assets, environment, secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from etude.errors import SecretError, nearest
from etude.platforms.azureml.client import Client
from etude.platforms.azureml.latest import kind_of_input, latest_version, split_asset
from etude.platforms.azureml.permissions import missing_permissions
from etude.platforms.azureml.refusals import ServiceError
from etude.platforms.job import Job
from etude.platforms.problems import Problem
from etude.secrets import exists

__all__ = ["missing_in_workspace"]

NOUNS = {"data": "data asset", "models": "registered model", "environments": "environment"}
COMMANDS = {"data": "etude data push azureml NAME FOLDER", "environments": "etude environment create NAME"}


def missing_in_workspace(client: Client, job: Job, data: Mapping[str, Any]) -> list[Problem]:
    """All that the workspace lacks. Without a login, or without the workspace, that alone."""
    try:
        client.get("", "open the workspace")
    except ServiceError as error:
        return [_as_problem(error)]
    flags = {item.name: item.flag or f"input {item.name}" for item in job.inputs}
    found = [*missing_permissions(client), *_try(_compute, client, data, job.resources.gpus)]
    for name, value in data.get("inputs", {}).items():
        if isinstance(value, Mapping):
            flag = flags.get(name, f"input {name}")
            found += _try(_asset, client, kind_of_input(value), str(value.get("path", "")), flag)
    if isinstance(data.get("environment"), str):
        found += _try(_asset, client, "environments", data["environment"], "--environment")
    return [*found, *_secrets(job)]


def _try(rule: Any, *arguments: Any) -> list[Problem]:
    """A rule's problems; that the service refuses to answer is one too."""
    try:
        return list(rule(*arguments))
    except ServiceError as error:
        return [_as_problem(error)]


def _as_problem(error: ServiceError) -> Problem:
    return Problem(error.message, error.hint or "")


def _compute(client: Client, data: Mapping[str, Any], gpus: int | None) -> Iterable[Problem]:
    name, resources = str(data.get("compute") or ""), data.get("resources", {})
    if not name or name.startswith("/"):
        return
    try:
        told = client.get(f"/computes/{quote(name, safe='')}", f"find compute {name}")
    except ServiceError as error:
        if error.status != 404:
            raise
        names = [str(item.get("name")) for item in client.pages("/computes", "list computes")]
        yield _unknown(f"compute {name!r} is not in workspace {client.workspace}", name, names, "--compute")
        return
    properties = told.get("properties") or {}
    inner = properties.get("properties") or {}
    if properties.get("computeType") == "Kubernetes":
        yield from _instance_type(name, inner, resources, gpus)
    elif properties.get("computeType") == "AmlCompute":
        yield from _cluster(name, inner, resources)
    if data.get("identity", {}).get("type") == "managed" and (told.get("identity") or {}).get("type") == "None":
        yield Problem(
            f"compute {name} has no managed identity, and the job would run as one",
            f"az ml compute update --name {name} --identity-type SystemAssigned, or --identity none",
        )
    if properties.get("provisioningState") in ("Failed", "Deleting"):
        yield Problem(f"compute {name} is {properties['provisioningState'].lower()}", f"az ml compute show -n {name}")


def _instance_type(
    compute: str, inner: Mapping[str, Any], resources: Mapping[str, Any], gpus: int | None
) -> Iterable[Problem]:
    types = inner.get("instanceTypes") or {}
    wanted = resources.get("instance_type") or inner.get("defaultInstanceType")
    if not wanted or not types:
        return
    if wanted not in types:
        yield _unknown(
            f"instance type {wanted!r} is not on compute {compute}", str(wanted), list(types), "--instance-type"
        )
        return
    limits = ((types[wanted] or {}).get("resources") or {}).get("limits") or {}
    has = next((value for name, value in limits.items() if name.endswith("/gpu")), None)
    if gpus and str(has).isdigit() and gpus > int(str(has)) > 0:
        yield Problem(f"--gpus={gpus}: instance type {wanted} has {has}", f"--gpus={has}, or --nodes for more")


def _cluster(compute: str, inner: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterable[Problem]:
    wanted, size = resources.get("instance_type"), inner.get("vmSize")
    if wanted and size and str(wanted).lower() != str(size).lower():
        yield Problem(f"instance type {wanted!r} is not on compute {compute}: its machines are {size}", "leave it out")
    most, nodes = (inner.get("scaleSettings") or {}).get("maxNodeCount"), resources.get("instance_count")
    if isinstance(most, int) and isinstance(nodes, int) and nodes > most > 0:
        yield Problem(f"--nodes={nodes}: compute {compute} has at most {most}", f"--nodes={most}")


def _asset(client: Client, kind: str, reference: str, flag: str) -> Iterable[Problem]:
    asset = split_asset(reference)
    if asset is None:
        return
    name, version, label = asset
    noun = NOUNS[kind]
    if label and label != "latest":
        yield Problem(f"{flag}: {reference}: the label {label!r} is not known", f"azureml:{name}@latest")
        return
    newest = latest_version(client, kind, name)
    if newest is None:
        names = [str(item.get("name")) for item in client.pages(f"/{kind}", f"list {kind}")]
        problem = _unknown(f"{flag}: workspace {client.workspace} has no {noun} {name!r}", name, names, "")
        yield problem if problem.fix or kind not in COMMANDS else Problem(problem.message, COMMANDS[kind])
    elif version:
        try:
            client.get(f"/{kind}/{quote(name)}/versions/{quote(version)}", f"find {noun} {name}:{version}")
        except ServiceError as error:
            if error.status != 404:
                raise
            yield Problem(f"{flag}: {noun} {name} has no version {version!r}", f"the newest is azureml:{name}:{newest}")


def _unknown(message: str, given: str, names: list[str], flag: str) -> Problem:
    close = nearest(given, names)
    if close:
        return Problem(message, f"did you mean {f'{flag} ' if flag else ''}{close[0]}?")
    return Problem(message, f"there are {', '.join(sorted(names)[:10])}" if names else "")


def _secrets(job: Job) -> Iterable[Problem]:
    """Secrets that certainly are not in their vault; one that this login may not read, the job perhaps may."""
    for variable, reference in job.secrets.items():
        if not reference.startswith("keyvault://"):
            continue
        try:
            is_there = exists(reference)
        except SecretError:  # no reference; the check without a network has said so
            continue
        if is_there is False:
            name = reference.rsplit("/", 1)[-1]
            vault = reference.removeprefix("keyvault://").split("/")[0]
            yield Problem(
                f"secret {variable}={reference} is not in its vault", f"etude secrets set {name} --vault {vault}"
            )
