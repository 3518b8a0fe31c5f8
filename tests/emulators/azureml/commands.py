"""From a job's request to what its processes are given: the command with its places filled in, the variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.emulators.azureml.state import Compute, Job, Workspace

__all__ = ["fill_in", "rank_variables", "run_variables"]

PLACE = re.compile(r"\$\{\{\s*(inputs|outputs)\.([\w-]+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)


def fill_in(command: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """`${{inputs.x}}` and `${{outputs.x}}` by their values; a `$[[...]]` whose input is not given goes."""
    places = {"inputs": inputs, "outputs": outputs}

    def known(text: str) -> bool:
        return all(name in places[kind] for kind, name in PLACE.findall(text))

    command = OPTIONAL.sub(lambda found: found[1] if known(found[1]) else "", command)
    return PLACE.sub(lambda found: places[found[1]].get(found[2], found[0]), command)


def run_variables(workspace: Workspace, job: Job, compute: Compute, outputs: Mapping[str, str]) -> dict[str, str]:
    """What every process of a job sees, as Azure ML sets it."""
    variables = {
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": job.name,
        "AZUREML_EXPERIMENT_NAME": str(job.properties.get("experimentName") or "Default"),
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
        "AZUREML_ARM_RESOURCEGROUP": workspace.group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_WORKSPACE_ID": workspace.guid,
        "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": f"https://{workspace.api_host}",
        "AZUREML_COMPUTE_NAME": compute.name,
    }
    return variables | {f"AZURE_ML_OUTPUT_{name}": path for name, path in outputs.items()}


def rank_variables(job: Job, port: int) -> list[dict[str, str]]:
    """One mapping a process: several nodes, and several processes a node with a PyTorch distribution."""
    distribution: dict[str, Any] = job.properties.get("distribution") or {}
    local = int(distribution.get("processCountPerInstance") or 1)
    world = job.nodes * local
    if world == 1 and not distribution:
        return [{}]
    return [
        {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(world),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank % local),
            "NODE_RANK": str(rank // local),
            "AZUREML_NODE_COUNT": str(job.nodes),
        }
        for rank in range(world)
    ]
