"""What is wrong with a job for Azure ML, as far as this machine can tell; `existence` asks the workspace."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from etude.config.nested import dotted, leaves
from etude.errors import SecretError, nearest
from etude.platforms.azureml.overrides import OVERRIDE
from etude.platforms.azureml.request import SERVERLESS, is_address
from etude.platforms.job import Job
from etude.platforms.node.placeholders import names_in
from etude.platforms.problems import Problem
from etude.secrets.redaction import is_plain_secret
from etude.secrets.reference import SecretReference

__all__ = ["problems_of"]

# Of a job on Azure ML, and of the place where it goes (`opening`).
SETTINGS = ("environment", "identity", "identity_client_id", "job_tier")
PLACE_SETTINGS = ("subscription_id", "resource_group", "workspace", "compute", "terraform_dir", "keyvault", "offline")
IDENTITIES = ("managed", "managed_identity", "user", "user_identity", "aml_token", "none")
TIERS = ("spot", "basic", "standard", "premium", "null")
PRIORITIES = ("low", "medium", "high")
INPUT_KINDS = ("data", "model")

JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
FOLDER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
SHM_SIZE = re.compile(r"0*[1-9][0-9]*[bkmg]", re.IGNORECASE)
ASSET = re.compile(r"azureml:(?!/)(?P<name>[^:@/]+)(:(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")
# Storage keys and signatures inside longer texts, and what Weights & Biases hands out (a commit looks the same).
STORAGE_SECRET = re.compile(r"(AccountKey|SharedAccessKey|SharedAccessSignature)=\S|(^|[?&;])sig=\S", re.IGNORECASE)
WANDB_KEY = re.compile(r"[0-9a-f]{40}")
VENDOR_PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.([^}\s]+)\s*\}\}")


def problems_of(job: Job, data: Mapping[str, Any]) -> list[Problem]:
    """All problems of a job and of the request that was made of it (with what `--set` changed)."""
    return [
        *_names(job, data),
        *_resources(job, data),
        *_settings(job, data),
        *_inputs(data, {item.name: item.flag or f"input {item.name}" for item in job.inputs}),
        *_environment(data.get("environment")),
        *_variables(data.get("environment_variables", {})),
        *_plain_secrets(job, data),
        *_secrets(job),
        *_references(job, data),
    ]


def _names(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    if not JOB_NAME.fullmatch(job.name):
        yield _illegal("job name", job.name, "letters, digits, '-' and '_', a letter or digit first, 255 at most")
    experiment = str(data.get("experiment_name", ""))
    if not EXPERIMENT.fullmatch(experiment):
        yield _illegal("experiment", experiment, "letters, digits, '-', '_' and '.', a letter or digit first")
    if job.register is not None and not MODEL_NAME.fullmatch(job.register):
        yield _illegal("model name", job.register, "letters, digits, '-', '_' and '.', a letter or digit first")
    for kind in ("inputs", "outputs"):
        for name in data.get(kind, {}):
            if not FOLDER_NAME.fullmatch(str(name)):
                yield _illegal(f"{kind[:-1]} name", str(name), "letters, digits and '_', no digit first")


def _illegal(what: str, given: str, allowed: str) -> Problem:
    suggestion = re.sub(r"[^A-Za-z0-9]+", "_" if "put" in what else "-", given).strip("-_")
    return Problem(f"{what} {given!r} is not allowed: {allowed}", f"use {suggestion}" if suggestion else "")


def _resources(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    resources = data.get("resources", {})
    counts = [
        ("--nodes", resources.get("instance_count")),
        ("--gpus", job.resources.gpus),
        ("processes on a node", data.get("distribution", {}).get("process_count_per_instance")),
    ]
    told = set()
    for flag, value in counts:
        if value is not None and (not isinstance(value, int) or value < 1) and value not in told:
            told.add(value)
            yield Problem(f"{flag} must be 1 or more, got {value}")
    timeout = data.get("limits", {}).get("timeout")
    if timeout is not None and timeout <= 0:
        yield Problem(f"--timeout must be more than 0 seconds, got {timeout}", "leave it out for no limit")
    shm = resources.get("shm_size")
    if shm is not None and not SHM_SIZE.fullmatch(str(shm)):
        number = re.search(r"[1-9]\d*", str(shm))
        fix = f"--shm-size={number[0] if number else 16}g"
        yield Problem(f"--shm-size must be a number with one of b, k, m, g behind it, got {str(shm)!r}", fix)
    if "docker_args" in resources:
        yield Problem("resources.docker_args is not supported on attached Kubernetes compute", "use --shm-size")
    asked = {"--cpus": job.resources.cpus, "--memory": job.resources.memory_gib, "--storage": job.resources.storage_gib}
    for flag, amount in asked.items():
        if amount is not None:
            yield Problem(f"{flag}={amount}: Azure ML gives machines by instance type", "use --instance-type")
    yield from _compute(job, data)


def _compute(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    serverless = job.resources.compute == SERVERLESS
    if not data.get("compute") and not serverless:
        yield Problem(
            "no compute is given: Azure ML would not know where to run the job",
            "--compute NAME, AZUREML_COMPUTE, or a Terraform output azureml_compute; --compute serverless for none",
        )
    if serverless and not data.get("resources", {}).get("instance_type"):
        yield Problem("serverless compute needs an instance type", "--instance-type Standard_NC24ads_A100_v4")


def _settings(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    for name in job.settings:
        if name not in (*SETTINGS, *PLACE_SETTINGS) and not name.startswith(OVERRIDE):
            close = nearest(name, SETTINGS)
            fix = f"did you mean {close[0]}?" if close else f"there are {', '.join(SETTINGS)}"
            yield Problem(f"Azure ML has no setting {name!r}", fix)
    queue = data.get("queue_settings", {})
    chosen = (
        ("--identity", job.settings.get("identity"), IDENTITIES),
        ("--job-tier", queue.get("job_tier"), TIERS),
        ("--priority", queue.get("priority"), PRIORITIES),
    )
    for flag, value, allowed in chosen:
        if value is not None and str(value).lower() not in allowed:
            close = nearest(str(value), allowed)
            yield Problem(f"{flag}={value}: there are {', '.join(allowed)}", f"{flag}={close[0]}" if close else "")
    if job.image and job.settings.get("environment"):
        yield Problem("--image and --environment are both given", "leave one of them out")


def _inputs(data: Mapping[str, Any], flags: Mapping[str, str]) -> Iterable[Problem]:
    for name, value in data.get("inputs", {}).items():
        if not isinstance(value, Mapping):
            continue  # a literal, given by --set
        flag, path = flags.get(name, f"input {name}"), str(value.get("path", ""))
        if value.get("type") not in ("uri_folder", "uri_file", "mltable", "custom_model", "mlflow_model"):
            yield Problem(f"{flag}: an input is one of {', '.join(INPUT_KINDS)}, got {value.get('type')!r}")
        if not is_address(path):
            if not os.path.isdir(path):
                yield Problem(f"{flag}: there is no folder {path} here", "give a folder, or azureml:NAME:VERSION")
            continue
        yield from _asset(flag, path)


def _asset(flag: str, path: str) -> Iterable[Problem]:
    """A reference to an asset by its name must say which version."""
    if not path.startswith("azureml:") or path.startswith("azureml:/"):
        return
    match = ASSET.fullmatch(path)
    if match is None:
        yield Problem(f"{flag}: {path!r} names no asset", "write azureml:NAME:VERSION or azureml:NAME@latest")
    elif not (match["version"] or match["label"]):
        yield Problem(f"{flag}: {path!r} says no version", f"{path}@latest, or {path}:1")


def _environment(environment: Any) -> Iterable[Problem]:
    if isinstance(environment, Mapping):
        image = str(environment.get("image", ""))
        if "build" in environment and image:
            yield Problem("the environment has an image and a build context", "leave one of them out")
        elif image != image.strip() or (image and re.search(r"\s", image)) or image.startswith("-"):
            yield Problem(f"--image={image!r} is not a container image", "for example pytorch/pytorch:TAG")
        return
    yield from _asset("--environment", str(environment))


def _variables(variables: Mapping[str, Any]) -> Iterable[Problem]:
    for name, value in variables.items():
        if not VARIABLE.fullmatch(str(name)):
            yield _illegal("environment variable", str(name), "letters, digits and '_', no digit first")
        if not isinstance(value, str):
            yield Problem(
                f"environment variable {name} is {value!r}, which is no text", f'write {name}="{str(value).lower()}"'
            )
        elif VENDOR_PLACEHOLDER.search(value):
            # Attached Kubernetes compute leaves them as they are.
            yield Problem(f"environment variable {name}: placeholders are only filled in in the command")


def _plain_secrets(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    """Values that are secrets themselves; whoever may read the job could read them. They are not repeated."""
    for place in ("environment_variables", "tags", "properties"):
        for name, value in data.get(place, {}).items():
            if isinstance(value, str) and _is_secret(str(name), value):
                what = f"environment variable {name}" if place == "environment_variables" else f"{place} {name}"
                yield _exposed(what, str(name))
    told = job.bundle.command
    for variable, value in told.environment.items():
        if variable not in data.get("environment_variables", {}) and _is_secret(variable, value):
            yield _exposed(f"environment variable {variable}", variable)
    for word in [*told.command, *(word for command in told.after for word in command)]:
        flag, separator, value = word.partition("=")
        if separator and _is_secret(flag.lstrip("-"), value):
            yield _exposed(flag, flag.lstrip("-").rsplit(".", 1)[-1])
    for key, value in _config(job):
        if _is_secret(key.rsplit(".", 1)[-1], value):
            yield _exposed(f"{key} of the config file", key.rsplit(".", 1)[-1])
    for name, value in data.get("inputs", {}).items():
        text = value.get("path", "") if isinstance(value, Mapping) else str(value)
        if _is_secret(name, text) and (not isinstance(value, Mapping) or "://" in text):
            yield _exposed(f"input {name}", name)


def _is_secret(name: str, value: str) -> bool:
    if STORAGE_SECRET.search(value) or is_plain_secret(name, value):
        return True
    return WANDB_KEY.fullmatch(value) is not None and re.search(r"wandb|key", name, re.IGNORECASE) is not None


def _config(job: Job) -> Iterable[tuple[str, str]]:
    """Settings of the config file in the bundle that are text, by dotted key."""
    try:
        values = yaml.safe_load((job.bundle.folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    for path, value in leaves(values) if isinstance(values, Mapping) else ():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield dotted(path), item


def _exposed(what: str, name: str) -> Problem:
    secret = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Problem(
        f"{what} holds a secret in plain text, and everyone who may see the job could read it",
        f"etude secrets set {secret} --vault VAULT, then --secret {name}=keyvault://VAULT/{secret}",
    )


def _secrets(job: Job) -> Iterable[Problem]:
    for variable, text in job.secrets.items():
        try:
            reference = SecretReference.parse(text)
        except SecretError as error:
            yield Problem(f"secret {variable}: {error.message}", error.hint or "")
            continue
        if reference.kind != "keyvault":
            name = variable.lower().replace("_", "-")
            yield Problem(
                f"secret {variable}={text} is on this machine, and the job runs elsewhere",
                f"etude secrets set {name} --vault VAULT, then --secret {variable}=keyvault://VAULT/{name}",
            )
        if variable in job.environment:
            yield Problem(f"{variable} is given as a secret and as a plain variable", "leave the plain one out")


def _references(job: Job, data: Mapping[str, Any]) -> Iterable[Problem]:
    """Inputs and outputs that are referred to and not there, and those that are there and not referred to."""
    told = job.bundle.command
    words = [*told.command, *told.resume, *(word for command in told.after for word in command)]
    used = {"input": set(names_in(words, "input")), "output": set(names_in(words, "output"))}
    if told.run_output:
        used["output"].add(told.run_output)
    carried: dict[str, set[str]] = {"input": set(), "output": set()}
    for kinds, name in VENDOR_PLACEHOLDER.findall(str(data.get("command", ""))):
        carried[kinds[:-1]].add(name)
    for kind in ("input", "output"):
        there = set(data.get(f"{kind}s", {}))
        for name in sorted(used[kind] - there):
            close = nearest(name, sorted(there))
            fix = f"did you mean {close[0]}?" if close else f"--{kind} {name}=..., or leave it out of the command"
            yield Problem(f"the command refers to {kind} {name!r}, which the job does not have", fix)
        # A command may leave an output empty, but it must know of it; an input that nothing reads is a mistake.
        known = used[kind] if kind == "input" else used[kind] | set(told.outputs)
        for name in sorted((there - known) | (there - carried[kind])):
            yield Problem(f"{kind} {name!r} is not used by the command", "leave it out, or name it in the command")
