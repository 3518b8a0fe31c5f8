"""A job as plain data: what runs, on what, with which inputs, outputs and secrets. Every platform takes the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etude.platforms.bundle.folder import Bundle

__all__ = ["Input", "Job", "Resources"]


@dataclass(frozen=True)
class Resources:
    """What a job runs on. None means: as the platform has it by default.

    Attributes:
        compute: the cluster or compute target.
        instance_type: a size that the compute offers.
        nodes: machines.
        gpus, cpus: of each machine.
        memory_gib, storage_gib: of each machine.
        shm_size: shared memory of the container, as containers write it: "16g", "512m".
        priority: in the queue, in the platform's words.
        timeout_s: seconds of running after which the job is stopped.
        retries: how often it is started again when its machine is taken away.
    """

    compute: str | None = None
    instance_type: str | None = None
    nodes: int = 1
    gpus: int | None = None
    cpus: int | None = None
    memory_gib: float | None = None
    storage_gib: float | None = None
    shm_size: str | None = None
    priority: str | None = None
    timeout_s: int | None = None
    retries: int = 3


@dataclass(frozen=True)
class Input:
    """Something that the platform brings to the job as a folder.

    Attributes:
        name: as the command refers to it, `{input:NAME}`.
        reference: `azureml:NAME:VERSION`, `azureml:NAME@latest`, an address that the platform takes, or a folder.
        flag: where the user gave it, for messages.
        kind: "data", or "model" when the reference names a registered model.
    """

    name: str
    reference: str
    flag: str = ""
    kind: str = "data"


@dataclass(frozen=True)
class Job:
    """One command to run elsewhere.

    Attributes:
        name: unique; chosen here before anything is sent, so that a submit can be found again.
        title: what a person calls it; need not be unique.
        experiment: a group of jobs and of tracked runs.
        bundle: what is sent, see `bundle`.
        inputs: brought to the job.
        outputs: names of folders that it leaves behind; the command writes to `{output:NAME}`.
        environment: variables that are no secrets.
        secrets: variable to reference (`keyvault://VAULT/NAME`, `env://NAME`); resolved where the job runs.
        resources: what it runs on.
        image: of the container; None takes the platform's own choice.
        register: a model name under which a result is registered when the command has succeeded.
        settings: what only one platform knows: `{"identity": "managed"}`.
        tags: searchable words.
    """

    name: str
    title: str
    experiment: str
    bundle: Bundle
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    image: str | None = None
    register: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
